"""The job of a shard: pure, checked, and done again without harm."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import densezip
import pytest
from densezip import FormatError, OutputError
from samples import file_of, picture

fsspec = pytest.importorskip("fsspec")
from densezip.shards import progress, work  # noqa: E402
from densezip.shards.plan import Item, Plan, images_of_folder, make_plan, open_plan  # noqa: E402
from densezip.shards.storage import Folder  # noqa: E402


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Five images, one of them cut short, in two shards."""
    for seed in range(4):
        (tmp_path / f"{seed}.png").write_bytes(file_of(picture("RGB", 9, 11, seed), "PNG"))
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    items = images_of_folder(str(tmp_path), ("png",))
    return make_plan(items, str(tmp_path / "plan"), str(tmp_path / "out"), shard_size=3, effort=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_image_is_kept_or_named_and_sums_agree(plan: Plan, tmp_path: Path) -> None:
    receipts = [work.run_shard(plan.folder, shard) for shard in range(2)]
    for seed in range(4):
        source, packed = tmp_path / f"{seed}.png", tmp_path / "out" / f"{seed}.png.dz"
        assert densezip.export(packed).data == source.read_bytes()
        (entry,) = (entry for receipt in receipts for entry in receipt.published if entry.source == str(source))
        assert (entry.source_size, entry.size) == (source.stat().st_size, packed.stat().st_size)
        assert entry.digest == hashlib.sha256(packed.read_bytes()).hexdigest()
    (failure,) = progress.failures(plan)
    assert (failure.source, failure.error) == (str(tmp_path / "cut.png"), "UnreadableImageError")
    assert progress.missing_shards(plan) == []
    assert progress.missing_shards(plan, retry_failed=True) == [1]
    sums = progress.status(plan)
    assert (sums.shards_done, sums.published, sums.failures) == (2, 4, 1)
    assert [progress.verify_shard(plan, shard, decode=True) for shard in range(2)] == [[], []]


def test_doing_a_shard_twice_leaves_the_same_files_and_receipts(plan: Plan, tmp_path: Path) -> None:
    work.run_shard(plan.folder, 0)
    before = contents(tmp_path)
    work.run_shard(plan.folder, 0)
    assert contents(tmp_path) == before


def test_parts_are_disjoint_and_complete(plan: Plan) -> None:
    assert [progress.missing_shards(plan, (part, 2)) for part in range(2)] == [[0], [1]]


def test_a_source_that_is_not_what_the_manifest_says_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(file_of(picture("L"), "PNG"))
    items = [
        Item(str(tmp_path / "a.png"), "1.dz", size=5),
        Item(str(tmp_path / "a.png"), "2.dz", digest="00"),
        Item(str(tmp_path / "a.png"), "3.dz", digest=hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()),
        Item(str(tmp_path / "gone.png"), "4.dz"),
    ]
    plan = make_plan(items, str(tmp_path / "plan"), str(tmp_path / "out"), shard_size=9, effort=1)
    receipt = work.run_shard(plan.folder, 0)
    assert [entry.target for entry in receipt.published] == ["3.dz"]
    assert [failure.error for failure in receipt.failures] == ["ChecksumError", "ChecksumError", "InputError"]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_where_nothing_can_be_written_there_is_no_receipt_and_no_rest(plan: Plan, tmp_path: Path) -> None:
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[0][1]))
        with pytest.raises(OutputError):
            work.run_shard(plan.folder, 0)
        outcome = work.attempt(plan.folder, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert outcome.error.startswith("OutputError")
    assert progress.missing_shards(plan) == [0, 1]
    assert contents(tmp_path / "out") == {}
    work.run_shard(plan.folder, 0)
    assert progress.missing_shards(plan) == [1]


def test_what_is_missing_or_other_is_found(plan: Plan, tmp_path: Path) -> None:
    work.run_shard(plan.folder, 0)
    (tmp_path / "out" / "0.png.dz").unlink()
    (tmp_path / "out" / "1.png.dz").write_bytes(b"other")
    found = dict(progress.verify_shard(plan, 0))
    assert set(found) == {"0.png.dz", "1.png.dz"}
    assert progress.verify_shard(plan, 1) == [("shard 1", "not done")]


def test_a_damaged_receipt_is_an_error_with_the_way_out(plan: Plan, tmp_path: Path) -> None:
    work.run_shard(plan.folder, 0)
    (tmp_path / "plan" / "receipts" / "00000.json").write_text(json.dumps({"shard": 0}))
    with pytest.raises(FormatError, match="remove it"):
        progress.status(plan)


def test_what_a_killed_process_left_is_not_listed_and_can_be_swept(tmp_path: Path) -> None:
    young, old = (tmp_path / f".densezip-shard-{number}-2.part" for number in (1, 2))
    young.write_bytes(b"x")
    old.write_bytes(b"x")
    os.utime(old, (0, 0))
    folder = Folder(str(tmp_path))
    assert list(folder.files()) == []
    assert folder.sweep() == 1  # another run may be at work on the young one
    assert young.exists()
    assert not old.exists()


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of a real S3 server on this machine."""
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    pytest.importorskip("s3fs")
    server = server_of(port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "key", "secret": "secret"}
    before = dict(fsspec.config.conf)
    fsspec.config.conf["s3"] = options
    try:
        fsspec.filesystem("s3", **options).mkdir("bucket")
        yield "s3://bucket"
    finally:
        fsspec.config.conf.clear()
        fsspec.config.conf.update(before)
        server.stop()


@pytest.mark.filterwarnings("default")
def test_images_of_a_bucket_are_kept_in_a_bucket(bucket: str) -> None:
    images = Folder(f"{bucket}/in")
    for seed in range(3):
        images.publish(f"deep/{seed}.png", file_of(picture("RGB", 9, 11, seed), "PNG"))
    items = images_of_folder(f"{bucket}/in", ("png",))
    assert [item.target for item in items] == [f"deep/{seed}.png.dz" for seed in range(3)]
    plan = make_plan(items, f"{bucket}/plan", f"{bucket}/out", shard_size=2, effort=1)
    for shard in progress.missing_shards(open_plan(f"{bucket}/plan")):
        assert not work.attempt(plan.folder, shard).error
    assert progress.missing_shards(plan) == []
    for shard in range(2):
        assert progress.verify_shard(plan, shard, decode=True) == []
    for seed in range(3):
        packed = Folder(f"{bucket}/out").read(f"deep/{seed}.png.dz")
        assert densezip.export(packed).data == images.read(f"deep/{seed}.png")
