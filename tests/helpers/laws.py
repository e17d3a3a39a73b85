"""The laws that every coder and every distribution keeps, stated once."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from densezip.codec.entropy import rangecoder
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.codecs import Codec
from densezip.codec.entropy.pmf import Pmf as TensorPmf
from densezip.codec.entropy.rans import Message
from densezip.models.shapes import ImageModel
from numpy.typing import NDArray

__all__ = ["Pmf", "check_codec", "check_model", "check_pmf", "check_range_coder", "check_tensor_pmf"]

Integers = NDArray[np.int64]


class Pmf(Protocol):
    """A distribution in integers: symbol i has the interval [start, start + freq) of 2^precision."""

    @property
    def precision(self) -> int:
        """Bits."""
        ...

    def interval(self, symbols: Integers) -> tuple[Integers, Integers]:
        """(start, freq) of each symbol."""
        ...

    def locate(self, slots: Integers) -> Integers:
        """The symbol whose interval holds each slot."""
        ...


def check_pmf(pmf: Pmf, size: int, seed: int = 0) -> None:
    """Intervals of the symbols 0 to size - 1 fill 2^precision without gaps, and `locate` inverts `interval`."""
    symbols = np.arange(size)
    start, freq = pmf.interval(symbols)
    assert start[0] == 0
    assert freq.min() >= 1
    assert (start[1:] == start[:-1] + freq[:-1]).all()
    assert start[-1] + freq[-1] == 1 << pmf.precision
    if pmf.precision <= 16:
        assert (pmf.locate(np.arange(1 << pmf.precision)) == np.repeat(symbols, freq)).all()
        return
    inside = start + np.random.default_rng(seed).integers(0, freq)
    for slots in (start, start + freq - 1, inside):
        assert (pmf.locate(slots) == symbols).all()


def check_range_coder(start: Integers, freq: Integers, precision: Integers) -> bytes:
    """Every symbol is found again, in as few bytes as the probabilities allow; returns the bytes."""
    state, out = rangecoder.new_state(), np.zeros((start.size + 1) * rangecoder.FLUSH_BYTES, np.uint8)
    rangecoder.encode(state, out, start, freq, precision)
    length = rangecoder.finish(state, out)
    ideal = float((precision - np.log2(freq)).sum())
    assert length * 8 <= ideal * 1.001 + 64
    state, data = rangecoder.new_state(), out[:length].copy()
    rangecoder.start_decoding(state, data)
    for first, width, bits in zip(start.tolist(), freq.tolist(), precision.tolist(), strict=True):
        assert first <= rangecoder.slot(state, bits) < first + width
        rangecoder.consume(state, data, first, width, bits)
    assert int(state[rangecoder.POSITION]) - length <= 2 * rangecoder.FLUSH_BYTES
    return data.tobytes()


def check_tensor_pmf(pmf: TensorPmf, size: int, lanes: int) -> None:
    """The law of `check_pmf` on every lane of a distribution over tensors."""
    ends = [pmf.interval(torch.full((lanes,), symbol)) for symbol in range(size)]
    start, freq = (torch.stack([end[side] for end in ends]) for side in (0, 1))  # [size, lanes]
    assert (start[0] == 0).all()
    assert (freq >= 1).all()
    assert torch.equal(start[1:], start[:-1] + freq[:-1])
    assert (start[-1] + freq[-1] == 1 << pmf.precision).all()
    if pmf.precision <= 6:
        for slot in range(1 << pmf.precision):
            assert torch.equal(pmf.locate(torch.full((lanes,), slot)), (start <= slot).sum(0) - 1)
        return
    for symbol in range(size):
        for slots in (start[symbol], start[symbol] + freq[symbol] - 1):
            assert (pmf.locate(slots) == symbol).all()


def check_codec(codec: Codec[Any], symbols: Any, lanes: int, words: int = 4096) -> float:
    """Pop undoes push and push undoes pop, on a full message and after it was written down; returns the bits pushed."""
    message = Message.random(lanes, words)
    before, begun = message.to_bytes(), message.bits
    codec.push(message, symbols)
    net, data = message.bits - begun, message.to_bytes()
    message = Message.from_bytes(data)
    _same(codec.pop(message), symbols)
    assert message.to_bytes() == before
    drawn = codec.pop(message)
    codec.push(message, drawn)
    assert message.to_bytes() == before
    return net


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
        return
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        _same(one, other)


def check_model(model: ImageModel, images: torch.Tensor, lanes: int = 64, words: int = 2**16) -> float:
    """Images are popped as they were pushed, calibrated, in turn and all at once; returns bits of the former.

    The message is then as it was.

    Args:
        model: in float64.
        images: int64 [B, C, H, W]
        lanes: of the message.
        words: of random bits in it.
    """
    nets = []
    size = (images.shape[1], images.shape[2], images.shape[3])
    for parts in (list(torch.split(images, 1)), [images]):
        message, calibration = Message.random(lanes, words), Calibration(model.band)
        before, begun = message.to_bytes(), message.bits
        for part in parts:
            model.codec(calibration, (len(part), *size)).push(message, part)
        nets.append(message.bits - begun)
        message, calibration = Message.from_bytes(message.to_bytes()), Calibration.from_bytes(calibration.to_bytes())
        for part in reversed(parts):
            found = model.codec(calibration, (len(part), *size)).pop(message)
            assert torch.equal(found, part)
        calibration.finish()
        assert message.to_bytes() == before
    drawn = 0.1 if model.borrows else 0.01  # where latents are drawn, both are samples of what is reported
    assert abs(nets[0] - nets[1]) < drawn * nets[0] + 64
    return nets[0]
