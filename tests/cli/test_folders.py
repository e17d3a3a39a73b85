"""Runs over several files: what is done already, what is said at the end, what would be done."""

import os
from pathlib import Path

import pytest
from command_line import Paint, listing, objects, run
from PIL import Image


def test_compressing_a_folder_again_skips_what_is_done(paint: Paint, tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png"):
        paint(name)
    assert run("compress", "-q", "-r", tmp_path).exit_code == 0
    made = {path: path.stat().st_ino for path in tmp_path.rglob("*.dz")}
    paint("c.png")
    again = run("compress", "-r", tmp_path)
    assert again.exit_code == 0
    assert again.stderr.splitlines()[-1].startswith("3 files: 1 coded, 2 skipped: ")
    assert again.stderr.count("\n") == 2
    assert {path: path.stat().st_ino for path in made} == made
    assert run("compress", "-r", tmp_path).stderr == "3 files: 3 skipped\n"
    forced = run("compress", "-f", "-r", tmp_path)
    assert "3 files: 3 coded: " in forced.stderr
    assert all(path.stat().st_ino != number for path, number in made.items())


def test_a_single_file_that_is_done_is_skipped_and_says_so(paint: Paint, packed: Path, tmp_path: Path) -> None:
    source = paint()
    assert run("compress", "-q", "-f", source).exit_code == 0
    result = run("compress", source)
    assert result.exit_code == 0
    assert result.stderr == f"{source}: skipped: {packed} is up to date\n"
    result = run("decompress", packed)
    assert result.exit_code == 0
    assert result.stderr == f"{packed}: skipped: {source} is up to date\n"


def test_an_output_of_another_time_or_size_is_not_up_to_date(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    assert run("compress", "-q", source).exit_code == 0
    status = source.stat()
    for seconds in (-3600, -1, 1, 3600):
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))
        result = run("compress", source)
        assert result.exit_code == 5
        assert result.stderr.endswith("exists: give -f to overwrite it, or --skip-existing\n")
    Image.new("P", (13, 8)).save(source)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("compress", source).exit_code == 5


@pytest.mark.parametrize("clock", [100, 1000, 10**9, 2 * 10**9])
def test_disks_with_coarse_times_are_known(paint: Paint, tmp_path: Path, clock: int) -> None:
    source = paint()
    os.utime(source, ns=(0, 1_700_000_001_123_456_700))
    assert run("compress", "-q", source).exit_code == 0
    target = tmp_path / "photo.png.dz"
    os.utime(target, ns=(0, source.stat().st_mtime_ns // clock * clock))
    assert run("compress", source).exit_code == 0
    os.utime(target, ns=(0, source.stat().st_mtime_ns // clock * clock - 1))
    assert run("compress", source).exit_code == 5


def test_an_output_that_is_damaged_is_not_up_to_date(paint: Paint, tmp_path: Path) -> None:
    source, target = paint(), tmp_path / "photo.png.dz"
    assert run("compress", "-q", source).exit_code == 0
    status = target.stat()
    target.write_bytes(target.read_bytes()[:-1])
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("compress", source).exit_code == 5


def test_skip_existing_leaves_every_output_alone(paint: Paint, tmp_path: Path) -> None:
    first = paint("a.png")
    (tmp_path / "a.png.dz").write_bytes(b"precious")
    paint("b.png")
    result = run("compress", "--skip-existing", "--rm", "-r", tmp_path)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1].startswith("2 files: 1 coded, 1 skipped: ")
    assert (tmp_path / "a.png.dz").read_bytes() == b"precious"
    assert first.exists()
    assert run("compress", "--skip-existing", "-f", first).exit_code == 2


def test_the_last_line_counts_every_outcome(paint: Paint, tmp_path: Path) -> None:
    paint("a.png")
    assert run("compress", "-q", tmp_path / "a.png").exit_code == 0
    paint("b.png")
    Image.linear_gradient("L").resize((16, 16)).convert("RGB").save(tmp_path / "c.webp", quality=50)
    (tmp_path / "d.png").write_bytes(b"no image")
    sizes = [(tmp_path / name).stat().st_size for name in ("b.png", "c.webp")]
    result = run("compress", "-r", tmp_path)
    assert result.exit_code == 6
    after = [(tmp_path / name).stat().st_size for name in ("b.png.dz", "c.webp.dz")]
    share = f"{sum(after) / sum(sizes):.1%}"
    assert result.stderr.splitlines()[-1] == (
        f"4 files: 1 coded, 1 kept, 1 skipped, 1 failed: {sum(sizes):,} -> {sum(after):,} bytes ({share})"
    )


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(paint: Paint, tmp_path: Path) -> None:
    paint("done.png")
    assert run("compress", "-q", tmp_path / "done.png").exit_code == 0
    paint("new.png")
    paint("old.png")
    (tmp_path / "old.png.dz").write_bytes(b"precious")
    (tmp_path / "wrong.png").write_bytes(b"no image")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = run("compress", "-n", "--rm", "-r", tmp_path)
    assert result.exit_code == 6
    lines = result.stderr.splitlines()
    assert lines[0] == f"{tmp_path}/done.png: skipped: {tmp_path}/done.png.dz is up to date"
    assert lines[1] == f"{tmp_path}/new.png: would be written to {tmp_path}/new.png.dz"
    assert lines[2].startswith(f"densezip: {tmp_path}/old.png: {tmp_path}/old.png.dz exists")
    assert lines[3].startswith(f"densezip: {tmp_path}/wrong.png: not an image file")
    assert lines[4] == "4 files: would be: 1 coded or kept, 1 skipped, 2 failed"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    found = objects(run("compress", "--dry-run", "--json", "-r", tmp_path))
    assert [entry["status"] for entry in found] == ["skipped", "coded or kept", "failed", "failed"]
    assert all(entry["dry_run"] for entry in found)
    assert run("compress", "-n", "--max-pixels", "90", tmp_path / "new.png").exit_code == 4


def test_a_dry_run_says_what_is_known_only(paint: Paint, tmp_path: Path) -> None:
    paint("a.png")
    Image.linear_gradient("L").resize((16, 16)).save(tmp_path / "b.jpg")
    (tmp_path / "c.jp2").write_bytes(b"\xff\x4f\xff\x51" + bytes(99))
    found = objects(run("compress", "-n", "--json", "-r", tmp_path))
    assert [entry["status"] for entry in found] == ["coded or kept", "coded or kept", "kept"]
    assert run("compress", "-n", "-r", tmp_path).stderr.endswith("3 files: would be: 2 coded or kept, 1 kept\n")
    found = objects(run("compress", "--json", "-r", tmp_path))
    assert [entry["status"] for entry in found] == ["coded", "coded", "kept"]


def test_a_dry_run_of_decompressing_goes_by_the_headers(packed: Path, tmp_path: Path) -> None:
    result = run("decompress", "-n", packed)
    assert result.exit_code == 0
    assert result.stderr == f"{packed}: would be written to {tmp_path / 'photo.png'}\n"
    assert run("decompress", "-n", packed, "-o", tmp_path / "x.jpg").exit_code == 5
    packed.write_bytes(packed.read_bytes()[:-1])
    assert run("decompress", "-n", packed).exit_code == 3
    assert listing(tmp_path) == ["photo.png.dz"]


def test_results_are_objects_of_json(paint: Paint, tmp_path: Path) -> None:
    good, gone = paint("a.png"), tmp_path / "gone.png"
    result = run("compress", "--json", good, gone)
    assert result.exit_code == 6
    assert result.stderr == f"densezip: {gone}: no such file\n"
    first, second = objects(result)
    seconds = first.pop("seconds")
    assert seconds >= 0
    target = tmp_path / "a.png.dz"
    assert first == {
        "input": str(good),
        "output": str(target),
        "status": "coded",
        "input_size": good.stat().st_size,
        "output_size": target.stat().st_size,
        "exact": "file",
        "removed": False,
        "error": None,
        "exit_code": 0,
    }
    assert second == {
        "input": str(gone),
        "output": None,
        "status": "failed",
        "error": "no such file",
        "exit_code": 3,
    }
    [again] = objects(run("compress", "--json", good))
    assert (again["status"], again["exit_code"]) == ("skipped", 0)
    [decoded] = objects(run("decompress", "--json", target, "-o", tmp_path / "b.png"))
    assert (decoded["status"], decoded["output"]) == ("decoded", str(tmp_path / "b.png"))
    broken = tmp_path / "broken.dz"
    broken.write_bytes(target.read_bytes()[:-1])
    sound, damaged = objects(run("test", "--json", target, broken))
    assert (sound["status"], sound["error"], sound["exact"]) == ("ok", None, "file")
    assert (damaged["status"], damaged["exit_code"]) == ("failed", 3)


@pytest.mark.parametrize("args", [("a.png", "-o", "-"), ("-",), ("a.png", "-o", "/dev/stdout")])
def test_json_and_data_do_not_share_standard_output(args: tuple[str, ...]) -> None:
    assert run("compress", "--json", *args).exit_code == 2


def test_exactness_is_said_of_every_file(odd: Path, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((16, 16)).save(tmp_path / "kept.jpg")
    result = run("compress", "-v", odd, tmp_path / "kept.jpg")
    details = [line for line in result.stderr.splitlines() if line.startswith("    ")]
    assert ", picture exact, " in details[0]
    assert ", file exact, " in details[1]
    table = run("info", tmp_path / "odd.png.dz", tmp_path / "kept.jpg.dz").stdout.splitlines()
    assert [line.split()[-3] for line in table[1:3]] == ["picture", "file"]
    assert "picture exact" in run("info", tmp_path / "odd.png.dz").stdout
    found = objects(run("info", "--json", tmp_path / "odd.png.dz", tmp_path / "kept.jpg.dz"))
    assert [entry["exact"] for entry in found] == ["picture", "file"]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.dz")
    Image.new("RGB", (5, 4)).save(tmp_path / "p.png")
    assert run("compress", "-r", tmp_path).exit_code == 0
    assert run("test", "-r", tmp_path).exit_code == 0
    assert listing(tmp_path) == ["p.png", "p.png.dz", "pipe.dz", "pipe.png"]


def test_an_input_that_may_not_be_looked_at_is_an_error_of_its_own(paint: Paint, tmp_path: Path) -> None:
    too_long = "n" * 300 + ".png"
    result = run("compress", "-e", "1", tmp_path / too_long, paint())
    assert result.exit_code == 6
    assert listing(tmp_path) == ["photo.png", "photo.png.dz"]
    alone = run("compress", tmp_path / too_long)
    assert (alone.exit_code, alone.stderr.count("\n")) == (3, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may go everywhere")
def test_folders_that_may_not_be_entered_are_errors_with_names(paint: Paint, tmp_path: Path) -> None:
    source, closed = paint(), tmp_path / "closed"
    closed.mkdir(mode=0o600)
    try:
        assert run("compress", closed / "photo.png").exit_code == 3
        result = run("compress", source, "--output-dir", closed / "below")
        assert (result.exit_code, result.stderr.count("\n")) == (5, 1)
        assert run("info", closed / "photo.png.dz").exit_code == 3
    finally:
        closed.chmod(0o700)
