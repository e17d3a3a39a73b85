"""The codec layer: probabilities and bytes, no network and no training.

Names are resolved on first use, so that reading a header needs the standard library only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .coding import decode_picture, encode_picture
    from .container import Container, Header, Payload, parse, serialise
    from .errors import DensezipError
    from .imagefile import read
    from .imagewrite import write
    from .info import Info, describe
    from .payload import Coder
    from .picture import Picture

__all__ = [
    "Coder",
    "Container",
    "DensezipError",
    "Header",
    "Info",
    "Payload",
    "Picture",
    "decode_picture",
    "describe",
    "encode_picture",
    "parse",
    "read",
    "serialise",
    "write",
]

_HOMES = {
    "Coder": "payload",
    "Container": "container",
    "DensezipError": "errors",
    "Header": "container",
    "Info": "info",
    "Payload": "container",
    "Picture": "picture",
    "decode_picture": "coding",
    "describe": "info",
    "encode_picture": "coding",
    "parse": "container",
    "read": "imagefile",
    "serialise": "container",
    "write": "imagewrite",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
