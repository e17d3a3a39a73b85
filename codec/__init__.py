"""The codec layer: probabilities and bytes, no network and no training.

Names are resolved on first use, so that reading a header needs the standard library only. Those of the coding core need
torch; README.md shows their use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch import BatchCost, read_batch, write_batch
    from .calibrated import Calibration, Forward, autoregressive
    from .codecs import (
        Autoregressive,
        BitsBack,
        BitSwap,
        Chain,
        Codec,
        FromPmf,
        Independent,
        Substack,
        least_direct,
        supplied,
        wavefront,
    )
    from .coding import decode_picture, encode_picture
    from .container import Container, Header, Payload, parse, serialise
    from .errors import DensezipError
    from .imagefile import read
    from .imagewrite import write
    from .info import Info, describe
    from .payload import Coder
    from .picture import Picture
    from .pmf import Bernoulli, Categorical, CumulativePmf, GaussianBins, GaussianMixture, LogisticMixture, Pmf, Uniform
    from .rans import Message
    from .scalar import QueueDecoder, QueueEncoder, Stack

__all__ = [
    "Autoregressive",
    "BatchCost",
    "Bernoulli",
    "BitSwap",
    "BitsBack",
    "Calibration",
    "Categorical",
    "Chain",
    "Codec",
    "Coder",
    "Container",
    "CumulativePmf",
    "DensezipError",
    "Forward",
    "FromPmf",
    "GaussianBins",
    "GaussianMixture",
    "Header",
    "Independent",
    "Info",
    "LogisticMixture",
    "Message",
    "Payload",
    "Picture",
    "Pmf",
    "QueueDecoder",
    "QueueEncoder",
    "Stack",
    "Substack",
    "Uniform",
    "autoregressive",
    "decode_picture",
    "describe",
    "encode_picture",
    "least_direct",
    "parse",
    "read",
    "read_batch",
    "serialise",
    "supplied",
    "wavefront",
    "write",
    "write_batch",
]

_HOMES = {
    "Autoregressive": "codecs",
    "BatchCost": "batch",
    "Bernoulli": "pmf",
    "BitSwap": "codecs",
    "BitsBack": "codecs",
    "Calibration": "calibrated",
    "Categorical": "pmf",
    "Chain": "codecs",
    "Codec": "codecs",
    "Coder": "payload",
    "Container": "container",
    "CumulativePmf": "pmf",
    "DensezipError": "errors",
    "Forward": "calibrated",
    "FromPmf": "codecs",
    "GaussianBins": "pmf",
    "GaussianMixture": "pmf",
    "Header": "container",
    "Independent": "codecs",
    "Info": "info",
    "LogisticMixture": "pmf",
    "Message": "rans",
    "Payload": "container",
    "Picture": "picture",
    "Pmf": "pmf",
    "QueueDecoder": "scalar",
    "QueueEncoder": "scalar",
    "Stack": "scalar",
    "Substack": "codecs",
    "Uniform": "pmf",
    "autoregressive": "calibrated",
    "decode_picture": "coding",
    "describe": "info",
    "encode_picture": "coding",
    "least_direct": "codecs",
    "parse": "container",
    "read": "imagefile",
    "read_batch": "batch",
    "serialise": "container",
    "supplied": "codecs",
    "wavefront": "codecs",
    "write": "imagewrite",
    "write_batch": "batch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
