"""Images by a codec of one's own, in a .dz file."""

from __future__ import annotations

from typing import Any

import densezip
import numpy as np
import pytest
import torch
from densezip.codec import (
    FLOW_BAND,
    Affine,
    CalibratedGaussian,
    Calibration,
    Composition,
    Dequantized,
    Grid,
    Independent,
    LocalBitsBack,
    LogisticMixture,
    coupling,
    elementwise,
    read_batch,
    reshape,
    write_batch,
)
from densezip.codec.errors import (
    CorruptPayloadError,
    FormatError,
    LimitError,
    SymbolError,
    TruncatedError,
    UnknownModelError,
    UnsupportedImageError,
    UsageError,
)
from densezip.codec.fields import varint
from densezip.codec.file.container import parse, serialise
from torch import Tensor


def _codec(calibration: Calibration, shape: tuple[int, ...], size: int = 256) -> Any:
    """Every sample about half way up, whatever the image."""
    count = int(np.prod(shape))
    parameters = torch.full((count, 2), 0.3137, dtype=torch.float64)

    def pmf(rounded: Tensor) -> LogisticMixture:
        one = torch.ones_like(rounded[:, :1])
        return LogisticMixture(one, size / 2 + rounded[:, :1], size / 8 * torch.exp(rounded[:, 1:]), size)

    inner = calibration.codec(parameters, pmf)

    class Shaped:
        def push(self, message: Any, symbols: Tensor) -> None:
            inner.push(message, symbols.reshape(-1))

        def pop(self, message: Any) -> Tensor:
            return inner.pop(message).view(shape)

    return Shaped()


def _write(images: Any, size: int = 256) -> Any:
    samples = images[..., None] if images.ndim == 3 else images
    shape = (samples.shape[0], samples.shape[3], *samples.shape[1:3])
    return write_batch(images, lambda c: _codec(c, shape, size), model="mine", digest=b"1234", lanes=8)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 4, 1, 3), (1, 6, 2, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_batches_come_back(shape: tuple[int, ...], dtype: Any) -> None:
    size = np.iinfo(dtype).max + 1
    images = np.random.default_rng(0).integers(0, size, shape).astype(dtype)
    data, cost = _write(images, size)
    found = read_batch(data, lambda c, s: _codec(c, s, size), model="mine", digest=b"1234more")
    assert found.dtype == dtype
    assert np.array_equal(found, images)
    assert cost.file == 8 * len(data)
    assert 0 <= cost.initial <= 8  # a bit for each lane
    assert cost.net + cost.side <= cost.file <= cost.net + cost.side + 8 * 40 + 8 * 38 + 72
    info = densezip.info(data)
    assert (info.payload, info.model, info.portable, info.format_version) == ("batch", "mine", False, 3)
    assert (info.calibrated, info.images) == (True, shape[0])


def test_other_models_and_damage_are_named() -> None:
    data, _ = _write(np.full((2, 3, 3), 7, np.uint8))

    def read(data: bytes, model: str = "mine", digest: bytes = b"1234") -> Any:
        return read_batch(data, _codec, model=model, digest=digest)

    with pytest.raises(UnknownModelError, match=r"coded by model mine \(31323334\); this is yours"):
        read(data, model="yours")
    with pytest.raises(UnknownModelError):
        read(data, digest=b"9999")
    with pytest.raises(UnknownModelError, match="read_batch decodes it"):
        densezip.decompress(data)
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            read(bytes(damaged))


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 2), np.uint8), np.zeros((1, 2, 2, 5), np.uint8), np.zeros((1, 2, 2)), np.zeros((0, 2, 2), np.uint8)],
)
def test_other_arrays_are_refused(images: Any) -> None:
    with pytest.raises(UnsupportedImageError, match="is needed"):
        write_batch(images, lambda c: Independent(lambda a, b: None, 0), model="m", digest=b"1234", lanes=1)  # type: ignore[arg-type,return-value]


def test_what_no_reader_would_take_is_refused_before_coding() -> None:
    images = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)
    swapped, _ = _write(images.astype(">u2"), 65536)
    found = read_batch(swapped, lambda c, s: _codec(c, s, 65536), model="mine", digest=b"1234")
    assert np.array_equal(found, images)
    for name in ("", "modèl", "a\nb"):
        with pytest.raises(UsageError, match="printable ASCII"):
            write_batch(images, lambda c: _codec(c, (2, 1, 4, 5)), model=name, digest=b"1234", lanes=1)
    with pytest.raises(UsageError, match="0 lanes"):
        write_batch(images, lambda c: _codec(c, (2, 1, 4, 5)), model="m", digest=b"1234", lanes=0)
    with pytest.raises(SymbolError, match=r"\[40\]; \[20\] is needed"):
        write_batch(images, lambda c: _codec(c, (1, 1, 4, 5), 65536), model="m", digest=b"1234", lanes=1)
    with pytest.raises(LimitError, match="the limit is 39"):
        read_batch(swapped, lambda c, s: _codec(c, s, 65536), model="mine", digest=b"1234", max_pixels=39)


def test_a_flow_writes_files_that_another_batch_size_reads() -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(60, 16), torch.nn.Tanh(), torch.nn.Linear(16, 60)).double()
    unit = Affine(torch.tensor([-2.0]).double(), torch.tensor([1 / 64]).double())

    def codec(calibration: Calibration, shape: tuple[int, ...], alone: bool) -> Any:
        def conditioner(known: Tensor) -> Affine:
            parts = [net(row[None]) for row in known] if alone else [net(known)]  # the same but for last bits
            shift, log_scale = torch.cat(parts).detach().chunk(2, -1)
            return Affine(shift, torch.exp(torch.tanh(log_scale)))

        flow = Composition([reshape(shape[1:], (60,)), elementwise(unit), coupling(torch.arange(30), conditioner)])
        grid = Grid(gaussian=CalibratedGaussian(calibration))
        zeros = torch.zeros(shape[0], 60, dtype=torch.float64)
        prior = grid.gaussian(zeros, torch.ones_like(zeros), grid.bits)
        return Dequantized(LocalBitsBack(flow, prior, grid), grid.bits)

    data, cost = write_batch(
        images, lambda c: codec(c, (3, 3, 4, 5), True), model="flow", digest=b"1234", lanes=60, band=FLOW_BAND
    )
    found = read_batch(data, lambda c, s: codec(c, s, False), model="flow", digest=b"1234")
    assert np.array_equal(found, images)
    assert cost.initial > 0
    assert densezip.info(data).calibrated


@pytest.mark.parametrize("count", [0, 4, 2**40])
def test_info_of_a_batch_that_cannot_be_is_refused(count: int) -> None:
    container = parse(_write(np.full((2, 3, 3), 7, np.uint8))[0])
    tile = bytes(container.tile(0))
    damaged = serialise(container.header, [varint(count) + tile[1:]])
    with pytest.raises(CorruptPayloadError, match=f"{count} images in 6 rows"):
        densezip.info(damaged)
    with pytest.raises(TruncatedError, match="exceptions"):
        densezip.info(serialise(container.header, [varint(2) + varint(1000)]))
