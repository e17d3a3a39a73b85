"""Engines in clusters of two workers on this machine: whatever is killed, in the end every image is there once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest

pytest.importorskip("fsspec")
from densezip.codec.images.imagefile import extensions
from densezip.shards import progress
from densezip.shards.plan import Plan, images_of_folder, make_plan

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for workers in /proc")

IMAGES, CORRUPT = 2000, 3
ENGINES = {"processes": "fsspec", "dask": "distributed", "ray": "ray"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small grey images in ten folders, and a few files that are none."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        (folder / str(number % 10)).mkdir(exist_ok=True)
        samples = np.random.default_rng(number).integers(0, 9, (6, 7), np.uint8)
        (folder / str(number % 10) / f"{number}.pgm").write_bytes(b"P5\n7 6\n255\n" + samples.tobytes())
    for number in range(CORRUPT):
        (folder / f"corrupt-{number}.pgm").write_bytes(b"P5\n7 6\n255\n too short")
    return folder


def planned(images: Path, folder: Path) -> Plan:
    return make_plan(images_of_folder(str(images), extensions()), str(folder / "plan"), str(folder / "out"), effort=1)


def command(plan: Plan, engine: str) -> list[str]:
    return [sys.executable, "-m", "densezip", "batch", "run", plan.folder, "--engine", engine, "-T", "2"]


def started(plan: Plan, engine: str) -> subprocess.Popen[str]:
    # A session of its own, so that its workers can be told from others, and be ended with it.
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(plan, engine), start_new_session=True, **options)


def receipts(plan: Plan) -> int:
    return plan.shards - len(progress.missing_shards(plan))


def wait_for(plan: Plan, count: int, process: subprocess.Popen[str]) -> None:
    """Until a run has left so many receipts."""
    end = time.monotonic() + 120
    while receipts(plan) < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end, "no progress for two minutes"
        time.sleep(0.05)


def workers(session: int) -> list[int]:
    """Processes of a session that have our shards' code in them: they map the C core."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != session:
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(state[3]) == session and "_core.so" in (entry / "maps").read_text():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def end(process: subprocess.Popen[str]) -> None:
    """Kill a run and all that it started."""
    for worker in [*workers(process.pid), process.pid]:
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()


def check_everything_is_there_once(plan: Plan, images: Path) -> None:
    assert progress.missing_shards(plan) == []
    sums = progress.status(plan)
    assert (sums.published, sums.failures) == (IMAGES, CORRUPT)
    assert sorted(Path(failure.source).name for failure in progress.failures(plan)) == [
        f"corrupt-{number}.pgm" for number in range(CORRUPT)
    ]
    out = Path(plan.target)
    found = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file() and path.suffix == ".dz")
    assert len(found) == IMAGES
    for name in found:
        assert densezip.export(out / name).data == (images / name).with_suffix("").read_bytes()
    assert all(not progress.verify_shard(plan, shard) for shard in range(plan.shards))


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_workers_and_drivers_lose_nothing(engine: str, images: Path, tmp_path: Path) -> None:
    pytest.importorskip(ENGINES[engine])
    plan = planned(images, tmp_path)
    first = started(plan, engine)
    try:
        wait_for(plan, 3, first)
        for worker in workers(first.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
        wait_for(plan, receipts(plan) + 3, first)  # the run goes on without it
    finally:
        end(first)  # the driver
    assert 6 <= receipts(plan) < plan.shards
    done = subprocess.run(command(plan, engine), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 6, done.stderr  # of the files that are none
    check_everything_is_there_once(plan, images)
    assert f"{CORRUPT} failed" in done.stderr


def test_a_dask_cluster_that_is_not_there_is_an_error_with_its_address() -> None:
    pytest.importorskip("distributed")
    import dask
    from densezip.shards.engines import dask_client

    address = "tcp://127.0.0.1:9"
    soon = dask.config.set({"distributed.comm.timeouts.connect": "300ms"})
    with soon, pytest.raises(densezip.InputError, match=address):
        list(dask_client.run(Plan("out", 1, 1), [0], address=address))


@pytest.mark.parametrize("address", [None, "127.0.0.1:9"])
def test_a_ray_cluster_that_does_not_start_is_an_error(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    from densezip.shards.engines import ray_data

    def init(**_: Any) -> None:
        raise Exception("the current node timed out during startup")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(densezip.InputError, match=f"{address or 'this machine'}: .* timed out"):
        list(ray_data.run(Plan("out", 1, 1), [0], address=address))


def test_two_runs_at_once_leave_every_image_once(images: Path, tmp_path: Path) -> None:
    plan = planned(images, tmp_path)
    racing = [started(plan, "processes") for _ in range(2)]
    for process in racing:
        process.communicate(timeout=600)
        assert process.returncode == 6
    check_everything_is_there_once(plan, images)
    assert not list(tmp_path.rglob("*.part"))


def test_the_command_line_plans_runs_tells_and_verifies(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.pgm").write_bytes(b"P5\n2 1\n255\n" + bytes([number, 7]))

    def densezip_batch(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "densezip", "batch", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    assert densezip_batch("plan", "in", "-o", "plan", "--shard-size", "2") == (
        0, f"3 images in 2 shards, to be published in {tmp_path}/plan/packed\n",
    )  # fmt: skip
    code, said = densezip_batch("status", "plan")
    assert (code, said) == (6, "0 of 2 shards done\n0 of 3 images kept, 0 failed\n")
    code, said = densezip_batch("run", "plan", "--shard", "1/2")
    assert code == 0
    assert "1 shards done" in said
    code, said = densezip_batch("run", "plan", "-q")
    assert (code, said) == (0, "")
    code, said = densezip_batch("status", "plan", "--json")
    assert code == 0
    assert json.loads(said)["published"] == 3
    assert densezip_batch("verify", "plan", "--decode") == (0, "every file is what its receipt says\n")
    (tmp_path / "plan" / "packed" / "1.pgm.dz").unlink()
    code, said = densezip_batch("verify", "plan")
    assert code == 6
    assert "1.pgm.dz" in said
    for wrong in (("run", "nowhere"), ("run", "plan", "--shard", "2/2"), ("run", "plan", "--address", "x")):
        assert densezip_batch(*wrong)[0] in (2, 3)
    assert densezip_batch("plan", "in", "-o", "plan")[0] == 2
