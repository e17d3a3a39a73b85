"""Files of hierarchies and of diffusions decode in processes of other kernels, instruction sets and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import densezip
import numpy as np
import pytest
from densezip.models.checkpoint import as_plain, write_checkpoint
from small_models import pictures, trained

MODELS = {
    "diffusion": "diffusion",
    "dequantized": "diffusion",
    "topdown": "topdown",
    "iaf": "iaf-vae",
    "agave": "agave",
}
"""Small models, and what a checkpoint calls their kind."""

DECODER = """
import sys
from pathlib import Path
import densezip, numpy, torch
torch.set_num_threads(int(sys.argv[1]))
for path in map(Path, sys.argv[2:]):
    numpy.save(path.with_suffix(".npy"), numpy.asarray(densezip.decompress(path.read_bytes())))
print(torch.backends.cpu.get_cpu_capability())
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file of each model, which this process wrote, beside the checkpoints."""
    folder = tmp_path_factory.mktemp("models")
    for name, kind in MODELS.items():
        model = trained(name)
        about = {"model": kind, "config": as_plain(model.config)}
        tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
        write_checkpoint(folder / f"small-{name}.safetensors", tensors, about)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DENSEZIP_MODELS", str(folder))
        for name in MODELS:
            data = densezip.compress(pictures(1, seed=8)[0, 0], model=f"small-{name}")
            (folder / f"{name}.dz").write_bytes(data)
    return [folder / f"{name}.dz" for name in MODELS]


@pytest.mark.parametrize(("kernels", "capability", "threads"), [("x86-64", "default", 1), ("x86-64-v3", "avx2", 3)])
def test_files_decode_where_sums_are_in_another_order(
    files: list[Path], kernels: str, capability: str, threads: int
) -> None:
    environment = {**os.environ, "DENSEZIP_MODELS": str(files[0].parent), "DENSEZIP_KERNELS": kernels}
    environment["ATEN_CPU_CAPABILITY"] = capability
    command = [sys.executable, "-c", DECODER, str(threads), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().lower() == capability
    for file in files:
        assert np.array_equal(np.load(file.with_suffix(".npy")), pictures(1, seed=8)[0, 0]), file.stem
        file.with_suffix(".npy").unlink()
