"""pydicom: pixel data of DICOM files as `.dz` files, a frame in each, under a private transfer syntax.

>>> import pydicom
>>> from densezip.plugins import dicom
>>> dataset = pydicom.dcmread("ct.dcm")
>>> dicom.compress_pixels(dataset, effort=5)
>>> dataset.save_as("ct.densezip.dcm")
>>> pydicom.dcmread("ct.densezip.dcm").pixel_array

The transfer syntax is densezip's own: no other DICOM program can read the pixels of such a file, and DICOM's standard
knows nothing of it. It serves archives that are read by the same software, or are decompressed on the way out. pydicom
has no public place for decoders of private syntaxes: `register` puts this one beside its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import _PIXEL_DATA_DECODERS, Decoder, DecodeRunner
from pydicom.uid import UID

from .. import TrailingDataError, UnsupportedImageError, compress, decompress

__all__ = ["TRANSFER_SYNTAX", "compress_pixels", "decompress_pixels", "register"]

TRANSFER_SYNTAX = UID("2.25.131048857298326860408544566915084139624")
"""Explicit VR little endian, pixel data encapsulated, each frame a `.dz` file."""

DECODER_DEPENDENCIES = {TRANSFER_SYNTAX: ("densezip",)}

SIGN = np.uint16(1 << 15)
"""Turned over in signed samples, so that neighbours in value are neighbours as unsigned numbers."""


def is_available(uid: str) -> bool:
    """Whether this module decodes a transfer syntax; pydicom asks."""
    return uid == TRANSFER_SYNTAX


def _decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The samples of a frame, little-endian; pydicom calls it."""
    try:
        frame = np.asarray(decompress(src))
    except TrailingDataError:  # DICOM makes lengths even
        frame = np.asarray(decompress(src[:-1]))
    if runner.pixel_representation == 1:
        frame = frame ^ (SIGN if frame.dtype == np.uint16 else np.uint8(SIGN >> 8))
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * frame.itemsize)
    return frame.astype(frame.dtype.newbyteorder("<"), copy=False).tobytes()


def compress_pixels(dataset: Dataset, effort: int = 5, threads: int = 0) -> None:
    """Replace the pixel data of a dataset by `.dz` files, and set its transfer syntax.

    Args:
        dataset: with pixel data of 8 or 16 bits allocated, of any transfer syntax that pydicom decodes.
        effort: 1 (fast), 5 or 9 (small).
        threads: tiles coded at once; 0 for all processors.

    Raises:
        UnsupportedImageError: samples of other sizes.
    """
    if dataset.get("BitsAllocated") not in (8, 16):
        raise UnsupportedImageError(f"{dataset.get('BitsAllocated')} bits allocated: densezip takes 8 and 16")
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(as_rgb=False)
    samples = dataset.pixel_array
    if samples.dtype.kind == "i":
        size = samples.itemsize
        samples = samples.view(f"u{size}") ^ (SIGN if size == 2 else np.uint8(SIGN >> 8))
    frames = [samples] if dataset.get("NumberOfFrames", 1) in (1, None) else list(samples)
    packed = [compress(np.ascontiguousarray(frame), effort=effort, threads=threads) for frame in frames]
    dataset.PixelData = encapsulate(packed)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    if dataset.get("SamplesPerPixel", 1) > 1:
        dataset.PlanarConfiguration = 0
    dataset.file_meta.TransferSyntaxUID = TRANSFER_SYNTAX


def decompress_pixels(dataset: Dataset) -> None:
    """Undo `compress_pixels`: any DICOM program reads what is saved then.

    pydicom's own `Dataset.decompress` does not take private syntaxes that come from a file.

    Args:
        dataset: of this transfer syntax; others are left as they are.
    """
    if dataset.file_meta.TransferSyntaxUID == TRANSFER_SYNTAX:
        dataset.file_meta.TransferSyntaxUID = TRANSFER_SYNTAX  # this object knows how it is encoded
        dataset.decompress(as_rgb=False)


def register() -> None:
    """Make the transfer syntax known to pydicom. A second call changes nothing."""
    TRANSFER_SYNTAX.set_private_encoding(False, True)
    if TRANSFER_SYNTAX not in _PIXEL_DATA_DECODERS:
        decoder: Any = Decoder(TRANSFER_SYNTAX)
        decoder.add_plugin("densezip", (__name__, _decode_frame.__name__))
        _PIXEL_DATA_DECODERS[TRANSFER_SYNTAX] = (decoder, "3.0")


register()
