"""The engine on processors of other kinds: a program without Python codes a tile from a recording of its memory.

The program is compiled for this processor, and for 64-bit ARM where a compiler for it and qemu are at hand.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from densezip.codec.entropy import rangecoder
from densezip.models.photo.engine import _ARRAYS, SAMPLE_BYTES, Session, _Engine, new_alphabet
from densezip.models.photo.weights import load_weights, model_for_effort
from numpy.typing import NDArray
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


def session(effort: int, channels: int, depth: int) -> Session:
    weights = load_weights(model_for_effort(effort).name, {1: "grey", 3: "colour"}[channels])
    alphabet = new_alphabet([np.arange(1 << depth)] * channels)
    return Session(weights.spec, weights.shape, weights, alphabet, WIDTH, depth, HEIGHT)


def recorded(state: Session, symbols: NDArray[np.uint16], data: bytes | int) -> bytes:
    """What `replay.c` reads."""
    engine = bytes(state._engine)
    parts = [struct.pack("<q", len(engine)), engine, struct.pack("<q", len(_ARRAYS))]
    for name in _ARRAYS:
        raw = state.arrays[name].tobytes()
        parts += [struct.pack("<qq", getattr(_Engine, name).offset, len(raw)), raw]
    parts += [struct.pack("<qq", HEIGHT, symbols[0].size), symbols.tobytes()]
    parts += [struct.pack("<q", data)] if isinstance(data, int) else [struct.pack("<q", len(data)), data]
    return b"".join(parts)


@pytest.mark.parametrize(("effort", "channels", "depth"), [(1, 3, 8), (5, 3, 8), (9, 3, 8), (5, 1, 8), (5, 3, 16)])
def test_a_tile_has_the_same_bytes_on_every_processor(
    program: list[str], tmp_path: Path, effort: int, channels: int, depth: int
) -> None:
    symbols = array(channels, f"u{depth // 8}", HEIGHT, WIDTH).astype(np.uint16)
    room = symbols.size * SAMPLE_BYTES + rangecoder.FLUSH_BYTES
    recording, output = tmp_path / "recording", tmp_path / "output"

    recording.write_bytes(recorded(session(effort, channels, depth), symbols, room))
    subprocess.run([*program, "encode", str(recording), str(output)], check=True)
    state, data = session(effort, channels, depth), np.zeros(room, np.uint8)
    state.encode(symbols, 0, HEIGHT, data)
    assert output.read_bytes() == state.coder.tobytes() + data.tobytes()

    coded = data[: rangecoder.finish(state.coder, data)].tobytes()
    state = session(effort, channels, depth)
    rangecoder.start_decoding(state.coder, np.frombuffer(coded, np.uint8))
    recording.write_bytes(recorded(state, np.zeros_like(symbols), coded))
    subprocess.run([*program, "decode", str(recording), str(output)], check=True)
    assert output.read_bytes() == symbols.tobytes()
