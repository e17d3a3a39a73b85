"""A stack of symbols over many lanes at once: asymmetric numeral systems with one tail for all lanes (rANS).

Every lane is a coder of its own, a *head* in [2^31, 2^63); the 32-bit words that do not fit into the heads lie on one
shared *tail*, so that a thousand lanes cost their heads and nothing else. The arithmetic is in 64-bit integers of
torch, the same on every device, and a few operations serve all lanes: there is no loop in Python over symbols or lanes.
On the CPU the same arithmetic is compiled C (`lanes`), which spares the time that many small operations take.

Pop inverts push and push inverts pop, to the last bit of the message: that makes bits-back coding possible.

Source: Duda, *Asymmetric numeral systems* (2013); interleaved heads as in Giesen, *Interleaved entropy coders* (2014).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import CorruptPayloadError, IntervalError, TruncatedError
from . import lanes as compiled_lanes
from .tail import LEAST, LEAST_BITS, LENT_SEED, Loan, Tail, draw_words, lent_heads

__all__ = ["MAX_PRECISION", "Message"]

_WORD = 32
_HEAD = 63
"""Bits of a full head."""

_SCRAMBLED = 26
"""Bits at the low end of a head that are scrambled."""

MAX_PRECISION = LEAST_BITS
"""Most bits of a distribution that a head can take: 2^31 of them must fit into the least head."""

_LENGTH_BITS = 6
"""Bits that tell the length of a head in the written form."""

_COUNTS_SIZE = 8
"""Bytes of the number of lanes and of the number of words before a written message."""

_POWERS = 1 << np.arange(_HEAD)


class Message:
    """A stack of symbols: what was pushed last is popped first.

    Args:
        lanes: number of coders side by side; each push takes one symbol for each.
        device: where the message lives.

    An empty message holds no bits. What it costs to write it down, beyond its bits, is stated at `to_bytes`.
    """

    def __init__(self, lanes: int, device: torch.device | str | None = None) -> None:
        if lanes < 1:
            raise ValueError(f"a message of {lanes} lanes")
        self._head = torch.full((lanes,), LEAST, dtype=torch.int64, device=device)  # [lanes]
        self._compiled = compiled_lanes.served(self._head)
        self._tail = Tail(torch.zeros(0, dtype=torch.int32, device=device))
        self._loan: Loan | None = None

    @classmethod
    def lending(cls, lanes: int, device: torch.device | str | None = None, *, words: bool = True) -> Message:
        """An empty message that lends the initial bits of bits-back coding: as many words as are popped too early.

        A lane that is used is lent a head with random digits, of one bit at most: else its slots would begin with
        zeros, and be no samples of a posterior. What is lent is the same every time and stays in the message, at the
        bottom: `lent` tells how many of its `bits` it is, and `is_lent_only` whether it is all that is left.

        Args:
            lanes: number of lanes.
            device: where the message lives.
            words: lend words too; else popping more than there is is an error, as ever.
        """
        message = cls(lanes, device)
        message._tail = Tail(message._tail.all(), np.random.PCG64(LENT_SEED) if words else None)
        message._loan = Loan(torch.from_numpy(lent_heads(lanes)).to(message.device))
        return message

    @property
    def lent(self) -> float:
        """Bits that were lent; 0 for a message that does not lend."""
        if self._loan is None:
            return 0.0
        heads = self._loan.heads[self._loan.lent].double()
        return _WORD * self._tail.lent + float((torch.log2(heads) - LEAST_BITS).sum())

    @property
    def is_lent_only(self) -> bool:
        """Whether nothing is in the message but what a lending one begins with."""
        heads, words = self._head.cpu().numpy(), self._tail.all().cpu().numpy()
        return bool(
            ((heads == LEAST) | (heads == lent_heads(self.lanes))).all()
            and (words == draw_words(np.random.PCG64(LENT_SEED), len(words))[::-1]).all()
        )

    @classmethod
    def random(cls, lanes: int, words: int, seed: int = 0, device: torch.device | str | None = None) -> Message:
        """A message full of random bits, from which bits-back coding can borrow.

        Args:
            lanes: number of lanes.
            words: words of 32 bits on the tail, for all lanes together.
            seed: the same seed gives the same bits with one version of numpy.
            device: where the message lives.
        """
        rng = np.random.default_rng(seed)
        message = cls(lanes, device)
        message._head.copy_(torch.from_numpy(rng.integers(LEAST, 1 << _HEAD, lanes, dtype=np.int64)))
        drawn = rng.integers(0, 1 << _WORD, words, dtype=np.uint32).view(np.int32)
        message._tail.append(torch.from_numpy(drawn).to(message.device))
        return message

    @property
    def lanes(self) -> int:
        """Symbols of a push."""
        return len(self._head)

    @property
    def device(self) -> torch.device:
        """Where the message lives, and its symbols with it."""
        return self._head.device

    @property
    def bits(self) -> float:
        """Information in the message: 0 when it is empty, and after a push more by -log2 of the symbols' probability.

        Heads are integers, so a single push is rounded; over many the sum is right to some 1e-5 of it. A part of a
        message counts the words of the whole.
        """
        return _WORD * len(self._tail) + float(torch.log2(self._head.double()).sum()) - LEAST_BITS * self.lanes

    def part(self, first: int, stop: int) -> Message:
        """The lanes first to stop - 1 as a message that shares its heads and its tail with this one."""
        if not 0 <= first < stop <= self.lanes:
            raise ValueError(f"lanes {first} to {stop} of a message of {self.lanes}")
        part = object.__new__(Message)
        part._head, part._tail = self._head[first:stop], self._tail
        part._compiled = self._compiled
        part._loan = None if self._loan is None else self._loan.part(first, stop)
        return part

    def scramble(self, seed: int) -> None:
        """Flip random ones of the bits of every head that the next symbol is made of; the same again undoes it.

        That costs nothing, as these are low ones: flipping all below the topmost of a head would take 0.002 bits.

        Args:
            seed: of the bits, for symbols of a precision of at most 26 bits.
        """
        digits = np.random.PCG64(seed).random_raw(self.lanes) & ((1 << _SCRAMBLED) - 1)
        self._head.bitwise_xor_(torch.from_numpy(digits.astype(np.int64)).to(self.device))

    def push(self, start: Tensor, freq: Tensor, precision: int) -> None:
        """Put one symbol on every lane, each with the interval [start, start + freq) of 2^precision.

        Args:
            start: [lanes] int64
            freq: [lanes] int64
            precision: bits, at most `MAX_PRECISION`.

        Raises:
            IntervalError: an interval is empty or not inside the range; the message is as before.
        """
        if self._compiled:
            self._prepare(start, freq, precision)
            head, tail = self._head, self._tail
            size = compiled_lanes.push(head, start, freq, precision, tail.room(head.numel()), len(tail))
            if size < 0:
                self._check(start, freq, precision)
            else:
                tail.resize(size)
            return
        self._check(start, freq, precision)
        self._lend()
        head = self._head
        full = head >> (_HEAD - precision) >= freq  # or the head would grow beyond its bits
        self._tail.append(_to_word(head[full]))
        head = torch.where(full, head >> _WORD, head)
        quotient = torch.div(head, freq, rounding_mode="floor")
        self._head.copy_((quotient << precision) + (head - quotient * freq) + start)

    def peek(self, precision: int) -> Tensor:
        """The slot of every lane: a number below 2^precision in the interval of the symbol on top.

        Returns:
            [lanes] int64
        """
        _check_precision(precision)
        self._lend()
        return self._head & ((1 << precision) - 1)

    def pop(self, start: Tensor, freq: Tensor, precision: int) -> None:
        """Take the symbol on top of every lane away, whose intervals hold what `peek` gave.

        Args:
            start: [lanes] int64
            freq: [lanes] int64
            precision: bits, at most `MAX_PRECISION`.

        Raises:
            IntervalError: a slot is not inside its interval.
            MessageExhaustedError: there are not enough bits in the message, which is as before.
        """
        if self._compiled:
            self._prepare(start, freq, precision)
            operands, tail = (self._head, start, freq, precision), self._tail
            size = compiled_lanes.pop(*operands, tail.words, len(tail))
            if size == -2:
                tail.need(compiled_lanes.words_of_pop(*operands))
                size = compiled_lanes.pop(*operands, tail.words, len(tail))
            if size < 0:
                self._check(start, freq, precision)
                raise self._outside(compiled_lanes.first_outside(*operands), start, freq, precision)
            tail.resize(size)
            return
        self._check(start, freq, precision)
        self._lend()
        offset = self.peek(precision) - start
        outside = (offset < 0) | (offset >= freq)
        if bool(outside.any()):
            raise self._outside(int(outside.nonzero()[0]), start, freq, precision)
        head = freq * (self._head >> precision) + offset
        short = head < LEAST
        words = self._tail.take(int(short.sum()))
        head[short] = (head[short] << _WORD) | (words.long() & 0xFFFFFFFF)
        self._head.copy_(head)

    def _lend(self) -> None:
        if self._loan is not None:
            self._loan.lend(self._head)

    def _prepare(self, start: Tensor, freq: Tensor, precision: int) -> None:
        """Check what the compiled loops do not, which check intervals themselves; and lend what is to be lent."""
        shape, integers = self._head.shape, torch.int64
        sound = start.shape == shape == freq.shape and start.dtype is integers is freq.dtype
        sound = sound and start.is_cpu and freq.is_cpu and 0 <= precision <= MAX_PRECISION
        if not sound or self._loan is not None:
            self._check(start, freq, precision)  # before anything is lent
            self._lend()

    def _outside(self, lane: int, start: Tensor, freq: Tensor, precision: int) -> IntervalError:
        return IntervalError(
            f"lane {lane} holds slot {int(self.peek(precision)[lane])}, which is not in the interval popped: "
            f"start {int(start[lane])}, freq {int(freq[lane])}"
        )

    def _check(self, start: Tensor, freq: Tensor, precision: int) -> None:
        _check_precision(precision)
        if start.shape != self._head.shape or freq.shape != self._head.shape:
            raise IntervalError(f"start {list(start.shape)} and freq {list(freq.shape)} for {self.lanes} lanes")
        if start.dtype != torch.int64 or freq.dtype != torch.int64:
            raise IntervalError(f"start and freq are {start.dtype} and {freq.dtype}; int64 is needed")
        if not start.device == freq.device == self._head.device:
            raise IntervalError(f"start on {start.device} and freq on {freq.device} for heads on {self._head.device}")
        if self._compiled:
            lane = compiled_lanes.first_no_interval(start, freq, precision)
        else:
            # One reduction: the sign bit of any of the three shows a wrong interval.
            end = 1 << precision
            wrong = start | (freq - 1) | (end - freq) | (end - start - freq)
            lane = int((wrong < 0).nonzero()[0]) if int(wrong.min()) < 0 else -1
        if lane >= 0:
            raise IntervalError(
                f"lane {lane}: start {int(start[lane])}, freq {int(freq[lane])} is no interval of 2^{precision}"
            )

    def to_bytes(self) -> bytes:
        """The message written down.

        Beside the information in it (`bits`) this costs 8 bytes, one bit for each empty lane, about 37 bits for each
        other one, and the end of the last byte: 136 bytes for an empty message of 1,024 lanes.
        """
        excess = self._head.cpu().numpy() - LEAST  # [lanes], 0 for an empty lane
        used = excess > 0
        excess = excess[used]
        length = np.searchsorted(_POWERS, excess, side="right")  # bits of each, 1 to 63; the topmost need not be told
        digits = (excess[:, None] >> np.arange(_HEAD)) & 1
        below = np.arange(_HEAD) < (length - 1)[:, None]
        lengths = ((length - 1)[:, None] >> np.arange(_LENGTH_BITS)) & 1
        heads = np.packbits(np.concatenate([used, lengths.ravel(), digits[below]]).astype(np.uint8)).tobytes()
        counts = np.array([self.lanes, len(self._tail)], "<u4").tobytes()
        return counts + heads + self._tail.all().cpu().numpy().astype("<i4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str | None = None) -> Message:
        """The message that `to_bytes` wrote.

        Raises:
            TruncatedError: the data end before the message does.
            CorruptPayloadError: no message is written like this.
        """
        if len(data) < _COUNTS_SIZE:
            raise TruncatedError(f"a message of {len(data)} bytes; its counts alone take {_COUNTS_SIZE}")
        lanes, words = (int(n) for n in np.frombuffer(data, "<u4", 2))
        end = len(data) - 4 * words
        short = TruncatedError(f"{len(data)} bytes cannot hold a message of {lanes} lanes and {words} words")
        if lanes < 1 or end - _COUNTS_SIZE < -(-lanes // 8):
            raise short
        bits = np.unpackbits(np.frombuffer(data, np.uint8)[_COUNTS_SIZE:end])
        used = bits[:lanes] > 0
        count = int(used.sum())
        rest = bits[lanes:]
        if len(rest) < _LENGTH_BITS * count:
            raise short
        lengths, rest = rest[: _LENGTH_BITS * count].reshape(count, _LENGTH_BITS), rest[_LENGTH_BITS * count :]
        below = lengths.astype(np.int64) @ (1 << np.arange(_LENGTH_BITS))  # [count] digits beside the topmost
        size = int(below.sum())
        if len(rest) < size:
            raise short
        if len(rest) - size > 7 or rest[size:].any():
            raise CorruptPayloadError(f"{len(rest) - size} bits too many in the heads of a message")
        found, first = 1 << below, np.cumsum(below) - below
        for digit in range(_HEAD):  # digit by digit: all at once would take hundreds of bytes for each one of the data
            has = (below > digit).nonzero()[0]
            found[has] += rest[first[has] + digit].astype(np.int64) << digit
        excess = np.zeros(lanes, np.int64)
        excess[used] = found
        if (below >= _HEAD).any() or (excess > (1 << _HEAD) - 1 - LEAST).any():
            raise CorruptPayloadError("a head of a message is beyond 2^63")
        message = cls(lanes, device)
        message._head.copy_(torch.from_numpy(excess + LEAST))
        message._tail.append(torch.from_numpy(np.frombuffer(data, "<i4", words, end).copy()).to(message.device))
        return message


def _check_precision(precision: int) -> None:
    if not 0 <= precision <= MAX_PRECISION:
        raise IntervalError(f"a precision of {precision} bits; a message takes 0 to {MAX_PRECISION}")


def _to_word(head: Tensor) -> Tensor:
    """The low 32 bits as the same bits of an int32."""
    return (((head & 0xFFFFFFFF) ^ (1 << 31)) - (1 << 31)).to(torch.int32)
