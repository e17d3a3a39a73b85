"""Arrays of any kind of numbers and any number of planes come back, in shape, type and every bit."""

from typing import Any

import densezip
import numpy as np
import pytest
from densezip.codec.file.container import parse, serialise
from densezip.codec.images.sheets import sheet_of
from numpy.typing import NDArray

Y, X = np.mgrid[:21, :30]
WAVES = np.stack([40 * np.sin(X / 9 + k / 4) + 50 * np.cos(Y / 7) + 3 * k for k in range(7)])

ARRAYS: dict[str, NDArray[Any]] = {
    "stack": (WAVES + 120).astype(np.uint8),
    "channels last": np.moveaxis((WAVES + 120).astype(np.uint8), 0, -1),
    "four dimensions": np.stack([np.moveaxis(WAVES[:3], 0, -1), np.moveaxis(WAVES[3:6], 0, -1)]).astype(np.int16),
    "one plane": (WAVES[0] > 0),
    "signed bytes": WAVES.astype(np.int8),
    "signed": (WAVES * 200).astype(np.int16),
    "other byte order": (WAVES * 200).astype(">i2"),
    "32 bits": (WAVES * 1e6).astype(np.int32),
    "64 bits": np.array([[0, 2**64 - 1], [2**63, 1]], np.uint64),
    "signed 64 bits": np.array([[0, -(2**63)], [2**63 - 1, -1]], np.int64),
    "half": WAVES.astype(np.float16),
    "single": WAVES.astype(np.float32),
    "double": WAVES[:2],
    "Fortran order": np.asfortranarray(WAVES.astype(np.float32)),
    "signs of zero": np.array([[0.0, -0.0, 1.0]], np.float32),
    "infinite": np.array([[np.inf, -np.inf, 5e-324]]),
    "kinds of NaN": np.array([[0x7FC00001, 0xFFC12345, 0x7F800001, 0xFFFFFFFF]], np.uint32).view(np.float32),
    "bytes as fractions": ((WAVES + 120).astype(np.uint8) / np.float32(255)).astype(np.float32),
    "words as fractions": (np.arange(630, dtype=np.uint16).reshape(21, 30) * 99 / 65535),
    "whole numbers": np.rint(WAVES + 120).astype(np.float16),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back(name: str) -> None:
    array = ARRAYS[name]
    data = densezip.compress(array, effort=1)
    again = np.asarray(densezip.decompress(data))
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
    assert (again.dtype, again.shape) == (native.dtype, native.shape)
    assert again.tobytes() == native.tobytes()
    assert densezip.info(data).format_version == 6
    assert densezip.info(data).source == "array"
    densezip.verify(data)


def test_fractions_of_bytes_take_what_the_bytes_take() -> None:
    stack, fractions = (len(densezip.compress(ARRAYS[name], effort=1)) for name in ("stack", "bytes as fractions"))
    assert abs(fractions - stack) <= 2


def test_planes_that_are_alike_lie_side_by_side_and_others_do_not() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (100, 110))
    alike = np.stack([noise + k for k in range(6)]).astype(np.uint8)
    data = densezip.compress(alike, effort=1)
    assert densezip.info(data).channels == 3
    assert len(data) < 0.45 * alike.nbytes
    assert np.array_equal(np.asarray(densezip.decompress(data)), alike)
    unlike = random.integers(0, 200, (5, 60, 70)).astype(np.uint8)
    assert densezip.info(densezip.compress(unlike, effort=1)).channels == 1


def test_it_is_exported_as_numpy_has_it_and_as_nothing_else(tmp_path: Any) -> None:
    data = densezip.compress(ARRAYS["single"], effort=1)
    exported = densezip.export(data)
    (tmp_path / "x.npy").write_bytes(exported.data)
    assert exported.extension == "npy"
    assert np.array_equal(np.load(tmp_path / "x.npy"), ARRAYS["single"])
    with pytest.raises(densezip.OutputFormatError, match="npy can hold it, png cannot"):
        densezip.export(data, "png")
    with pytest.raises(densezip.UsageError, match="region"):
        densezip.decompress(data, region=(0, 0, 2, 2))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5),
        np.zeros((5, 5), complex),
        np.zeros((0, 3, 9)),
        np.zeros((3, 3), "datetime64[s]"),
        np.zeros([1] * 17),
    ],
    ids=["one dimension", "complex", "empty", "dates", "too many dimensions"],
)
def test_others_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(densezip.UnsupportedImageError, match="an array of shape"):
        densezip.compress(array)


def test_too_large_ones_are_refused_before_the_work_and_by_the_reader() -> None:
    with pytest.raises(densezip.LimitError):
        densezip.compress(ARRAYS["single"], max_pixels=2 * 7 * 21 * 30 - 1)
    data = densezip.compress(ARRAYS["single"], effort=1, max_pixels=2 * 7 * 21 * 30)
    found = densezip.info(data)
    with pytest.raises(densezip.LimitError):
        densezip.decompress(data, max_pixels=found.width * found.height - 1)


def test_a_description_that_lies_is_an_error() -> None:
    container = parse(densezip.compress(ARRAYS["single"][:2, :5, :6], effort=1))
    header = container.header
    ((name, good),) = header.chunks
    tiles = [bytes(container.tile(0))]
    refused = 0
    for place in range(len(good)):
        for value in (0, 1, 3, 7, 127, 255):
            bad = good[:place] + bytes([value]) + good[place + 1 :]
            changed = type(header)(**{**vars(header), "chunks": ((name, bad),)})
            try:
                densezip.decompress(serialise(changed, tiles))
            except densezip.DensezipError:
                refused += bad != good
    assert refused > 30
    assert sheet_of(ARRAYS["single"][:2, :5, :6]).chunks == ((name, good),)
