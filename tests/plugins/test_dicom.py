"""DICOM pixel data as .dz files."""

from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from samples import array

pydicom = pytest.importorskip("pydicom")
from densezip.plugins import dicom  # noqa: E402
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, RLELossless  # noqa: E402


def dataset(samples: np.ndarray[Any, Any], frames: int | None = None) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    colour = samples.shape[-1] == 3
    made.Rows, made.Columns = samples.shape[-3:-1] if colour else samples.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        made.PlanarConfiguration = 0
    if frames:
        made.NumberOfFrames = frames
    bits = 8 * samples.itemsize
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit, made.PixelRepresentation = bits - 1, int(samples.dtype.kind == "i")
    made.PixelData = samples.tobytes()
    made["PixelData"].VR = "OB" if bits == 8 else "OW"
    return made


@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2"])
@pytest.mark.parametrize("frames", [None, 1, 3])
def test_grey_frames_come_back(tmp_path: Path, kind: str, frames: int | None) -> None:
    unsigned = np.stack([array(1, f"u{kind[1]}", 22, 30, seed)[..., 0] for seed in range(frames or 1)])
    samples = unsigned.view(kind) if (frames or 1) > 1 else unsigned.view(kind)[0]
    made = dataset(samples, frames)
    dicom.compress_pixels(made, effort=1)
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    again = pydicom.dcmread(tmp_path / "a.dcm")
    assert again.file_meta.TransferSyntaxUID == dicom.TRANSFER_SYNTAX
    assert again.pixel_array.dtype == samples.dtype
    assert np.array_equal(again.pixel_array, samples)


def test_colour_comes_back_and_can_be_decompressed(tmp_path: Path) -> None:
    samples = array(3, "u1", 22, 30)
    made = dataset(samples)
    dicom.compress_pixels(made, effort=1)
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    again = pydicom.dcmread(tmp_path / "a.dcm")
    assert np.array_equal(again.pixel_array, samples)
    dicom.decompress_pixels(again)
    assert again.PixelData == samples.tobytes()
    assert again.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_what_is_compressed_already_is_taken_over() -> None:
    samples = array(1, "u2", 22, 30)[..., 0]
    made = dataset(samples)
    made.compress(RLELossless)
    dicom.compress_pixels(made, effort=1)
    assert np.array_equal(made.pixel_array, samples)


def test_signed_samples_are_coded_as_neighbours() -> None:
    slope = np.add.outer(np.arange(64), np.arange(64)).astype(np.int16)
    sizes = []
    for offset in (-64, 1000):  # around zero, and far from it
        made = dataset((slope + offset).astype(np.int16))
        dicom.compress_pixels(made, effort=1)
        sizes.append(len(made.PixelData))
    assert sizes[0] <= sizes[1] + 16


def test_other_depths_are_refused() -> None:
    made = dataset(np.zeros((4, 4), np.uint8))
    made.BitsAllocated = 1
    with pytest.raises(densezip.UnsupportedImageError, match="1 bits"):
        dicom.compress_pixels(made)
