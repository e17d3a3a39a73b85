"""Chunks of zarr and numcodecs as .dz files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from samples import array

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")
from densezip.plugins.numcodecs import Densezip  # noqa: E402
from densezip.plugins.zarr import DensezipCodec  # noqa: E402

READ = "import sys, zarr; sys.stdout.buffer.write(zarr.open_array(sys.argv[1], mode='r')[:].tobytes())"


def created(path: Path, version: int, samples: np.ndarray[Any, Any], chunks: tuple[int, ...]) -> Any:
    options: dict[str, Any] = (
        {"serializer": DensezipCodec(effort=1), "compressors": None}
        if version == 3
        else {"filters": None, "compressors": Densezip(effort=1)}
    )
    return zarr.create_array(
        path, shape=samples.shape, chunks=chunks, dtype=samples.dtype, zarr_format=version, **options
    )


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize(("channels", "chunks"), [(1, (20, 16)), (3, (20, 16, 3)), (3, (23, 31, 3))])
def test_an_array_of_chunks_comes_back_in_another_process(
    tmp_path: Path, version: int, depth: str, channels: int, chunks: tuple[int, ...]
) -> None:
    samples = array(channels, depth).squeeze(2 if channels == 1 else ())
    made = created(tmp_path / "a.zarr", version, samples, chunks)
    made[:] = samples
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path / "a.zarr")], capture_output=True, check=True)
    assert done.stdout == samples.tobytes()
    stored = sum(file.stat().st_size for file in (tmp_path / "a.zarr").rglob("*") if file.is_file())
    assert stored < samples.nbytes + 2000


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_stack_of_images_is_coded_image_by_image(tmp_path: Path) -> None:
    stack = np.stack([array(1, "u2", seed=seed)[..., 0] for seed in range(3)])
    made = created(tmp_path / "a.zarr", 3, stack, (1, *stack.shape[1:]))
    made[:] = stack
    assert np.array_equal(zarr.open_array(tmp_path / "a.zarr")[:], stack)


def test_the_configuration_is_json() -> None:
    assert numcodecs.get_codec({"id": "densezip", "effort": 9}).get_config() == {
        "id": "densezip", "effort": 9, "threads": 1,
    }  # fmt: skip
    codec = DensezipCodec(effort=7)
    assert DensezipCodec.from_dict(codec.to_dict()) == codec
    with pytest.raises(ValueError, match="blosc"):
        DensezipCodec.from_dict({"name": "blosc"})


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_arrays_that_are_no_images_are_refused_when_they_are_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complex64"):
        created(tmp_path / "a.zarr", 3, np.zeros((5, 5), np.complex64), (5, 5))
    with pytest.raises(ValueError, match=r"shape \[9\]"):
        created(tmp_path / "b.zarr", 3, np.zeros(9, np.uint8), (9,))
    with pytest.raises(densezip.UnsupportedImageError, match=r">u2: make an array of <u2"):
        Densezip().encode(np.zeros((5, 5), ">u2"))
    with pytest.raises(densezip.UnsupportedImageError, match="complex"):
        Densezip().encode(np.zeros((5, 5), complex))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", ["<f4", "<i2", "|b1", "<f8"])
def test_stacks_and_numbers_of_other_kinds_come_back(tmp_path: Path, dtype: str, zarr_format: int) -> None:
    stack = (np.mgrid[:6, :9, :11].sum(0) * 3.5 - 20).astype(dtype)
    made = created(tmp_path / "a.zarr", zarr_format, stack, (3, 9, 11))
    made[:] = stack
    assert np.array_equal(zarr.open_array(tmp_path / "a.zarr")[:], stack)


def test_decoding_into_a_given_array() -> None:
    samples = array(3)
    out = np.empty_like(samples)
    Densezip().decode(Densezip(effort=1).encode(samples), out)
    assert np.array_equal(out, samples)
