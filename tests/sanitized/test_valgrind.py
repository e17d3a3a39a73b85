"""The C code under valgrind, which notices what sanitizers do not: memory that is read before it was written.

It takes minutes, so it runs only where `DENSEZIP_VALGRIND` is set.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from densezip.models import indexed
from densezip.models.jpeg import coder, engine
from numpy.typing import NDArray
from PIL import Image
from recordings import coded_tile, recorded, room, session

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPILE = (
    "cc", "-O1", "-g", "-std=gnu11", "-fno-strict-aliasing", "-ffp-contract=off", "-fno-math-errno",
    "-fno-trapping-math", "-Wno-psabi", "-DDZ_LEVEL=1",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(not os.environ.get("DENSEZIP_VALGRIND"), reason="slow; DENSEZIP_VALGRIND=1 asks for it"),
    pytest.mark.skipif(not shutil.which("valgrind") or not shutil.which("cc"), reason="no valgrind, or no compiler"),
]


def check(program: Path, *arguments: str | Path) -> None:
    command = ["valgrind", "-q", "--error-exitcode=99", str(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that codes a tile of the photo model from a recording."""
    program = tmp_path_factory.mktemp("replay") / "replay"
    sources = [ROOT / "tests" / "models" / "photo" / "replay.c", *sorted((ROOT / "models" / "photo").glob("*.c"))]
    subprocess.run([*COMPILE, *map(str, sources), "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("effort", [1, 5, 9])
@pytest.mark.parametrize("name", ["rgb", "grey", "rgba", "grey16", "sparse16", "strips", "tiny"])
def test_golden_pictures_are_coded_from_what_was_written(replay: Path, tmp_path: Path, name: str, effort: int) -> None:
    with Image.open(ROOT / "tests" / "golden" / f"{name}.png") as image:
        samples = np.atleast_3d(np.asarray(image))[..., :3]
    symbols, depth = np.ascontiguousarray(samples.astype(np.uint16)), 8 * samples.itemsize
    recording, output = tmp_path / "recording", tmp_path / "output"
    recording.write_bytes(recorded(session(effort, symbols, depth), symbols, room(symbols)))
    check(replay, "encode", recording, output)
    left, coded = coded_tile(session(effort, symbols, depth), symbols)
    assert output.read_bytes() == left
    recording.write_bytes(recorded(session(effort, symbols, depth), np.zeros_like(symbols), coded))
    check(replay, "decode", recording, output)
    assert output.read_bytes() == symbols.tobytes()


@pytest.mark.parametrize(("name", "runs"), [("entropy", 200), ("indexed", 40), ("rendered", 2), ("jpeg", 300)])
def test_the_other_coders_read_only_what_was_written(tmp_path: Path, name: str, runs: int) -> None:
    program, tables = tmp_path / name, tmp_path / "tables"
    arrays: list[NDArray[Any]] = [table.astype(np.int32) for table in (indexed.SQUASH, indexed.STRETCH, indexed.RATE)]
    if name == "jpeg":
        found = engine.tables()
        arrays = [*(found[key] for key in ("stretch", "squash", "trust", "basis", "rate")), coder.taps()]
    tables.write_bytes(b"".join(array.tobytes() for array in arrays))
    subprocess.run([*COMPILE, str(HERE / f"{name}.c"), "-o", str(program), "-lm"], check=True)
    check(program, str(runs), "1", *([] if name == "entropy" else [tables]))
