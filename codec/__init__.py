"""The codec layer: probabilities and bytes, no network and no training.

Names are resolved on first use, so that reading a header needs the standard library only. Those of the coding core need
torch; README.md shows their use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entropy.bijections import (
        Affine,
        Function,
        Stepwise,
        conv1x1,
        coupling,
        elementwise,
        logit,
        permute,
        reshape,
        squeeze,
    )
    from .entropy.calibrated import FLOAT32_BAND, FLOAT64_BAND, Calibration, Forward, autoregressive
    from .entropy.calibratedgrid import FLOW_BAND, CalibratedGaussian
    from .entropy.codecs import (
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
    from .entropy.grid import GaussianGrid, LogisticGrid, UniformGrid
    from .entropy.linear import BlackBox, Linear
    from .entropy.localbitsback import Bijection, Composition, Dequantized, Grid, LocalBitsBack, Rearrange
    from .entropy.pmf import (
        Bernoulli,
        Categorical,
        CumulativePmf,
        GaussianBins,
        GaussianMixture,
        LogisticMixture,
        Pmf,
        Uniform,
    )
    from .entropy.portable import exp
    from .entropy.rans import Message
    from .entropy.scalar import QueueDecoder, QueueEncoder, Stack
    from .entropy.scales import split
    from .errors import DensezipError
    from .file.batch import BatchCost, read_batch, write_batch
    from .file.coding import decode_picture, encode_picture
    from .file.container import Container, Header, Payload, parse, serialise
    from .file.info import Info, describe
    from .file.payload import Coder
    from .images.imagefile import read
    from .images.imagewrite import write
    from .images.picture import Picture

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
    "Affine": "entropy.bijections",
    "Autoregressive": "entropy.codecs",
    "BatchCost": "file.batch",
    "Bernoulli": "entropy.pmf",
    "CalibratedGaussian": "entropy.calibratedgrid",
    "FLOAT32_BAND": "entropy.calibrated",
    "FLOAT64_BAND": "entropy.calibrated",
    "FLOW_BAND": "entropy.calibratedgrid",
    "Bijection": "entropy.localbitsback",
    "BitSwap": "entropy.codecs",
    "BitsBack": "entropy.codecs",
    "BlackBox": "entropy.linear",
    "Calibration": "entropy.calibrated",
    "Categorical": "entropy.pmf",
    "Chain": "entropy.codecs",
    "Codec": "entropy.codecs",
    "Coder": "file.payload",
    "Composition": "entropy.localbitsback",
    "Container": "file.container",
    "CumulativePmf": "entropy.pmf",
    "DensezipError": "errors",
    "Dequantized": "entropy.localbitsback",
    "Forward": "entropy.calibrated",
    "FromPmf": "entropy.codecs",
    "Function": "entropy.bijections",
    "GaussianBins": "entropy.pmf",
    "GaussianGrid": "entropy.grid",
    "GaussianMixture": "entropy.pmf",
    "Grid": "entropy.localbitsback",
    "Header": "file.container",
    "Independent": "entropy.codecs",
    "Info": "file.info",
    "Linear": "entropy.linear",
    "LocalBitsBack": "entropy.localbitsback",
    "LogisticGrid": "entropy.grid",
    "LogisticMixture": "entropy.pmf",
    "Message": "entropy.rans",
    "Payload": "file.container",
    "Picture": "images.picture",
    "Pmf": "entropy.pmf",
    "QueueDecoder": "entropy.scalar",
    "QueueEncoder": "entropy.scalar",
    "Rearrange": "entropy.localbitsback",
    "Stack": "entropy.scalar",
    "Stepwise": "entropy.bijections",
    "Substack": "entropy.codecs",
    "Uniform": "entropy.pmf",
    "UniformGrid": "entropy.grid",
    "autoregressive": "entropy.calibrated",
    "conv1x1": "entropy.bijections",
    "coupling": "entropy.bijections",
    "decode_picture": "file.coding",
    "describe": "file.info",
    "elementwise": "entropy.bijections",
    "exp": "entropy.portable",
    "encode_picture": "file.coding",
    "least_direct": "entropy.codecs",
    "logit": "entropy.bijections",
    "parse": "file.container",
    "permute": "entropy.bijections",
    "read": "images.imagefile",
    "read_batch": "file.batch",
    "reshape": "entropy.bijections",
    "serialise": "file.container",
    "split": "entropy.scales",
    "squeeze": "entropy.bijections",
    "supplied": "entropy.codecs",
    "wavefront": "entropy.codecs",
    "write": "images.imagewrite",
    "write_batch": "file.batch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
