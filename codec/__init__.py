"""The codec layer: probabilities and bytes, no network and no training.

Names are resolved on first use, so that reading a header needs the standard library only. Those of the coding core need
torch; README.md shows their use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch import BatchCost, read_batch, write_batch
    from .bijections import (
        Affine,
        Function,
        Stepwise,
        conv1x1,
        coupling,
        elementwise,
        logit,
        permute,
        reshape,
        split,
        squeeze,
    )
    from .calibrated import FLOAT32_BAND, FLOAT64_BAND, Calibration, Forward, autoregressive
    from .calibratedgrid import FLOW_BAND, CalibratedGaussian
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
    from .grid import GaussianGrid, LogisticGrid, UniformGrid
    from .imagefile import read
    from .imagewrite import write
    from .info import Info, describe
    from .localbitsback import Bijection, BlackBox, Composition, Dequantized, Grid, Linear, LocalBitsBack, Rearrange
    from .payload import Coder
    from .picture import Picture
    from .pmf import Bernoulli, Categorical, CumulativePmf, GaussianBins, GaussianMixture, LogisticMixture, Pmf, Uniform
    from .portable import exp
    from .rans import Message
    from .scalar import QueueDecoder, QueueEncoder, Stack

__all__ = [
    "FLOAT32_BAND",
    "FLOAT64_BAND",
    "FLOW_BAND",
    "Affine",
    "Autoregressive",
    "BatchCost",
    "Bernoulli",
    "Bijection",
    "BitSwap",
    "BitsBack",
    "BlackBox",
    "CalibratedGaussian",
    "Calibration",
    "Categorical",
    "Chain",
    "Codec",
    "Coder",
    "Composition",
    "Container",
    "CumulativePmf",
    "DensezipError",
    "Dequantized",
    "Forward",
    "FromPmf",
    "Function",
    "GaussianBins",
    "GaussianGrid",
    "GaussianMixture",
    "Grid",
    "Header",
    "Independent",
    "Info",
    "Linear",
    "LocalBitsBack",
    "LogisticGrid",
    "LogisticMixture",
    "Message",
    "Payload",
    "Picture",
    "Pmf",
    "QueueDecoder",
    "QueueEncoder",
    "Rearrange",
    "Stack",
    "Stepwise",
    "Substack",
    "Uniform",
    "UniformGrid",
    "autoregressive",
    "conv1x1",
    "coupling",
    "decode_picture",
    "describe",
    "elementwise",
    "encode_picture",
    "exp",
    "least_direct",
    "logit",
    "parse",
    "permute",
    "read",
    "read_batch",
    "reshape",
    "serialise",
    "split",
    "squeeze",
    "supplied",
    "wavefront",
    "write",
    "write_batch",
]

_HOMES = {
    "Affine": "bijections",
    "Autoregressive": "codecs",
    "BatchCost": "batch",
    "Bernoulli": "pmf",
    "CalibratedGaussian": "calibratedgrid",
    "FLOAT32_BAND": "calibrated",
    "FLOAT64_BAND": "calibrated",
    "FLOW_BAND": "calibratedgrid",
    "Bijection": "localbitsback",
    "BitSwap": "codecs",
    "BitsBack": "codecs",
    "BlackBox": "localbitsback",
    "Calibration": "calibrated",
    "Categorical": "pmf",
    "Chain": "codecs",
    "Codec": "codecs",
    "Coder": "payload",
    "Composition": "localbitsback",
    "Container": "container",
    "CumulativePmf": "pmf",
    "DensezipError": "errors",
    "Dequantized": "localbitsback",
    "Forward": "calibrated",
    "FromPmf": "codecs",
    "Function": "bijections",
    "GaussianBins": "pmf",
    "GaussianGrid": "grid",
    "GaussianMixture": "pmf",
    "Grid": "localbitsback",
    "Header": "container",
    "Independent": "codecs",
    "Info": "info",
    "Linear": "localbitsback",
    "LocalBitsBack": "localbitsback",
    "LogisticGrid": "grid",
    "LogisticMixture": "pmf",
    "Message": "rans",
    "Payload": "container",
    "Picture": "picture",
    "Pmf": "pmf",
    "QueueDecoder": "scalar",
    "QueueEncoder": "scalar",
    "Rearrange": "localbitsback",
    "Stack": "scalar",
    "Stepwise": "bijections",
    "Substack": "codecs",
    "Uniform": "pmf",
    "UniformGrid": "grid",
    "autoregressive": "calibrated",
    "conv1x1": "bijections",
    "coupling": "bijections",
    "decode_picture": "coding",
    "describe": "info",
    "elementwise": "bijections",
    "exp": "portable",
    "encode_picture": "coding",
    "least_direct": "codecs",
    "logit": "bijections",
    "parse": "container",
    "permute": "bijections",
    "read": "imagefile",
    "read_batch": "batch",
    "reshape": "bijections",
    "serialise": "container",
    "split": "bijections",
    "squeeze": "bijections",
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
