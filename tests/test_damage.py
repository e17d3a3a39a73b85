"""Every kind of damage is a named error, and never a wrong image; nothing is allocated on a header's word alone."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.file.container import Header, Payload, parse, serialise
from densezip.codec.images.picture import checksum, digest
from PIL import Image
from samples import array, file_of, model_only, picture, png16, raw_png


def model_file() -> bytes:
    """A small file whose payload is a model's, whatever else would be smaller."""
    with pytest.MonkeyPatch.context() as patch:
        model_only(patch)
        return densezip.compress(array(3, height=7, width=9))


def png_file() -> bytes:
    container = parse(densezip.compress(array(3, "u2", 4, 5)))
    tile = png16(array(3, "u2", 4, 5))
    return serialise(replace(container.header, payload=Payload.PNG, model="", digest=b""), [tile])


def indexed_file() -> bytes:
    rng = np.random.default_rng(0)
    return densezip.compress(Image.fromarray(rng.integers(0, 3, (20, 30), dtype=np.uint8) * 85))


FILES: dict[str, Callable[[], bytes]] = {
    "photo": model_file,
    "indexed": indexed_file,
    "webp": lambda: densezip.compress(Image.new("P", (9, 7))),
    "png": png_file,
    "stored": lambda: densezip.compress(file_of(picture("RGB", 8, 8), "WEBP", quality=50)),
    "jpeg": lambda: densezip.compress(file_of(picture("L", 8, 8), "JPEG")),
}


@pytest.fixture(scope="module", params=FILES)
def data(request: pytest.FixtureRequest) -> bytes:
    made = FILES[request.param]()
    about = densezip.info(made)
    assert request.param in f"{about.payload} {about.model}"
    densezip.verify(made)
    return made


def test_truncation_at_any_byte_is_a_named_error(data: bytes) -> None:
    for length in range(len(data)):
        for reader in (densezip.info, densezip.verify, densezip.decompress, densezip.export):
            with pytest.raises(densezip.TruncatedError):
                reader(data[:length])


def test_a_flip_of_any_bit_is_a_named_error(data: bytes) -> None:
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(densezip.FormatError):
            densezip.decompress(bytes(damaged))


def test_any_two_bytes_swapped_or_overwritten_are_a_named_error(data: bytes) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        first, second = rng.integers(0, len(data), 2)
        damaged[first] ^= 255
        damaged[second] = (damaged[second] + 7) % 256
        if damaged != data:
            with pytest.raises(densezip.FormatError):
                densezip.verify(bytes(damaged))


def test_bytes_after_the_end_are_a_named_error(data: bytes) -> None:
    with pytest.raises(densezip.TrailingDataError, match="4 bytes"):
        densezip.decompress(data + b"more")


def header(payload: Payload, pixels: npt.NDArray[Any], mode: str = "RGB", **changes: object) -> Header:
    height, width = pixels.shape[:2]
    bits = 8 * pixels.itemsize
    made = Header(payload, mode, width, height, checksum(pixels), width, height, bits)
    return replace(made, **changes)  # type: ignore[arg-type]


def webp(pixels: npt.NDArray[Any]) -> Any:
    return file_of(Image.fromarray(pixels), "WEBP", lossless=True)


FORGED: dict[str, tuple[Header, bytes, type[Exception]]] = {
    "other pixels": (header(Payload.WEBP, array(3)), webp(array(3, seed=1)), densezip.ChecksumError),
    "a larger WebP": (header(Payload.WEBP, array(3)), webp(array(3, height=24)), densezip.CorruptPayloadError),
    "no WebP": (header(Payload.WEBP, array(3)), b"RIFF....WEBP", densezip.CorruptPayloadError),
    "a truncated WebP": (header(Payload.WEBP, array(3)), webp(array(3))[:-9], densezip.CorruptPayloadError),
    "another format": (
        header(Payload.WEBP, array(3)),
        file_of(Image.fromarray(array(3)), "PNG"),
        densezip.CorruptPayloadError,
    ),
    "WebP for 16 bits": (header(Payload.WEBP, array(3, "u2"), "RGB;16"), webp(array(3)), densezip.HeaderError),
    "a 16-bit PNG": (header(Payload.PNG, array(3)), png16(array(3, "u2")), densezip.CorruptPayloadError),
    "a palette PNG": (
        header(Payload.PNG, array(1), "L"),
        file_of(picture("P"), "PNG"),
        densezip.CorruptPayloadError,
    ),
    "a PNG of another depth": (
        header(Payload.PNG, array(1) & np.uint8(1), "1", bits=1),
        png16(array(1)),
        densezip.CorruptPayloadError,
    ),
    "a truncated 8-bit PNG": (
        header(Payload.PNG, array(3)),
        raw_png(31, 23, 8, 2, b"\0" * 94),
        densezip.CorruptPayloadError,
    ),
    "a larger PNG": (
        header(Payload.PNG, array(3, "u2"), "RGB;16"),
        png16(array(3, "u2", 99, 99)),
        densezip.CorruptPayloadError,
    ),
    "an 8-bit PNG": (
        header(Payload.PNG, array(3, "u2"), "RGB;16"),
        png16(array(3)),
        densezip.CorruptPayloadError,
    ),
    "no PNG": (header(Payload.PNG, array(3, "u2"), "RGB;16"), b"png?", densezip.CorruptPayloadError),
    "a stored file of another size": (
        header(Payload.STORED, array(3), stored_format="jpg", checksum=digest(file_of(picture("RGB", 9, 9), "JPEG"))),
        file_of(picture("RGB", 9, 9), "JPEG"),
        densezip.CorruptPayloadError,
    ),
    "a stored file that is none": (
        header(Payload.STORED, array(3), stored_format="jpg", checksum=digest(b"text")),
        b"text",
        densezip.CorruptPayloadError,
    ),
    "a stored file with another checksum": (
        header(Payload.STORED, array(3), stored_format="jpg"),
        file_of(picture("RGB"), "JPEG"),
        densezip.ChecksumError,
    ),
    "an unknown model": (
        header(Payload.MODEL, array(3), model="oracle-5", digest=b"\1\2\3\4"),
        b"tile",
        densezip.UnknownModelError,
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_with_sound_checksums_is_a_named_error(name: str) -> None:
    made, tile, error = FORGED[name]
    data = serialise(made, [tile])
    densezip.info(data)
    with pytest.raises(error):
        densezip.decompress(data)
    with pytest.raises(error):
        densezip.verify(data)


def test_an_unknown_model_is_named_with_those_that_are_known() -> None:
    made, tile, _ = FORGED["an unknown model"]
    with pytest.raises(densezip.UnknownModelError, match=r"oracle-5 \(01020304\).*photo"):
        densezip.decompress(serialise(made, [tile]))


def test_other_weights_of_a_known_model_are_an_unknown_model() -> None:
    container = parse(model_file())
    other = replace(container.header, digest=b"\0\0\0\0")
    with pytest.raises(densezip.UnknownModelError, match="00000000"):
        densezip.decompress(serialise(other, [bytes(container.tile(0))]))


@pytest.mark.parametrize("make", [model_file, indexed_file])
@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_a_model_tile_that_is_cut_is_a_named_error(make: Callable[[], bytes], length: int) -> None:
    container = parse(make())
    tile = bytes(container.tile(0))
    with pytest.raises((densezip.CorruptPayloadError, densezip.ChecksumError)):
        densezip.decompress(serialise(container.header, [tile[:length]]))


@pytest.mark.parametrize("make", [model_file, indexed_file])
def test_a_model_tile_of_noise_is_a_named_error(make: Callable[[], bytes]) -> None:
    container = parse(make())
    rng = np.random.default_rng(0)
    for length in (1, 10, 100, 1000):
        with pytest.raises((densezip.CorruptPayloadError, densezip.ChecksumError)):
            densezip.decompress(serialise(container.header, [rng.bytes(length)]))


def test_absurd_dimensions_allocate_nothing() -> None:
    made = replace(FORGED["other pixels"][0], width=2**31, height=2**31, tile_width=2**31, tile_height=2**31)
    data = serialise(made, [b"tile"])
    tracemalloc.start()
    try:
        for reader in (densezip.decompress, densezip.verify, densezip.export):
            with pytest.raises(densezip.LimitError, match="4611686018427387904 pixels; the limit is 268435456"):
                reader(data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert densezip.info(data).width == 2**31


def test_reading_a_header_imports_nothing_heavy() -> None:
    script = (
        "import sys, densezip, densezip.models, densezip.codec;"
        f"densezip.info(bytes.fromhex({FILES['webp']().hex()!r}));"
        "print([name for name in ('numpy', 'PIL', 'numba', 'torch', 'imagecodecs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
