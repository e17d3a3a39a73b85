"""Draws size against time from the JSON of `photos.py`.

python benchmarks/plot.py photos.json photos.png
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

# Where a name may stand, in points from its point, best first: above the lines that fall to the right.
PLACES = ((7, 6, "left"), (-7, -7, "right"), (8, 0, "left"), (-8, 0, "right"), (0, 11, "center"), (0, -11, "center"))
INK, QUIET, PALE, ACCENT, RIVAL = "#22223b", "#7a7a8c", "#e6e6ee", "#d1495b", "#30638e"


def style() -> None:
    """Quiet axes, so that the points speak."""
    plt.rc("axes", edgecolor=QUIET, labelcolor=INK)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("xtick", color=QUIET)
    plt.rc("ytick", color=QUIET)
    plt.rc("text", color=INK)


def colour(name: str) -> str:
    """Ours, the one to beat, and the rest."""
    if name.startswith("densezip"):
        return ACCENT
    return RIVAL if name.startswith("JPEG XL") else QUIET


def draw(axes: Axes, rows: list[dict[str, Any]], key: str, title: str) -> None:
    """One point for each coder with its name beside it; the efforts of one coder are joined."""
    for family in ("densezip", "JPEG XL"):
        line = sorted((row[key], row["size_ratio"]) for row in rows if row["name"].startswith(family))
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour(family), alpha=0.35, lw=2, zorder=1)
    for row in rows:
        ours = row["name"].startswith("densezip")
        axes.scatter(row[key], row["size_ratio"], s=52 if ours else 34, color=colour(row["name"]), zorder=3, lw=0)
    axes.axhline(1, color=PALE, lw=1, zorder=0)
    axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    axes.set_xlabel("seconds per megapixel, one thread")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=PALE, lw=0.8)
    axes.margins(x=0.14, y=0.1)
    axes.tick_params(which="both", length=0)


def label(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    """Writes each name beside its point, in the first place that no other point or name takes."""
    to_pixels = axes.transData.transform
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in (to_pixels((row[key], row["size_ratio"])) for row in rows)]
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axes.get_window_extent(renderer)
    for row in sorted(rows, key=lambda row: not row["name"].startswith("densezip")):
        weight = "bold" if row["name"].startswith("densezip") else "normal"
        for dx, dy, side in PLACES:
            text = axes.annotate(
                row["name"],
                (row[key], row["size_ratio"]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=9,
                fontweight=weight,
                color=colour(row["name"]),
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
            box = text.get_window_extent(renderer).extents
            free = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes)
            if free and box[2] < frame.x1 + 20 and box[0] > frame.x0:
                break
            text.remove()
        else:
            axes.add_artist(text)
        boxes.append((box[0], box[1], box[2], box[3]))


def main() -> None:
    """Draws encoding beside decoding, with one axis of size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="JSON of photos.py")
    parser.add_argument("picture", type=Path, help="PNG or SVG to write")
    options = parser.parse_args()
    report = json.loads(options.report.read_text())
    rows = [row for row in report["coders"] if row["threads"] == 1]
    mpl.use("agg")
    with plt.rc_context():
        style()
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
        draw(left, rows, "encode_seconds_per_megapixel", "Compress")
        draw(right, rows, "decode_seconds_per_megapixel", "Decompress")
        left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        left.set_ylabel("total size, JPEG XL effort 9 = 100 %")
        figure.suptitle(
            f"Lossless size against time, {len(report['images'])} photographs: lower and further left is better",
            x=0.01,
            ha="left",
            fontsize=13,
            fontweight="bold",
        )
        figure.canvas.draw()
        label(left, rows, "encode_seconds_per_megapixel")
        label(right, rows, "decode_seconds_per_megapixel")
        figure.savefig(options.picture, dpi=160)


if __name__ == "__main__":
    main()
