"""The compiled core under valgrind, which takes minutes: only where `DENSEZIP_VALGRIND` is set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("golden.py")


@pytest.mark.skipif(not os.environ.get("DENSEZIP_VALGRIND"), reason="takes minutes; DENSEZIP_VALGRIND=1 asks for it")
@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])  # it knows no newer instructions
def test_the_core_reads_nothing_that_was_not_written(level: str) -> None:
    environment = os.environ | {"DENSEZIP_KERNELS": level, "PYTHONMALLOC": "malloc"}
    command = ["valgrind", "--num-callers=30", sys.executable, str(PROGRAM)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ERROR SUMMARY" in done.stderr
    # The interpreter and its libraries are not asked: their reports are known, and none of ours.
    reports = done.stderr.replace("\r", "").split("== \n")
    assert [report for report in reports if "/_core." in report or " dz_" in report] == []
