"""The C code on hostile input, compiled so that a step outside a buffer or undefined arithmetic ends the process."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from densezip.models import indexed
from densezip.models.jpeg import coder, engine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
OPTIONS = (
    "-O1", "-g", "-std=gnu11", "-fno-strict-aliasing", "-ffp-contract=off", "-fno-math-errno", "-DDZ_LEVEL=1"
)  # fmt: skip


def run(source: Path, program: Path, *arguments: str) -> str:
    """Compile a program with sanitizers and run it."""
    assert COMPILER is not None
    command = [COMPILER, *OPTIONS, *SANITIZERS, str(source), "-o", str(program), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def sanitizers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips what needs sanitizers where the compiler has none."""
    probe = tmp_path_factory.mktemp("probe") / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    try:
        run(probe, probe.with_suffix(""))
    except (AssertionError, subprocess.CalledProcessError):
        pytest.skip("no compiler with sanitizers")


def test_sanitizers_notice_a_step_outside(tmp_path: Path) -> None:
    source = tmp_path / "outside.c"
    source.write_text(
        "#include <stdlib.h>\nint main(int n, char **a) { char *p = malloc(n); (void)a; p[n] = 1; return p[n] - 1; }\n"
    )
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run(source, tmp_path / "outside")


def test_hostile_tiles_of_few_colours_stay_inside_all_buffers(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.write_bytes(
        b"".join(table.astype(np.int32).tobytes() for table in (indexed.SQUASH, indexed.STRETCH, indexed.RATE))
    )
    done = run(HERE / "indexed.c", tmp_path / "indexed", "1000", "1", str(tables))
    assert done.startswith("1000 runs")


def test_hostile_tiles_of_rendered_pictures_stay_inside_all_buffers(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.write_bytes(
        b"".join(table.astype(np.int32).tobytes() for table in (indexed.SQUASH, indexed.STRETCH, indexed.RATE))
    )
    assert run(HERE / "rendered.c", tmp_path / "rendered", "24", "1", str(tables)).startswith("24 runs")


def test_hostile_lanes_and_distributions_stay_inside_all_buffers(tmp_path: Path) -> None:
    assert run(HERE / "entropy.c", tmp_path / "entropy", "5000", "1") == "5000 runs\n"


def test_hostile_jpeg_scans_and_segments_stay_inside_all_buffers(tmp_path: Path) -> None:
    found = engine.tables()
    arrays = [found[name] for name in ("stretch", "squash", "trust", "basis", "rate")]
    file = tmp_path / "tables"
    file.write_bytes(b"".join(array.tobytes() for array in (*arrays, coder.taps())))
    done = run(HERE / "jpeg.c", tmp_path / "jpeg", "4000", "1", str(file))
    assert done.startswith("4000 runs")
    read, same = (int(word) for word in done.split() if word.isdigit() and word != "4000")
    assert read > 50
    assert same > 30


COMPILE = """
import sys
from pathlib import Path
sys.path.insert(0, "native")
import build
build.compile_library(Path().resolve(), Path().resolve(), ("-O1", "-g"), "address,undefined")
"""


@pytest.fixture(scope="module")
def checked_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose core has sanitizers compiled in; its folder's parent is what goes into the path."""
    tree = tmp_path_factory.mktemp("checked") / "densezip"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "_core.*", "build", "benchmarks"))
    subprocess.run([sys.executable, "-c", COMPILE], cwd=tree, check=True, capture_output=True, timeout=300)
    return tree


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the runtime is preloaded as Linux does it")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3", "x86-64-v4"] if platform.machine() == "x86_64" else [""])
def test_honest_and_hostile_files_keep_the_whole_core_inside_its_buffers(checked_tree: Path, level: str) -> None:
    assert COMPILER is not None
    runtimes = [
        subprocess.run([COMPILER, f"-print-file-name={name}.so"], check=True, capture_output=True, text=True).stdout
        for name in ("libasan", "libubsan")
    ]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(name.strip() for name in runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",  # or small buffers would lie side by side in one that Python holds
        "PYTHONPATH": str(checked_tree.parent),
        "DENSEZIP_KERNELS": level,
    }
    done = subprocess.run(
        [sys.executable, str(checked_tree / "tests" / "sanitized" / "workout.py"), "100", "1"],
        env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "98 round trips, 300 mutations\n"
