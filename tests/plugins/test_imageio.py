"""imageio reads and writes .dz files."""

from pathlib import Path

import densezip
import numpy as np
import pytest
from samples import array, file_of, picture

pytest.importorskip("imageio")
iio = pytest.importorskip("imageio.v3")
import densezip.plugins.imageio  # noqa: E402


@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_samples_come_back(tmp_path: Path, channels: int, depth: str) -> None:
    samples = array(channels, depth)
    iio.imwrite(tmp_path / "a.dz", samples, effort=1)
    assert np.array_equal(iio.imread(tmp_path / "a.dz"), samples)
    about = iio.improps(tmp_path / "a.dz")
    assert (about.shape, about.dtype) == (samples.shape, samples.dtype)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_properties_are_those_of_what_is_read(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a.dz").write_bytes(densezip.compress(picture(mode), effort=1))
    read, about = iio.imread(tmp_path / "a.dz"), iio.improps(tmp_path / "a.dz")
    assert (about.shape, about.dtype) == (read.shape, read.dtype)
    stacked = iio.imread(tmp_path / "a.dz", index=...)
    about = iio.improps(tmp_path / "a.dz", index=...)
    assert (about.shape, about.n_images) == (stacked.shape, 1) == ((1, *read.shape), 1)
    assert iio.immeta(tmp_path / "a.dz")["mode"] == mode
    assert len(list(iio.imiter(tmp_path / "a.dz"))) == 1


def test_bytes_go_in_and_out() -> None:
    data = iio.imwrite("<bytes>", array(3), extension=".dz", effort=1)
    assert np.array_equal(iio.imread(data), array(3))


def test_metadata_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.dz").write_bytes(densezip.compress(file_of(picture("RGB"), "PNG", dpi=(72, 72)), effort=1))
    assert iio.immeta(tmp_path / "a.dz")["dpi"] == pytest.approx((72, 72), abs=0.01)


def test_what_is_no_single_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one image"):
        iio.imwrite(tmp_path / "a.dz", np.zeros((2, 5, 5, 3), np.uint8))
    with pytest.raises(densezip.UnsupportedImageError, match="complex"):
        iio.imwrite(tmp_path / "a.dz", np.zeros((5, 5), complex))
    iio.imwrite(tmp_path / "a.dz", array(3), effort=1)
    with pytest.raises(IndexError):
        iio.imread(tmp_path / "a.dz", index=1)


def test_other_formats_are_left_to_others(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", array(3))
    assert np.array_equal(iio.imread(tmp_path / "a.png"), array(3))


def test_arrays_of_another_kind_come_back(tmp_path: Path) -> None:
    floats = np.linspace(-1, 1, 5 * 7 * 6, dtype=np.float32).reshape(7, 6, 5)
    iio.imwrite(tmp_path / "a.dz", floats, effort=1)
    assert np.array_equal(iio.imread(tmp_path / "a.dz"), floats)
    found = iio.improps(tmp_path / "a.dz")
    assert (found.shape, found.dtype) == (floats.shape, floats.dtype)
    assert "mode" in iio.immeta(tmp_path / "a.dz")
