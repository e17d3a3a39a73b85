"""The engine on processors of other kinds: a program without Python codes a tile from a recording of its memory.

The program is compiled for this processor, and for 64-bit ARM where a compiler for it and qemu are at hand.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import coded_tile, recorded, room, session
from samples import array

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OPTIONS = (
    "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-Wno-psabi",
    "-DDZ_LEVEL=1", "-static",
)  # fmt: skip
HEIGHT, WIDTH = 13, 37


def compiler(machine: str) -> list[str] | None:
    """The command that compiles for a machine, if there is one."""
    for name in {"here": ("cc", "gcc", "clang")}.get(machine, (f"{machine}-linux-gnu-gcc",)):
        if shutil.which(name):
            return [name]
    zig = [sys.executable, "-m", "ziglang"]
    if machine != "here" and not subprocess.run([*zig, "version"], capture_output=True, check=False).returncode:
        return [*zig, "cc", "-target", f"{machine}-linux-musl", "-fno-sanitize=undefined"]
    return None


@pytest.fixture(scope="module", params=["here", "aarch64"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that replays a recording, for one processor."""
    machine = request.param
    command, runner = compiler(machine), [] if machine == "here" else [f"qemu-{machine}"]
    if command is None or (runner and not shutil.which(runner[0])):
        pytest.skip(f"no compiler, or no emulator, for {machine}")
    folder = tmp_path_factory.mktemp(machine)
    sources = [HERE / "replay.c", *sorted((ROOT / "models" / "photo").glob("*.c"))]
    objects = [(source, folder / f"{source.name}.o") for source in sources]
    running = [
        subprocess.Popen([*command, *OPTIONS[:-1], "-O2", "-c", str(source), "-o", str(made)])
        for source, made in objects
    ]
    assert not any(process.wait() for process in running)
    whole = folder / "replay"
    subprocess.run([*command, "-static", *(str(made) for _, made in objects), "-o", str(whole)], check=True)
    return [*runner, str(whole)]


@pytest.mark.parametrize(("effort", "channels", "depth"), [(1, 3, 8), (5, 3, 8), (9, 3, 8), (5, 1, 8), (5, 3, 16)])
def test_a_tile_has_the_same_bytes_on_every_processor(
    program: list[str], tmp_path: Path, effort: int, channels: int, depth: int
) -> None:
    symbols = array(channels, f"u{depth // 8}", HEIGHT, WIDTH).astype(np.uint16)
    recording, output = tmp_path / "recording", tmp_path / "output"

    recording.write_bytes(recorded(session(effort, symbols, depth), symbols, room(symbols)))
    subprocess.run([*program, "encode", str(recording), str(output)], check=True)
    left, coded = coded_tile(session(effort, symbols, depth), symbols)
    assert output.read_bytes() == left

    recording.write_bytes(recorded(session(effort, symbols, depth), np.zeros_like(symbols), coded))
    subprocess.run([*program, "decode", str(recording), str(output)], check=True)
    assert output.read_bytes() == symbols.tobytes()
