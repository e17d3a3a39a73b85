"""`python -m densezip.models.half SOURCE TARGET`: a checkpoint's weights as float16, half as large, to be shipped.

Rounding changes the weights, and so their digest: figures are those of the smaller file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..codec.errors import UsageError
from .checkpoint import load_model, write_checkpoint

__all__ = ["halve"]


def halve(source: Path, target: Path) -> None:
    """Writes the weights that a checkpoint is evaluated by, averaged ones where it has them, as float16.

    Raises:
        InputError: the source is no checkpoint.
        WeightsError: a weight is not finite, as float16 either.
        OutputError: the target cannot be written.
    """
    model, about = load_model(source)
    weights = {f"model.{name}": value.half() for name, value in model.state_dict().items()}
    write_checkpoint(target, weights, {key: value for key, value in about.items() if key != "layout"})
    load_model(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise UsageError("python -m densezip.models.half SOURCE TARGET")
    halve(Path(sys.argv[1]), Path(sys.argv[2]))
