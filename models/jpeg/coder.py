"""The shipped models of coefficients by name, and as the coders that the codec layer takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...codec.errors import UnknownModelError, WeightsError
from ...codec.file.recoding import SegmentCoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...codec.images.jpeg.frame import Frame, Rows
    from ...codec.images.jpeg.scans import Planes

__all__ = ["MODELS", "coder_for_effort", "coder_of_header", "digest_of", "taps"]

REVISIONS = {"jpeg-1": 3, "jpeg-5": 1, "jpeg-9": 1}
"""Of each model the changes of its compiled part that change what a file means, counted."""


class Model(NamedTuple):
    """Contexts and a bias, and the most lines of counters of each context."""

    inputs: int
    lines: int


MODELS = {"jpeg-1": Model(4, 2**14), "jpeg-5": Model(16, 2**16), "jpeg-9": Model(24, 2**17)}
FEWEST_LINES = 2**10

FILES = {
    "taps.npy": "581e52f4b32a688dac9d1a6713208b1445166d5d332667efa3dbcecdab1cbe42",
    "jpeg-1.weights": "f0f45c415da3877e5fbb3c74e2dfcbb48cb34ea937f7c4c35756dba045e9ca91",
    "jpeg-5.weights": "d86e7a09ffb442561d2fc124e2db3913ff92d5cd284111882940a4384edfb6fa",
    "jpeg-9.weights": "76095d2e899118380ee1975cdf2ac00ec3342229f1abbdc7019239bb0d8d5801",
}
"""The shipped files, and the SHA-256 of each: they are part of what a model's name and digest mean."""


def _read(name: str) -> bytes:
    """The bytes of a shipped file.

    Raises:
        WeightsError: it is missing, damaged, or another than the package came with.
    """
    file = Path(__file__).with_name(name)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"the weights {file} cannot be read: {error.strerror or error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != FILES[name]:
        raise WeightsError(f"the weights {file} are damaged: their SHA-256 begins with {found[:16]}")
    return data


@lru_cache(maxsize=1)
def taps() -> NDArray[np.float32]:
    """The taps of the predictors, of all models; raises WeightsError."""
    import io

    import numpy as np

    found: NDArray[np.float32] = np.load(io.BytesIO(_read("taps.npy"))).astype(np.float32)
    return found


@lru_cache(maxsize=len(MODELS))
def _weights(name: str) -> list[NDArray[np.float32]]:
    """The weights with which a model begins; raises WeightsError."""
    from .engine import read_weights

    return read_weights(_read(f"{name}.weights"), MODELS[name].inputs)


def digest_of(name: str) -> bytes:
    """The first bytes of a hash of all that determines what a model says."""
    known = FILES["taps.npy"], FILES[f"{name}.weights"]
    return hashlib.sha256(f"{REVISIONS[name]} {name} {MODELS[name]!r} {known!r}".encode()).digest()[:4]


def _lines(model: Model, frames: Sequence[Frame], parts: Sequence[Rows]) -> int:
    """Lines of counters of each context: a power of two, four for a block or more where that is not too many."""
    blocks = 0
    for part in parts:
        frame = frames[part.image]
        mcu = sum(component.across * component.down for component in frame.components)
        blocks += (part.last - part.first) * -(-frame.width // frame.mcu[0]) * mcu
    return min(model.lines, max(FEWEST_LINES, 1 << (4 * blocks).bit_length()))


def _coder(name: str) -> SegmentCoder:
    model = MODELS[name]

    def run(
        frames: Sequence[Frame],
        planes: Sequence[Planes],
        parts: Sequence[Rows],
        progress: Callable[[int], None],
        data: bytes | None,
    ) -> bytes:
        from .engine import Session

        session = Session(model.inputs, _lines(model, frames, parts), taps(), data, _weights(name))
        for part in parts:
            session.code(frames[part.image], planes[part.image], part, progress)
        return session.finish()

    def encode(
        frames: Sequence[Frame], planes: Sequence[Planes], parts: Sequence[Rows], progress: Callable[[int], None]
    ) -> bytes:
        return run(frames, planes, parts, progress, None)

    def decode(
        data: bytes,
        frames: Sequence[Frame],
        planes: Sequence[Planes],
        parts: Sequence[Rows],
        progress: Callable[[int], None],
    ) -> None:
        run(frames, planes, parts, progress, data)

    return SegmentCoder(name, digest_of(name), encode, decode)


def coder_for_effort(effort: int) -> SegmentCoder:
    """The coder of an effort from 1 to 9: of 1 to 3 the fast one, of 7 to 9 the best one, else the default."""
    return _coder(f"jpeg-{1 if effort <= 3 else 5 if effort <= 6 else 9}")


def coder_of_header(name: str, digest: bytes) -> SegmentCoder:
    """The coder that wrote a file.

    Raises:
        UnknownModelError: its model is not here.
    """
    if name in MODELS and digest_of(name) == digest:
        return _coder(name)
    known = ", ".join(f"{name} ({digest_of(name).hex()})" for name in MODELS)
    raise UnknownModelError(f"coded by model {name} ({digest.hex()}); this program knows {known}")
