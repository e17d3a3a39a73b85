"""The laws of taking an image file apart and making it again, for every format's module."""

import contextlib
import tracemalloc
from types import ModuleType
from typing import Any

import numpy as np
from densezip.codec.errors import CorruptPayloadError, DensezipError, FormatError
from densezip.codec.images.picture import Picture

__all__ = ["LIMIT", "bare", "check_mutations", "comes_back", "picture_comes_back"]

LIMIT = 2**20
# What a mutated file or remainder may cost: some of these files are a hundred bytes.
MEMORY = 2**26


def bare(picture: Picture) -> Picture:
    """The pixels alone, as a decoder has them before it has read the rest."""
    return Picture(picture.pixels, picture.mode, picture.bits)


def comes_back(module: Any, data: bytes) -> tuple[Picture, bytes]:
    """Check that a file comes back byte for byte, and its metadata from its skeleton; the picture and the remainder."""
    picture = module.read(data, LIMIT)
    parts = module.split(data, picture)
    assert parts is not None
    assert parts.exact
    assert module.join(bare(picture), parts.remainder) == data
    small = module.skeleton(parts.remainder)
    assert module.read(small, LIMIT).chunks == picture.chunks
    return picture, parts.remainder


def picture_comes_back(module: Any, data: bytes) -> tuple[Picture, bytes]:
    """Check that the pixels and all that surrounds them come back, and that this is so for the new file too."""
    picture = module.read(data, LIMIT)
    parts = module.split(data, picture)
    assert parts is not None
    again = module.join(bare(picture), parts.remainder)
    found = module.read(again, LIMIT)
    assert (found.mode, found.bits, found.chunks) == (picture.mode, picture.bits, picture.chunks)
    assert np.array_equal(found.pixels, picture.pixels)
    second = module.split(again, found)
    assert second is not None
    assert second.remainder == parts.remainder
    assert module.read(module.skeleton(parts.remainder), LIMIT).chunks == picture.chunks
    return picture, parts.remainder


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy with a few bytes changed, cut out, put in, or cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(out) + 1)) if rng.integers(3) else int(rng.integers(min(len(out), 80) + 1))
        action = rng.integers(6)
        if action == 0:
            del out[place : place + int(rng.integers(1, 9))]
        elif action == 1:
            out[place:place] = rng.bytes(int(rng.integers(1, 9)))
        elif action == 2:
            del out[place:]
        elif place < len(out):
            out[place] = (0, 255, 128, int(rng.integers(256)), out[place] ^ 1 << int(rng.integers(8)))[rng.integers(5)]
    return bytes(out)


def check_mutations(module: ModuleType | Any, data: bytes, count: int, seed: int = 0) -> None:
    """Check that a damaged file is refused or comes back, that a damaged remainder is refused, and what both cost."""
    rng = np.random.default_rng(seed)
    picture = module.read(data, LIMIT)
    remainder = module.split(data, picture).remainder
    tracemalloc.start()
    try:
        for _ in range(count):
            damaged = mutated(data, rng)
            with contextlib.suppress(DensezipError):
                found = module.read(damaged, LIMIT)
                parts = module.split(damaged, found)
                if parts is not None and parts.exact:
                    assert module.join(bare(found), parts.remainder) == damaged
            for function in (lambda rest: module.join(bare(picture), rest), module.skeleton):
                with contextlib.suppress(CorruptPayloadError):
                    function(mutated(remainder, rng))
        assert tracemalloc.get_traced_memory()[1] < MEMORY + 64 * len(data)
    except FormatError as error:
        raise AssertionError("a damaged remainder leads to something else than a CorruptPayloadError") from error
    finally:
        tracemalloc.stop()
