"""The size of an image from the first bytes of its file."""

import struct
from io import BytesIO

import numpy as np
import pytest
from densezip.cli.headers import dimensions
from PIL import Image

SIZE = (37, 23)


def file_of(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind, **options)
    return file.getvalue()


FILES = {
    "png": file_of("PNG"),
    "jpeg": file_of("JPEG"),
    "progressive jpeg": file_of("JPEG", progressive=True, comment=b"x" * 300),
    "tiff": file_of("TIFF"),
    "deflated tiff": file_of("TIFF", compression="tiff_adobe_deflate"),
    "big tiff": file_of("TIFF", big_tiff=True),
    "bmp": file_of("BMP"),
    "gif": file_of("GIF"),
    "lossless webp": file_of("WEBP", lossless=True),
    "lossy webp": file_of("WEBP"),
    "webp with alpha": file_of("WEBP", "RGBA", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "ppm": file_of("PPM"),
    "pbm": file_of("PPM", "1"),
    "commented ppm": b"P6\n# a comment\n37 # another\n23\n255\n" + bytes(37 * 23 * 3),
    "pam": b"P7\nWIDTH 37\nHEIGHT 23\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(37 * 23 * 3),
    "qoi": b"qoif" + struct.pack(">IIBB", 37, 23, 3, 0) + bytes(20),
    "bmp from the top": b"BM" + bytes(12) + struct.pack("<Iii", 40, 37, -23) + bytes(50),
    "old bmp": b"BM" + bytes(12) + struct.pack("<IHH", 12, 37, 23) + bytes(50),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_size_is_the_images(kind: str) -> None:
    assert dimensions(FILES[kind]) == SIZE


@pytest.mark.parametrize("kind", FILES)
def test_a_beginning_gives_the_size_or_nothing(kind: str) -> None:
    data = FILES[kind]
    for length in range(0, min(len(data), 600)):
        assert dimensions(data[:length]) in (SIZE, None)


def test_anything_else_has_no_size() -> None:
    rng = np.random.default_rng(0)
    for magic in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0+", b"BM", b"GIF8", b"RIFF", b"P7\n"):
        for length in (0, 1, 30, 300):
            found = dimensions(magic + rng.bytes(length))
            assert found is None or min(found) > 0
    assert dimensions(b"plain text") is None
    assert dimensions(FILES["png"][:16] + bytes(8)) is None
