"""What the page's decoders take from the Python modules: models, tables, and the structures that the core reads."""

from __future__ import annotations

import base64
import ctypes
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codec.file import history
from ..codec.images.jpeg.habits import CHROMA_STEPS, DICTIONARY, LUMA_STEPS
from ..models import indexed
from ..models.jpeg import coder as jpegcoder
from ..models.jpeg import differences
from ..models.jpeg import engine as jpeg
from ..models.photo import adaptive, weights
from ..models.photo import engine as photo
from ..models.rendered import engine as rendered
from ..models.rendered import tile as renderedtile

__all__ = ["tables"]


_JPEG_SIZES = (
    "nodes", "groups", "sets", "knots", "tail", "selections", "corrections", "seen_bytes", "limit", "zigzag",
    "weight_unit", "pace", "second_pace",
)  # fmt: skip


def tables() -> dict[str, Any]:
    """All of it, as JSON can hold it: {part: {name: ...}}."""
    return {"photo": _photo(), "indexed": _indexed(), "rendered": _rendered(), "jpeg": _jpeg(), "history": _history()}


def _packed(array: NDArray[Any]) -> dict[str, str]:
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return {"type": array.dtype.name, "data": base64.b64encode(data.tobytes()).decode()}


def _fields(structure: type[ctypes.Structure]) -> list[tuple[str, str]]:
    """Names and types of a structure's members; of several in a row, each with its number behind it."""
    names: dict[Any, str] = {
        ctypes.c_int64: "int64",
        ctypes.c_uint64: "int64",
        ctypes.c_float: "float",
        ctypes.c_double: "double",
    }
    found = []
    for name, *rest in structure._fields_:
        member: Any = rest[0]
        if issubclass(member, ctypes.Array):
            found += [(f"{name}{i}", names.get(member._type_, "pointer")) for i in range(member._length_)]
        else:
            found.append((name, names.get(member, "pointer")))
    return found


def _photo() -> dict[str, Any]:
    models = {}
    for name, spec in weights.MODELS.items():
        farthest = max(spec.reach, *(expert.neighbours for expert in spec.experts))
        models[name] = {
            **asdict(spec),
            "experts": [expert._asdict() for expert in spec.experts],
            "digest": weights.SHIPPED[name].digest,
            "neighbours": photo.neighbours(farthest).tolist(),
            "groups": {
                group: {"inputs": shape.inputs, "extras": shape.extras, "matrices": list(shape.matrices().items())}
                for group, shape in ((group, spec.shape(channels)) for group, channels in weights.GROUPS.items())
            },
        }
    stage = adaptive.stage_arrays(1, 1, 1)
    return {
        "fields": _fields(photo._Engine),
        "models": models,
        "stretch": _packed(stage["stretch"]),
        "squash": _packed(stage["squash"]),
    }


def _indexed() -> dict[str, Any]:
    names = ("squash", "stretch", "rate")
    found = {name: _packed(getattr(indexed, name.upper())) for name in names}
    return found | {"name": indexed.NAME, "digest": indexed.DIGEST.hex()}


def _rendered() -> dict[str, Any]:
    fields = _fields(rendered._State)
    return {"fields": fields, "name": renderedtile.NAME, "digest": renderedtile.DIGEST.hex()}


def _jpeg() -> dict[str, Any]:
    models = {
        name: {**model._asdict(), "digest": jpegcoder.digest_of(name).hex()} for name, model in jpegcoder.MODELS.items()
    }
    return {
        "fields": _fields(jpeg._Engine),
        "models": models,
        "taps": _packed(jpegcoder.taps()),
        "tables": {name: _packed(table) for name, table in jpeg.tables().items()},
        "sizes": {
            **{name: getattr(jpeg, name.upper()) for name in _JPEG_SIZES},
            "fewest_lines": jpegcoder.FEWEST_LINES,
        },
        "dictionary": base64.b64encode(DICTIONARY).decode(),
    }


def _history() -> dict[str, Any]:
    steps = {"luma_steps": list(LUMA_STEPS), "chroma_steps": list(CHROMA_STEPS)}
    return {"name": history.NAME, "digest": history.DIGEST.hex(), "counters": differences.COUNTERS, **steps}
