"""One row for every trained system: what its source reached, what ours reaches, its size and how long it trained.

    python benchmarks/systems.py models/checkpoints EVALUATED --json benchmarks/systems.json
    python benchmarks/readme_table.py benchmarks/systems.json docs/choose.md

A folder has, for each row, NAME.safetensors and NAME.json beside it, which `densezip eval NAME.safetensors --json
NAME.json` wrote. Nothing is measured here. A source's figure is that of a network tens to hundreds of times as large,
trained for days: it says where a system can get, not what ours should be compared with.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from densezip.models.checkpoint import read_checkpoint

SOURCES = {
    "pixelcnn++-cifar10": "2.92, Salimans et al. (2017)",
    "vae-mnist": "1.41, Townsend et al. (2019); 1.28, Kingma et al. (2019)",
    "vae-binarized": "0.19, Townsend et al. (2019)",
    "topdown-cifar10": "3.11, Kingma et al. (2016)",
    "agave-cifar10": "2.92 by 150 samples, Lucas and Verbeek (2018)",
    "diffusion-cifar10": "4.20, Sohl-Dickstein et al. (2015)",
    "nice-cifar10": "4.48, Dinh et al. (2014)",
    "real-nvp-cifar10": "3.49, Dinh et al. (2017)",
    "v-ade-one-cifar10": "3.52, Lucas et al. (2019)",
    "v-ade-wide-cifar10": "3.52, Lucas et al. (2019)",
    "v-ade-cifar10": "3.41, Lucas et al. (2019)",
    "v-ade-vae-cifar10": "4.4, Lucas et al. (2019)",
    "av-ade-cifar10": "3.9, Lucas et al. (2019)",
    "av-gde-cifar10": "4.4, Lucas et al. (2019)",
    "gan-cifar10": "7.0, Lucas et al. (2019)",
    "gaussian-cifar10": "4.70, van den Oord and Dambre (2015)",
    "deep-gmm-cifar10": "4.00, van den Oord and Dambre (2015)",
}
"""Bits a dimension that were published of the system on the same data."""


def row_of(figures: Path, shipped: bool, gpus: set[str]) -> dict[str, Any]:
    """One system: what `eval` wrote of it, and what its checkpoint says of its training."""
    found = json.loads(figures.read_text(encoding="utf-8"))
    tensors, about = read_checkpoint(figures.with_suffix(".safetensors"))
    name = figures.stem
    return {
        "name": name,
        "family": about["model"],
        "shipped": shipped,
        "source": SOURCES.get(name, ""),
        "parameters": sum(tensor.numel() for key, tensor in tensors.items() if key.startswith("model.")),
        "trained_s": about["seconds"],
        # What learns by closed form, in its beginning, has seen all.
        "trained_images": about["step"] * about["recipe"]["batch"] if about["recipe"]["rate"] else None,
        "gpu": name in gpus,
        **{
            key: found[key] for key in ("data", "images", "reported_bpd", "pmf_bpd", "file_bpd", "encode_s", "decode_s")
        },
    }


def main() -> None:
    """Writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shipped", type=Path, help="folder of the checkpoints that come with densezip")
    parser.add_argument("others", nargs="*", type=Path, help="folders of others")
    parser.add_argument("--gpu", nargs="*", default=[], metavar="NAME", help="those that were trained on one")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    rows = [
        row_of(path, folder == args.shipped, set(args.gpu))
        for folder in (args.shipped, *args.others)
        for path in sorted(folder.glob("*.json"))
    ]
    rows.sort(key=lambda row: (row["data"], -row["pmf_bpd"]))
    args.json.write_text(json.dumps({"systems": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
