"""A report as one page of HTML: nothing is fetched, pictures are in it, and it prints."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from ..codec.images.thumbnails import thumbnail_of
from .comparison import Comparison, Figure, channel_names
from .heatpicture import colours, scale_of, steps_of
from .report import summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["LARGEST", "page"]

LARGEST = 480
"""Height and width, at most, of the pictures in a page."""
BINS = 32
"""Of a histogram."""
COSTLY = 0.1
"""Share of the pixels that are called the costliest."""

CHANNEL_COLOURS = {"red": "#d4523f", "green": "#3f9e58", "blue": "#4a76d0", "alpha": "#9a8fb0"}
OTHER_COLOURS = ("#6c7686", "#b8bfca")

STYLE = """
:root { color-scheme: light dark; --ink: #1c2028; --soft: #667082; --line: #dfe3ea; --paper: #fff; --card: #f6f7f9;
  --ours: #b5406f; --peer: #9aa3b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ee; --soft: #98a1b2; --line: #333a48; --paper: #14171d;
  --card: #1c2029; --ours: #e0709a; --peer: #6b7488; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: .8rem; margin: 1.4rem 0 .4rem; color: var(--soft); text-transform: uppercase; letter-spacing: .06em; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
section { margin-top: 1.6rem; padding: 1.3rem 1.5rem 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; break-inside: avoid; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 0 2rem; }
figure { margin: 1rem 0 0; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .3rem; }
img { display: block; max-width: 100%; height: auto; border-radius: 4px; image-rendering: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; color: var(--soft); font-size: .85rem; } th:first-child, td:first-child { text-align: left;
  padding-left: 0; } tr.ours td { font-weight: 600; }
td.bar { width: 30%; min-width: 6rem; } td.bar i { display: block; height: .7rem; border-radius: 2px;
  background: var(--peer); } tr.ours td.bar i { background: var(--ours); }
.wide { overflow-x: auto; }
.parts { display: flex; height: 1.1rem; border-radius: 3px; overflow: hidden; } .parts i { display: block; }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .4rem; }
svg { display: block; width: 100%; height: auto; }
.scale { height: .6rem; border-radius: 2px; margin-top: .5rem; }
.ends { display: flex; justify-content: space-between; font-size: .8rem; color: var(--soft); }
"""


def page(comparisons: Sequence[Comparison], versions: str) -> str:
    """The page.

    Args:
        comparisons: Of the images, at least one.
        versions: Of the programs that were measured.
    """
    count = len(comparisons)
    pixels = sum(c.info.width * c.info.height for c in comparisons)
    title = f"densezip: {escape(comparisons[0].name)}" if count == 1 else f"densezip: {count} images"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>",
        f'<p class="soft">{count} image{"s" * (count > 1)}, {pixels / 1e6:.2f} megapixels. Every file was decoded and '
        "its pixels compared; times are of one run with one thread on this machine.</p>\n</header>",
    ]
    if count > 1:
        parts.append(f"<section>\n<h2>All together</h2>\n{_figures(_totals(comparisons), pixels)}\n</section>")
    parts += [_section(comparison) for comparison in comparisons]
    parts.append(f'<p class="soft">{escape(versions)}</p>\n</body>\n</html>\n')
    return "\n".join(parts)


def _totals(comparisons: Sequence[Comparison]) -> dict[str, Figure]:
    """The sums of coders that took every image."""
    rows: dict[str, list[Figure]] = {"source files": [Figure(c.source_size) for c in comparisons]}
    for comparison in comparisons:
        for number, (name, figure) in enumerate(comparison.figures.items()):
            rows.setdefault("densezip" if number == 0 else name, []).append(figure)

    def total(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(comparisons) else None

    found = {}
    for name, figures in rows.items():
        size = total([figure.size for figure in figures])
        times = total([figure.encode for figure in figures]), total([figure.decode for figure in figures])
        found[name] = Figure(None if size is None else int(size), *times)
    return found


def _section(comparison: Comparison) -> str:
    header, bits = comparison.info, comparison.heat.bits.sum(axis=2)
    pixels = header.width * header.height
    scale = scale_of(bits)
    thumbnail, heat = thumbnail_of(comparison.picture, LARGEST, upright=False), _heat_image(bits, scale)
    figures = {"source file": Figure(comparison.source_size), **comparison.figures}
    detail = comparison.heat.detail.value
    facts = f"{header.width} × {header.height}, {header.mode}, {header.depth} bits; {summary(header)}"
    return f"""<section>
<h2>{escape(comparison.name)}</h2>
<p class="soft">{escape(facts)}</p>
<div class="two">
<figure>{_img(thumbnail, "the image")}<figcaption>The image, as its pixels are stored.</figcaption></figure>
<figure>{_img(heat, "heat map of bits per pixel")}
<div class="scale" style="background: linear-gradient(90deg, {_gradient()})"></div>
<div class="ends"><span>0</span><span>{scale / 2:.4g}</span><span>{scale:.4g} and more</span></div>
<figcaption>Bits per pixel, mean {bits.mean(dtype=float):.3f}: {detail}.</figcaption></figure>
</div>
<h3>Sizes and times</h3>
{_figures(figures, pixels)}
<div class="two">
<div><h3>Where the bits went</h3>
{_parts(comparison)}</div>
<div><h3>Pixels by their bits</h3>
{_histogram(bits, scale)}
<p class="soft">{_concentration(bits)}</p></div>
</div>
</section>"""


def _figures(figures: dict[str, Figure], pixels: int) -> str:
    """A table of coders, with bars."""
    largest = max(figure.size or 0 for figure in figures.values())
    jpegxl = next((figure.size for name, figure in figures.items() if name.startswith("JPEG XL")), None)
    rows = [
        '<div class="wide"><table><tr><th>coder</th><th>bytes</th><th></th><th>bits/pixel</th><th>to JPEG XL</th>'
        "<th>encode, s</th><th>decode, s</th></tr>"
    ]
    for name, figure in figures.items():
        ours = ' class="ours"' if name.startswith("densezip") else ""
        if figure.size is None:
            rows.append(f'<tr><td>{escape(name)}</td><td colspan="6" class="soft">takes no such image</td></tr>')
            continue
        ratio = f"{figure.size / jpegxl:.1%}" if jpegxl else "–"
        times = "".join("<td>–</td>" if t is None else f"<td>{t:.2f}</td>" for t in (figure.encode, figure.decode))
        rows.append(
            f'<tr{ours}><td>{escape(name)}</td><td>{figure.size:,}</td><td class="bar"><i style="width: '
            f'{100 * figure.size / largest:.1f}%"></i></td><td>{8 * figure.size / pixels:.3f}</td><td>{ratio}</td>'
            f"{times}</tr>"
        )
    return "\n".join([*rows, "</table></div>"])


def _parts(comparison: Comparison) -> str:
    """Every byte of the .dz file, by what it is for."""
    size = comparison.info.size
    by_channel = comparison.heat.bits.sum(axis=(0, 1), dtype="f8") / 8
    names = channel_names(comparison.info.mode)
    parts = [
        (name, float(amount), CHANNEL_COLOURS.get(name, "#7d5fb2"))
        for name, amount in zip(names, by_channel, strict=True)
    ]
    parts.append(("tables and rounding", max(0.0, comparison.tiles - float(by_channel.sum())), OTHER_COLOURS[0]))
    parts.append(("header and metadata", float(size - comparison.tiles), OTHER_COLOURS[1]))
    bar = "".join(f'<i style="width: {100 * amount / size:.2f}%; background: {c}"></i>' for _, amount, c in parts)
    pixels = comparison.info.width * comparison.info.height
    rows = "".join(
        f'<tr><td><span class="key" style="background: {colour}"></span>{escape(name)}</td><td>{amount:,.0f}</td>'
        f"<td>{amount / size:.1%}</td><td>{8 * amount / pixels:.3f}</td></tr>"
        for name, amount, colour in parts
    )
    head = "<tr><th>part</th><th>bytes</th><th>share</th><th>bits/pixel</th></tr>"
    return f'<div class="parts">{bar}</div>\n<table>{head}{rows}</table>'


def _histogram(bits: NDArray[np.float32], scale: float) -> str:
    import numpy as np

    counts = np.histogram(np.minimum(bits, scale), BINS, (0, scale))[0]
    height, step = 120, 10
    bars = "".join(
        f'<rect x="{step * n + 0.5}" y="{height - tall:.1f}" width="{step - 1}" height="{tall:.1f}" '
        f'fill="{_hex(int((n + 0.5) * 256 / BINS))}" stroke="currentColor" stroke-opacity=".25" stroke-width=".5"/>'
        for n, tall in enumerate(height * counts / counts.max())
    )
    label = f"histogram of bits per pixel from 0 to {scale:.4g}"
    ends = f'<div class="ends"><span>0</span><span>{scale / 2:.4g}</span><span>{scale:.4g} and more</span></div>'
    return f'<svg viewBox="0 0 {step * BINS} {height}" role="img" aria-label="{label}">{bars}</svg>\n{ends}'


def _concentration(bits: NDArray[np.float32]) -> str:
    import numpy as np

    ordered = np.sort(bits, axis=None)[::-1].cumsum(dtype="f8")
    if not ordered[-1]:
        return "All pixels follow from the header."
    costly = ordered[max(0, round(COSTLY * ordered.size) - 1)] / ordered[-1]
    half = (np.searchsorted(ordered, ordered[-1] / 2) + 1) / ordered.size
    return f"The costliest {COSTLY:.0%} of the pixels take {costly:.0%} of the bits; half of them go to {half:.0%}."


def _heat_image(bits: NDArray[np.float32], scale: float) -> Image.Image:
    """The heat map, small: the mean of the bits of the pixels that share a place."""
    import numpy as np
    from PIL import Image

    small = Image.fromarray(bits)
    if max(small.size) > LARGEST:
        factor = LARGEST / max(small.size)
        size = [max(1, round(factor * side)) for side in small.size]
        small = small.resize((size[0], size[1]), Image.Resampling.BOX)
    image = Image.fromarray(steps_of(np.asarray(small), scale))
    image.putpalette(colours().tobytes())
    return image


def _img(image: Image.Image, text: str) -> str:
    """An image within the page; small ones are enlarged, by whole factors."""
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    factor = max(1, LARGEST // 2 // max(image.size))
    style = ' style="image-rendering: pixelated"' if factor > 1 else ""
    size = f'width="{factor * image.width}" height="{factor * image.height}"'
    return f'<img alt="{text}" {size}{style} src="data:image/png;base64,{data}">'


def _hex(step: int) -> str:
    return "#" + bytes(colours()[step]).hex()


def _gradient() -> str:
    return ", ".join(_hex(step) for step in range(0, 256, 17))
