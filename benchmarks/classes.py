"""What knowing the class of an image gives, with conditional weight normalization, on scikit-learn's digits.

    densezip train class-pixelcnn --data digits --minutes 5 --out classes
    densezip train pixelcnn --config digits --data digits --minutes 5 --out plain
    python benchmarks/classes.py classes/best.safetensors plain/best.safetensors --json FILE --plot FILE

All test digits are coded, and decoded, with the class given; with the class as a latent variable, by bits-back, which
costs the average over classes; and by a network of the same sizes that has no classes. The class by itself would take
log2(10) bits an image. Of the digits that the model draws: the share that a logistic regression learned from real
digits puts into their class (samples judged), and of real test digits the share that one learned from drawn digits puts
into theirs (samples taught); beside both, the share of one learned from real digits, on real test digits.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.codecs import Codec
from densezip.codec.entropy.rans import Message
from densezip.models.autoregressive.classes import ClassPixelCNN
from densezip.models.checkpoint import load_model
from densezip.models.evaluation import measure
from densezip.models.shapes import ImageModel
from densezip.models.shipped import find_checkpoint
from densezip.models.training.data import Data, open_data
from torch import Tensor

LANES = 64


def weigh_given(model: ClassPixelCNN, data: Data) -> dict[str, float]:
    """Bits per dimension of images by their classes: what is reported, and what a message of all grows by."""
    x, exact = torch.from_numpy(data.images).long(), copy.deepcopy(model).double()
    labels = torch.from_numpy(data.labels)

    def codec(calibration: Calibration) -> Codec[Tensor]:
        return exact.codec_given(labels, calibration, (len(x), x.shape[1], x.shape[2], x.shape[3]))

    with torch.no_grad():
        reported = -float(model.given(x, labels).double().sum()) / math.log(2) / x.numel()
    message, calibration = Message.random(LANES, 64), Calibration(model.band)
    begun = message.bits
    codec(calibration).push(message, x)
    net = (message.bits - begun) / x.numel()
    if not torch.equal(codec(Calibration.from_bytes(calibration.to_bytes())).pop(message), x):
        raise SystemExit("the class given: an image has changed")
    return {"reported_bpd": reported, "net_bpd": net}


def weigh(model: ImageModel, data: Data) -> dict[str, float]:
    """Bits per dimension of images in one file."""
    found = measure(model, data.images, batch=len(data.images))
    if not found.lossless:
        raise SystemExit(f"{found.model}: an image has changed")
    return {"reported_bpd": found.reported_bpd, "net_bpd": found.pmf_bpd, "file_bpd": found.file_bpd}


def judge(model: ClassPixelCNN, train: Data, test: Data, count: int) -> tuple[dict[str, float], Tensor]:
    """Shares that are put into their class, see the module; and `count` drawn digits of each class."""
    from sklearn.linear_model import LogisticRegression

    height, width = test.images.shape[2:]
    drawn = torch.stack([model.sample_class(y, count, height, width, seed=y) for y in range(model.classes)])
    drawn_labels = np.repeat(np.arange(model.classes), count)

    def rows(images: Any) -> Any:
        return np.asarray(images, dtype=np.float64).reshape(-1, height * width) / 255

    def learned(images: Any, labels: Any) -> Any:
        return LogisticRegression(C=1.0, max_iter=1000).fit(rows(images), labels)

    real = learned(train.images, train.labels)
    with torch.no_grad():
        found = model.log_probs(torch.from_numpy(test.images)).argmax(0).numpy()
    return {
        "real_on_real": float(real.score(rows(test.images), test.labels)),
        "samples_judged": float(real.score(rows(drawn.flatten(0, 1)), drawn_labels)),
        "samples_taught": float(learned(drawn.flatten(0, 1), drawn_labels).score(rows(test.images), test.labels)),
        "likeliest_class": float((found == test.labels).mean()),
    }, drawn


def draw(drawn: Tensor, path: Path) -> None:
    """A row of drawn digits for each class."""
    from PIL import Image

    rows = [torch.nn.functional.pad(torch.cat(list(row[:16, 0]), 1), (0, 0, 0, 1)) for row in drawn]
    sheet = Image.fromarray(torch.cat(rows).clamp(max=240).numpy())
    sheet.resize((4 * sheet.width, 4 * sheet.height), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classes", help="a checkpoint of a class-pixelcnn, by name or path")
    parser.add_argument("plain", help="one of a model without classes")
    parser.add_argument("--count", type=int, default=150, help="drawn digits of each class")
    parser.add_argument("--limit", type=int, default=360, help="the first so many test digits")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    (model, _), (plain, _) = (load_model(find_checkpoint(path)) for path in (args.classes, args.plain))
    if not isinstance(model, ClassPixelCNN) or not isinstance(plain, ImageModel):
        raise SystemExit(f"{args.classes} has no classes, or {args.plain} is no density of images")
    train, test = open_data("digits"), open_data("digits", "test")
    test = Data(
        test.name, test.split, test.images[: args.limit], None if test.labels is None else test.labels[: args.limit]
    )
    found: dict[str, Any] = {"images": len(test.images), "class_bpd": math.log2(model.classes) / test.images[0].size}
    found["given"] = weigh_given(model, test)
    found["latent"], found["plain"] = weigh(model, test), weigh(plain, test)
    found["samples"], drawn = judge(model, train, test, args.count)
    found["weights"] = {
        name: sum(p.numel() for p in m.parameters()) for name, m in (("classes", model), ("plain", plain))
    }
    found["versions"] = {name: version(name) for name in ("densezip", "torch", "scikit-learn")}
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.plot:
        draw(drawn, args.plot)


if __name__ == "__main__":
    main()
