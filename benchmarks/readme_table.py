"""Writes tables of measured results into the README or a page, from the JSON of the benchmarks.

python benchmarks/readme_table.py benchmarks/photos.json README.md --plot benchmarks/photos.png
python benchmarks/readme_table.py benchmarks/photos.json docs/choose.md --plot ../benchmarks/photos.png
python benchmarks/readme_table.py benchmarks/photos.json docs/reproduce.md
python benchmarks/readme_table.py benchmarks/coding.json docs/reproduce.md
python benchmarks/readme_table.py benchmarks/models.json docs/choose.md --plot ../benchmarks/models.png
python benchmarks/readme_table.py benchmarks/systems.json docs/choose.md
python benchmarks/readme_table.py benchmarks/jpeg.json docs/reproduce.md
python benchmarks/readme_table.py benchmarks/batch.json docs/scale.md      with jpeg.json and photos.json beside it

Tables stand between lines that name them; each that a file has is replaced.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scale import arithmetic, measurements

MADE_BY = "made by benchmarks/readme_table.py, do not edit"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def coder_row(row: dict[str, Any]) -> list[str]:
    """One coder; ours in bold."""
    name = f"**{row['name']}**" if row["effort"] is not None else row["name"]
    return [
        name,
        f"{row['size_ratio']:.1%}",
        f"{row['bpsp']:.3f}",
        f"{row['encode_seconds_per_megapixel']:.2f}",
        f"{row['decode_seconds_per_megapixel']:.2f}",
    ]


def figure_row(figure: dict[str, Any]) -> list[str]:
    """One promise: measured, and the bar."""
    unit = f" {figure['unit']}" if figure["unit"] else ""
    missed = " (missed)" if figure["value"] > figure["bar"] else ""
    return [figure["name"], f"{figure['value']:.4g}{unit}{missed}", f"≤ {figure['bar']:g}{unit}"]


def results(report: dict[str, Any], plot: str | None) -> str:
    """The text between the markers; `plot` is the address of a picture."""
    rows = sorted(report["coders"], key=lambda row: (-row["size_ratio"], row["threads"] != 1))
    machine, versions = report["machine"], report["versions"]
    models = ", ".join(f"{name} ({digest})" for name, digest in report["models"].items())
    measured = (
        f"Measured on {machine['cpu']}, {machine['processors']} processors, Python {versions['python']}, "
        f"imagecodecs {versions['imagecodecs']}, models {models}."
    )
    return "\n\n".join(
        [
            f"{len(report['images'])} photographs, {report['megapixels']:.1f} megapixels, every round trip compared; "
            "one thread unless it says otherwise.",
            *([f"![Total size against time for each coder]({plot})"] if plot else []),
            table(
                (
                    "coder",
                    "size, JPEG XL 9 = 100 %",
                    "bits per sub-pixel",
                    "compress, s/megapixel",
                    "decompress, s/megapixel",
                ),
                map(coder_row, rows),
            ),
            measured,
        ]
    )


def promises(report: dict[str, Any]) -> str:
    """The text between the markers of what is promised of photographs."""
    return table(("figure", "measured", "promise"), map(figure_row, report["figures"]))


def coding_results(report: dict[str, Any]) -> str:
    """The text between the markers of coding."""
    image, side = report["one_image_bits_per_dim"], report["calibration"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    rows = [
        [row["name"], f"{row['value']:.5g}", f"{'≤' if row['aim'] < row['bar'] else '≥'} {row['bar']:g}"]
        for row in report["figures"]
    ]
    calibration = (
        f"Calibration takes {side['float64']['bits_per_dim']:.2g} bits a sample with a network in float64, the default,"
        f" and {side['float32']['bits_per_dim']:.2g} in float32. One image of 28x28 by bits-back coding takes"
        f" {image['net']:.2f} bits a sample net; as a file {image['file with a loan']:.2f} with borrowed initial bits,"
        f" and {image['file with rows sent directly']:.2f} where {image['rows sent directly']:.0f} of its rows supply"
        " them."
    )
    measured = (
        f"Measured with one thread, {versions}, by `python benchmarks/coding.py --json coding.json`. In the first"
        " figure the message is given intervals; in the second, both sides make them from normal distributions."
    )
    return "\n\n".join([table(("figure", "measured", "promise"), rows), calibration, measured])


def cifar_results(report: dict[str, Any], plot: str | None) -> str:
    """The text between the markers of density models; `plot` is the address of a picture."""
    rows = [
        (row["file_bpd"], [row["name"], "", "", f"{row['file_bpd']:.4f}", *_seconds(row)]) for row in report["peers"]
    ]
    for row in report["models"]:
        name = f"{row['ensemble']}:{row['model']}" if row["ensemble"] else row["model"]
        rates = [f"{row[key]:.4f}" for key in ("reported_bpd", "pmf_bpd", "file_bpd")]
        rows.append((row["file_bpd"], [f"**{name}**", *rates, *_seconds(row)]))
    scan = report["scan"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    measured = (
        f"The first {report['images']} test images of CIFAR-10, in bits per dimension; all files decoded and compared."
        " PNG, WebP, JPEG XL and the photo model have an image a file, the checkpoints"
        f" {report['models'][0]['batch']} images. An ensemble's rate is the average of its density over flips and"
        " transposes; its files hold the likeliest of these (best), or the average (exact). A decoder that keeps what"
        f" it has computed gets the parameters of a batch of {scan['batch']} from {scan['model']} "
        f"{scan['ratio']:.0f} times sooner than one that runs the network again for every pixel."
        f" One thread, {versions}."
    )
    head = ("", "reported", "integer distributions", "files", "encode, s/image", "decode, s/image")
    picture = [f"![Bits per dimension of each]({plot})"] if plot else []
    whole = [
        [
            f"{row['model']}, {row['width']}x{row['height']}",
            f"{row['bytes']:,}",
            f"{row['lent_bytes']:,.0f}",
            f"{100 * row['direct']:.1f} %",
            f"{row['bytes'] / row['own_bytes']:.4f}",
            f"{row['net_bytes'] / row['own_bytes']:.4f}",
            *_seconds(row),
        ]
        for row in report.get("pictures", [])
    ]
    costs = ("bytes", "lent", "by neighbours", "/ own rate", "net", "encode, s", "decode, s")
    files = [table(("a picture by `compress --model`", *costs), whole)]
    rated = table(head, [row for _, row in sorted(rows, key=lambda pair: -pair[0])])
    others = [_trained(name, report[key]) for key, name in TRAINED.items() if report.get(key)]
    return "\n\n".join([*picture, rated, *(files if whole else []), *others, measured])


TRAINED = {"ablations": "of one training each, CIFAR-10", "mnist": "of MNIST"}


def _trained(name: str, rows: list[dict[str, Any]]) -> str:
    """Models that are compared by what a training of so long makes of them."""
    head = (name, "minutes of one core", "images seen", "parameters", "reported", "files")
    cells = [
        [
            f"**{row['model']}**",
            f"{row['trained_s'] / 60:.0f}",
            f"{row['trained_images']:,}",
            f"{row['parameters']:,}",
            f"{row['reported_bpd']:.4f}",
            f"{row['file_bpd']:.4f}",
        ]
        for row in sorted(rows, key=lambda row: -row["file_bpd"])
    ]
    counts = f"The first {rows[0]['images']:,} test images, {rows[0]['batch']} in each file."
    return f"{table(head, cells)}\n\n{counts}"


def _seconds(row: dict[str, Any]) -> list[str]:
    return [f"{row['encode_s']:.3f}", f"{row['decode_s']:.3f}"]


def systems(report: dict[str, Any]) -> str:
    """All trained systems, by data."""
    head = ("system", "its source", "images", "reported", "one message", "file", "numbers", "minutes", "images seen")
    parts = []
    for data in sorted({row["data"] for row in report["systems"]}):
        rows = [row for row in report["systems"] if row["data"] == data]
        cells = [
            [
                f"**{row['name']}**" if row["shipped"] else row["name"],
                row["source"],
                f"{row['images']:,}",
                f"{row['reported_bpd']:.3f}",
                f"{row['pmf_bpd']:.3f}",
                f"{row['file_bpd']:.3f}",
                f"{row['parameters']:,}",
                f"{row['trained_s'] / 60:.0f}{' (GPU)' if row['gpu'] else ''}",
                "all" if row["trained_images"] is None else f"{row['trained_images']:,}",
            ]
            for row in rows
        ]
        parts += [f"{data}, the first so many images:", table(head, cells)]
    return "\n\n".join(parts)


def jpeg_results(report: dict[str, Any]) -> str:
    """The text between the markers of JPEG files."""
    rows = [
        [
            f"**{name}**" if name.startswith("densezip") else name,
            f"{row['ratio']:.1%}",
            f"{row['compress, MB/s']:.2f}",
            f"{row['decompress, MB/s']:.2f}",
        ]
        for name, row in sorted(report["coders"].items(), key=lambda item: -item[1]["ratio"])
    ]
    measured = (
        f"{report['files']} files, {report['bytes'] / 1e6:.1f} MB; one thread, densezip {report['densezip']}, "
        f"imagecodecs {report['imagecodecs']}."
    )
    head = ("coder", "size, the JPEG files = 100 %", "compress, MB/s", "decompress, MB/s")
    return f"{table(head, rows)}\n\n{measured}"


def made_of(report: dict[str, Any], plot: str | None, folder: Path) -> dict[str, str]:
    """The texts, by what they are called in the markers; `folder` has other reports."""
    if "bookkeeping" in report:
        others = [json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("photos", "jpeg")]
        return {"measurements": measurements(report, *others), "arithmetic": arithmetic(report, *others)}
    if "systems" in report:
        return {"systems": systems(report)}
    if "bytes" in report:
        return {"results of JPEG files": jpeg_results(report)}
    if "calibration" in report:
        return {"results of coding": coding_results(report)}
    if "scan" in report:
        return {"results of density models": cifar_results(report, plot)}
    return {"results": results(report, plot), "promises": promises(report)}


def main() -> None:
    """Replaces what is between the markers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="JSON of a benchmark")
    parser.add_argument("readme", type=Path, help="the README, or a page of `docs`")
    parser.add_argument("--plot", metavar="ADDRESS", help="show this picture, as addressed from there")
    options = parser.parse_args()
    text = options.readme.read_text(encoding="utf-8")
    texts = made_of(json.loads(options.report.read_text(encoding="utf-8")), options.plot, options.report.parent)
    found = False
    for name, made in texts.items():
        first, last = f"<!-- {name}: {MADE_BY} -->", f"<!-- end of {name} -->"
        before, begin, rest = text.partition(first)
        _, end, after = rest.partition(last)
        if begin and end:
            text, found = f"{before}{first}\n\n{made}\n\n{last}{after}", True
    if not found:
        raise SystemExit(f"{options.readme} has no lines '<!-- {' or '.join(texts)}: {MADE_BY} -->'")
    options.readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
