"""The loss curve of a training: a CSV file, a picture where matplotlib is there, and events for TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ...codec.errors import OutputError, UsageError

__all__ = ["Curve"]

COLUMNS = ("step", "images", "seconds", "rate", "gradient_norm", "train_bpd", "validation_bpd")


class Curve:
    """Writes curve.csv and curve.png as a training goes.

    Args:
        out: folder.
        step: at which the training begins; rows after it, of a run that went on from there, are dropped. 0 for none.
        tensorboard: write events, too.

    Raises:
        UsageError: `tensorboard` where it is not installed.
        OutputError: a file cannot be written.
    """

    def __init__(self, out: Path, step: int, tensorboard: bool = False) -> None:
        self.path, self.picture = out / "curve.csv", out / "curve.png"
        self.rows: list[list[float]] = []
        try:
            if step and self.path.exists():
                with self.path.open(newline="") as file:
                    read = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
                self.rows = [row for row in read if row[0] <= step]
            with self.path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                writer.writerows(map(_shown, self.rows))
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.path}: {error}") from error
        self.events: Any = _events(out) if tensorboard else None

    def __enter__(self) -> Curve:
        return self

    def __exit__(self, *_: object) -> None:
        if self.events is not None:
            self.events.close()

    def add(self, *row: float) -> None:
        """One row, in the order of COLUMNS."""
        self.rows.append(list(row))
        try:
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerow(_shown(row))
        except OSError as error:
            raise OutputError(f"{self.path}: {error}") from error
        if self.events is not None:
            for name, value in zip(COLUMNS[3:], row[3:], strict=True):
                self.events.add_scalar(name, value, int(row[0]))
        self._draw()

    def _draw(self) -> None:
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            return
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        for name in ("train_bpd", "validation_bpd"):
            column = COLUMNS.index(name)
            axes.plot([row[0] for row in self.rows], [row[column] for row in self.rows], label=name)
        tail = [row[column] for row in self.rows[len(self.rows) // 10 :] for column in (5, 6)]
        low, high = min(tail), max(tail)
        axes.set_ylim(low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3)
        axes.set_xlabel("step")
        axes.set_ylabel("bits per dimension")
        axes.legend()
        figure.savefig(self.picture, dpi=120)


def _shown(row: Any) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else str(int(value)) for value in row]


def _events(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package: pip install tensorboard") from error
    return SummaryWriter(str(out))
