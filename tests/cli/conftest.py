"""Small images, and files made of them."""

from pathlib import Path

import pytest
from command_line import Paint, run
from PIL import Image


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Makes small palette images: their coding needs no model, so these tests wait for no compiler."""

    def make(name: str = "photo.png", *, shade: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("P", (13, 7))
        image.putpalette([shade, 10, 20, 200, 100, 50, 1, 2, 3])
        image.putdata([(x * x + y * shade) % 3 for y in range(7) for x in range(13)])
        image.save(path)
        return path

    return make


@pytest.fixture
def packed(paint: Paint) -> Path:
    """`photo.png.dz`, without its source."""
    source: Path = paint()
    assert run("compress", "-q", source).exit_code == 0
    source.unlink()
    return source.with_name("photo.png.dz")
