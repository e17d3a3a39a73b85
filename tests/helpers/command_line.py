"""The command line in one process, for its tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from densezip.cli.main import app
from PIL import Image

__all__ = ["Paint", "listing", "objects", "pixels", "run"]

Paint = Callable[..., Path]


def run(*args: str | Path, stdin: bytes | None = None) -> Result:
    """What `densezip ARGS` does; a fault of ours is raised."""
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin, catch_exceptions=False)


def pixels(path: Path) -> tuple[str, tuple[int, int], bytes]:
    """Mode, size and samples of an image file."""
    with Image.open(path) as image:
        return image.mode, image.size, image.tobytes()


def listing(folder: Path) -> list[str]:
    """Everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def objects(result: Result) -> list[dict[str, Any]]:
    """The JSON objects that a command printed, one a line."""
    return [json.loads(line) for line in result.stdout.splitlines()]
