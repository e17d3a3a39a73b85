"""A calibrated file decodes in another process with other threads, batches and instruction sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from densezip.codec.entropy.calibrated import FLOAT32_BAND, FLOAT64_BAND

WORKER = Path(__file__).parents[2] / "helpers" / "other_machine.py"


def _run(action: str, file: Path, precision: str, batch: int, threads: int, band: float, capability: str) -> str:
    environment = {**os.environ}
    environment.pop("ATEN_CPU_CAPABILITY", None)
    if capability:
        environment["ATEN_CPU_CAPABILITY"] = capability
    command = [sys.executable, str(WORKER), action, str(file), precision, str(batch), str(threads), repr(band)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("precision", "band"), [("float64", FLOAT64_BAND), ("float32", FLOAT32_BAND)])
def test_a_calibrated_file_decodes_on_another_machine(precision: str, band: float, tmp_path: Path) -> None:
    file = tmp_path / "images.dz"
    side = float(_run("write", file, precision, 1, 1, band, ""))
    # float64 costs the head of the exceptions here, 14 bytes in 1,728 samples; float32 has many.
    assert side < 0.1 if precision == "float64" else side > 0.1
    for batch, threads, capability in ((16, 2, "default"), (3, 1, "avx2")):
        _run("read", file, precision, batch, threads, band, capability)
