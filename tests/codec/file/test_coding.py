"""Nothing is handed out that the reader refuses."""

from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.file.coding import encode_picture
from densezip.codec.images.picture import Picture
from densezip.models.coders import indexed_coder, rendered_coder
from samples import raw_png

GREY = np.zeros((3, 4, 1), np.uint8)


def no_model(*_: Any) -> Any:
    raise AssertionError("a picture of one colour needs no model")


def palette_png(palette: bytes | None) -> bytes:
    chunks = () if palette is None else ((b"PLTE", palette),)
    return bytes(raw_png(8, 8, 8, 3, b"".join(b"\0" + bytes([y % 3] * 8) for y in range(8)), chunks))


@pytest.mark.parametrize("palette", [None, b"", bytes(47), bytes(2), bytes(771)])
@pytest.mark.parametrize("effort", [1, 9])
def test_a_png_with_a_palette_of_a_wrong_length_never_gives_a_file_that_nothing_reads(
    palette: bytes | None, effort: int, tmp_path: Path
) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(palette_png(palette))
    for source in (path, path.read_bytes()):
        try:
            data = densezip.compress(source, effort=effort)
        except densezip.InputError:
            continue
        densezip.verify(data)


@pytest.mark.parametrize(
    "chunks",
    [
        (("IDAT", b""),),
        (("ABCD", b"critical"),),
        (("toolong", b""),),
        (("PLTE", bytes(47)),),
    ],
)
def test_metadata_that_the_reader_refuses_are_an_error_of_the_writer(chunks: tuple[tuple[str, bytes], ...]) -> None:
    picture = Picture(GREY, "P" if chunks[0][0] == "PLTE" else "L", 8, chunks)
    with pytest.raises(densezip.InputError):
        encode_picture(picture, no_model, indexed_coder, rendered_coder, 1, None)
