"""The same file decodes to the same pixels, and is written again bit by bit, whatever the processor and the threads."""

from __future__ import annotations

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
import numba
import numpy as np
import pytest
from densezip.models.photo import context, experts, kernels, logistic, mixture, network, tile
from densezip.models.photo.engine import new_session
from densezip.models.photo.mixture import new_alphabet
from densezip.models.photo.tile import _weights
from leaves import dead_leaves
from PIL import Image
from samples import model_only

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = sorted(GOLDEN.glob("*.dz"))
# Decoded and encoded again by the photo models; those that are small enough without compiling, too.
PHOTOS = [file for file in FILES if (densezip.info(file.read_bytes()).model or "").startswith("photo-")]
TINY = [file for file in PHOTOS if file.stem.startswith("tiny-")]
SECONDS = 600
numba_type: Any = numba.typeof


def _cpu_has(feature: str) -> bool:
    try:
        return feature in re.findall(r"\w+", Path("/proc/cpuinfo").read_text())
    except OSError:
        return False


TARGETS = {
    "host": {},
    "generic": {"NUMBA_CPU_NAME": "generic"},
    # Without the features of the host, which would be added to those of the name.
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""},
    "none": {"NUMBA_DISABLE_JIT": "1"},
}


@pytest.fixture(scope="module")
def replays(request: pytest.FixtureRequest) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process for each target, all begun at once: most of their time is compiling."""
    cache = request.config.cache
    assert cache is not None
    running = {}
    for target, settings in TARGETS.items():
        if target == "haswell" and not _cpu_has("avx2"):
            continue
        own = {} if target == "host" else {"NUMBA_CACHE_DIR": str(cache.mkdir(f"numba-{target}"))}
        names = ["--damage", *map(str, TINY)] if target == "none" else [*map(str, PHOTOS)]
        running[target] = subprocess.Popen(
            [sys.executable, str(GOLDEN / "replay.py"), *names],
            env={**os.environ, **settings, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


def _expected(file: Path) -> str:
    """Hash of the samples of the picture that a golden file was made from."""
    pixels = np.asarray(Image.open(GOLDEN / f"{file.stem.rpartition('-')[0]}.png"))
    return hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()


def test_there_are_golden_files() -> None:
    about = [densezip.info(file.read_bytes()) for file in FILES]
    assert {info.model for info in about} >= {"photo-1", "photo-5", "photo-9"}
    assert any(info.tiles > 1 for info in about)
    assert {info.mode for info in about} >= {"L", "RGB", "RGBA", "I;16"}
    assert len(TINY) == 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden_files_decode(file: Path) -> None:
    pixels = np.asarray(densezip.decompress(file.read_bytes()))
    assert hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest() == _expected(file)


@pytest.mark.parametrize("target", TARGETS)
def test_golden_files_are_the_same_bits_everywhere(target: str, replays: dict[str, subprocess.Popen[str]]) -> None:
    if target not in replays:
        pytest.skip("this processor does not run code for a Haswell")
    output, errors = replays[target].communicate(timeout=SECONDS)
    assert replays[target].returncode == 0, errors
    result = json.loads(output)
    assert result.pop("target") == target
    if target == "none":
        assert "Warning" not in errors
        assert "refused" in result.pop("damage")
    files = TINY if target == "none" else PHOTOS
    assert result == {file.name: {"pixels": _expected(file), "tiles": "the same"} for file in files}


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile, "TILE_PIXELS", 1024)
    model_only(monkeypatch)  # or WebP would win: every tile learns anew
    pixels = dead_leaves(150, 40, 3, 21)
    files = [densezip.compress(pixels, effort=1, threads=threads) for threads in (1, 2, 3)]
    assert (densezip.info(files[0]).model, densezip.info(files[0]).tiles) == ("photo-1", 6)
    assert files[0] == files[1] == files[2]
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(densezip.decompress(files[0], threads=threads), pixels)


def _compiled() -> Iterator[tuple[str, str, str]]:
    """(name, LLVM code, machine code) of what turns samples into probabilities, function by function."""
    session = new_session(_weights("photo-5", "colour"), new_alphabet([np.arange(256)] * 3), 40, 8)
    net, e, mix = session.network, session.context.experts, session.mixture
    out, centre = net.out[0, 0], session.context.centre[0]
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (kernels.affine, (e.covariance, 0, 16, 16, e.z, 0, e.zero, 0, e.gain, 0)),
        (kernels.affine_relu, (net.parameters, 0, 16, 16, net.inputs, 0, net.parameters, 0, net.stream, 0)),
        (kernels.dot, (e.weight, 0, e.z, 0, 16)),
        (kernels.downdate, (e.covariance, 0, 16, e.gain, 0.5)),
        (kernels.affine_many, (net.parameters, 0, 16, 16, out, 0, 0, out, 0, 0, net.stream, 0, 16, 4)),
        (logistic.exponential, (mix.scratch, mix.weight, 8)),
        (logistic.logistic, (0.5, mix.mean, mix.sharpness, mix.distance, mix.cdf, 0, 8)),
        (kernels.accumulate_outer, (net.middle, 0, 48, net.out, 0, 16, net.gradients, 0, 16, 4)),
        (context.look, (session.context, 0, 0, session.trunk_input)),
        (context.condition, (session.context, 0, 0, 1, session.extra_input)),
        (context.reveal, (session.context, 0, 0, 0, 1.0)),
        (experts.learn, (e, session.context.values, session.context.variances, 0, 0, 40, out.astype(float), e.zero)),
        (mixture.prepare, (mix, out, centre, 1.0)),
        (mixture.cumulative, (mix, session.alphabet, 0, 3)),
        (mixture.gradient, (mix, session.alphabet, 0, 3, out, 1.0, net.out_gradient[0, 0])),
        (network.step, (net, 0.001, 0.01)),
    ]
    for function, arguments in calls:
        signature = tuple(numba_type(argument) for argument in arguments)
        function.compile(signature)
        yield function.__name__, function.inspect_llvm(signature), function.inspect_asm(signature)


FUSED = re.compile(r"\bvf?n?m(add|sub)\d*[sp][sd]\b|\bvfn?m(add|sub)\w+|\bf(n?m(add|sub)|ml[as])\b")
LOOSE = re.compile(r"\bf(?:add|sub|mul|div|rem|neg|cmp)[^=\n]* (?:fast|contract|reassoc|afn|arcp|nnan|ninf|nsz) ")
LIBRARY = re.compile(
    r"@(?:llvm\.)?_*(?:exp|exp2|log|log2|log10|log1p|expm1|pow|powi|tanh|sin|cos|fma|fmuladd)(?:[f(.]|\b)"
)


def test_probabilities_need_no_fused_loose_or_library_operation() -> None:
    for name, llvm, assembly in _compiled():
        assert not FUSED.search(assembly), name
        assert not LOOSE.search(llvm), name
        assert not LIBRARY.search(llvm), name


def test_fused_loose_and_library_operations_would_be_seen() -> None:
    def multiply_add(a: Any, b: Any, c: Any) -> None:
        for i in range(a.size):
            c[i] = np.exp(c[i]) + a[i] * b[i] + 1.0

    compiled = numba.njit(error_model="numpy", fastmath={"contract"})(multiply_add)
    array = numba_type(np.zeros(3))
    compiled.compile((array, array, array))
    (llvm,), (assembly,) = compiled.inspect_llvm().values(), compiled.inspect_asm().values()
    assert LOOSE.search(llvm)
    assert LIBRARY.search(llvm)
    if _cpu_has("fma"):
        assert FUSED.search(assembly)
