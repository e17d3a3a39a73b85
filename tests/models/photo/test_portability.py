"""The same file decodes to the same pixels, and is written again bit by bit, on any processor with any compiler."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from core import ROOT, build
from densezip.codec import native
from densezip.models.photo import model_for_effort, tile
from leaves import dead_leaves
from PIL import Image
from samples import model_only

GOLDEN = ROOT / "tests" / "golden"
FILES = sorted(GOLDEN.glob("*.dz"))
PHOTOS = [file for file in FILES if (densezip.info(file.read_bytes()).model or "").startswith("photo-")]
PICTURES = [file for file in FILES if densezip.info(file.read_bytes()).payload not in ("jpeg", "chained")]
SECONDS = 600


def _expected(file: Path) -> str:
    """Hash of the samples of the picture that a golden file was made from."""
    pixels = np.asarray(Image.open(GOLDEN / f"{file.stem.rpartition('-')[0]}.png"))
    return hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()


def _replay(level: str, library: Path | None = None) -> int:
    """Decode and encode all golden files in a process of its own; returns the level of the kernels."""
    command = [sys.executable, str(GOLDEN / "replay.py"), *(["--library", str(library)] if library else [])]
    result = subprocess.run(
        [*command, *map(str, PHOTOS)],
        env={**os.environ, "DENSEZIP_KERNELS": level},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    output = json.loads(result.stdout)
    used: int = output.pop("level")
    assert output == {file.name: {"pixels": _expected(file), "tiles": "the same"} for file in PHOTOS}
    return used


def test_there_are_golden_files() -> None:
    about = [densezip.info(file.read_bytes()) for file in FILES]
    assert {info.model for info in about} >= {"photo-1", "photo-5", "photo-9"}
    assert any(info.tiles > 1 for info in about)
    assert {info.mode for info in about} >= {"L", "RGB", "RGBA", "I;16"}


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.stem)
def test_golden_files_decode(file: Path) -> None:
    pixels = np.asarray(densezip.decompress(file.read_bytes()))
    assert hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest() == _expected(file)


@pytest.mark.parametrize("level", native.LEVELS)
def test_golden_files_are_the_same_bits_on_every_generation_of_processors(level: str) -> None:
    if native.library().dz_level() < native.LEVELS[level]:
        pytest.skip(f"this processor is no {level}")
    assert _replay(level) == native.LEVELS[level]


@pytest.mark.parametrize("compiler", ["the same, without optimisation", "zig"])
def test_golden_files_are_the_same_bits_with_every_compiler(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler == "zig":
        pytest.importorskip("ziglang")
        monkeypatch.setenv("DENSEZIP_CC", "zig")
        library = build.compile_library(ROOT, tmp_path)
    else:
        library = build.compile_library(ROOT, tmp_path, ("-O1",))
    for level, number in native.LEVELS.items():
        if number <= native.library().dz_level():
            assert _replay(level, library) == number


MODES = """
#include "native.h"
DZ_EXPORT void dz_set_mode(int rounding, int flush) {
    (void)rounding, (void)flush;
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(0x1F80 | (unsigned)rounding << 13 | (flush ? 0x8040u : 0u));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)rounding << 22 | (uint64_t)flush << 24));
#endif
}
"""


@pytest.fixture(scope="module")
def set_mode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that sets this thread's rounding mode and flushing of denormal numbers."""
    folder = tmp_path_factory.mktemp("modes")
    (folder / "codec").mkdir()
    (folder / "codec" / "native.h").write_text((ROOT / "codec" / "native.h").read_text())
    (folder / "codec" / "modes.c").write_text(MODES)
    core = ctypes.CDLL(str(build.compile_library(folder, folder)))
    yield core.dz_set_mode
    core.dz_set_mode(0, 0)


@pytest.mark.parametrize("flush", [0, 1])
@pytest.mark.parametrize("rounding", [0, 1, 2, 3])
def test_the_processors_modes_change_nothing_and_are_left_alone(rounding: int, flush: int, set_mode: Any) -> None:
    pixels = dead_leaves(20, 40, 3, 5)
    model = model_for_effort(5)
    expected = tile.encode_tile(model, pixels, 8)
    tile._weights.cache_clear()
    probe = np.array([1.0, 2.0**-1000, 3.0])
    set_mode(rounding, flush)
    try:
        coded = tile.encode_tile(model, pixels, 8)
        quotient, tiny, sum_ = (probe[:1] / probe[2:], probe[1:2] * 2.0**-60, probe[:1] + 2.0**-60)
        decoded = tile.decode_tile(model, coded, pixels.shape, 8)
    finally:
        set_mode(0, 0)
    tile._weights.cache_clear()
    assert coded == expected
    np.testing.assert_array_equal(decoded, pixels)
    # The modes were as set while this ran: 1/3 is rounded up only in mode 2, 1 + 2^-60 likewise.
    exact = 1.0 / 3.0
    assert (float(quotient[0]) > exact) == (rounding == 2)
    assert (float(sum_[0]) > 1.0) == (rounding == 2)
    assert (float(tiny[0]) == 0.0) == (flush == 1)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile, "TILE_PIXELS", 1024)
    model_only(monkeypatch)  # or WebP would win: every tile learns anew
    pixels = dead_leaves(150, 40, 3, 21)
    files = [densezip.compress(pixels, effort=1, threads=threads) for threads in (1, 2, 3)]
    assert (densezip.info(files[0]).model, densezip.info(files[0]).tiles) == ("photo-1", 6)
    assert files[0] == files[1] == files[2]
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(densezip.decompress(files[0], threads=threads), pixels)


FUSED = re.compile(r"\bvf?n?m(add|sub)\d*[sp][sd]\b|\bvfn?m(add|sub)\w+|\bf(n?m(add|sub)|ml[as])\b")


def _assembly(source: Path, level: int, folder: Path, *options: str) -> str:
    compiler, target = build.find_compiler(), folder / "out.s"
    flags = [flag for flag in build.FLAGS if not (options and flag == "-ffp-contract=off")]
    command = [*compiler.level(level), *flags, "-fPIC", f"-DDZ_LEVEL={level}", *options, "-S", str(source)]
    compiler.run([*command, "-o", str(target)], folder / "cache")
    return target.read_text()


KERNELS = sorted((ROOT / "models" / "photo").glob("*.kernels.c"))


@pytest.mark.parametrize("source", KERNELS, ids=lambda file: file.name)
def test_no_kernel_fuses_a_multiplication_and_an_addition(source: Path, tmp_path: Path) -> None:
    levels = build.LEVELS if build._machine() in ("x86_64", "amd64") else (1,)
    for level in levels:
        assert not FUSED.search(_assembly(source, level, tmp_path))


def test_fused_operations_would_be_seen(tmp_path: Path) -> None:
    level = max(build.LEVELS) if build._machine() in ("x86_64", "amd64") else 1
    (learning,) = (file for file in KERNELS if file.name == "learning.kernels.c")
    assert FUSED.search(_assembly(learning, level, tmp_path, "-ffp-contract=fast"))
