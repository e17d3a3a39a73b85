"""Small images, and files made of them."""

import struct
import zlib
from pathlib import Path

import numpy as np
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
def odd(tmp_path: Path) -> Path:
    """A PNG file whose deflate stream nobody writes again: flushed at random places, at changing levels."""
    rng = np.random.default_rng(0)
    rows = [b"\0" + np.sort(rng.integers(0, 40, 60, dtype=np.uint8)).tobytes() for _ in range(60)]
    stream = b"\x78\x9c"
    for row in rows:
        coder = zlib.compressobj(int(rng.integers(1, 10)), zlib.DEFLATED, -15, 9, int(rng.integers(0, 4)))
        stream += coder.compress(row) + coder.flush(zlib.Z_FULL_FLUSH)
    stream += b"\x03\0" + zlib.adler32(b"".join(rows)).to_bytes(4, "big")

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60, 60, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    path = tmp_path / "odd.png"
    path.write_bytes(data)
    return path


@pytest.fixture
def packed(paint: Paint) -> Path:
    """`photo.png.dz`, without its source."""
    source: Path = paint()
    assert run("compress", "-q", source).exit_code == 0
    source.unlink()
    return source.with_name("photo.png.dz")
