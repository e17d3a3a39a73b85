"""The command line in one process: what it reads, writes, refuses and says."""

import json
import os
from pathlib import Path
from typing import Any

import densezip
import pytest
from command_line import Paint, listing, pixels, run
from densezip.cli import api
from PIL import Image


def test_compress_writes_beside_the_source_and_keeps_it(paint: Paint, tmp_path: Path) -> None:
    before = paint().read_bytes()
    result = run("compress", tmp_path / "photo.png")
    assert result.exit_code == 0
    assert listing(tmp_path) == ["photo.png", "photo.png.dz"]
    assert (tmp_path / "photo.png").read_bytes() == before
    assert f"{len(before):,} -> {(tmp_path / 'photo.png.dz').stat().st_size:,} bytes" in result.stderr


def test_decompress_gives_back_the_pixels(paint: Paint, tmp_path: Path) -> None:
    before = pixels(paint())
    assert run("compress", "--rm", tmp_path / "photo.png").exit_code == 0
    assert listing(tmp_path) == ["photo.png.dz"]
    assert run("decompress", tmp_path / "photo.png.dz").exit_code == 0
    assert listing(tmp_path) == ["photo.png", "photo.png.dz"]
    assert pixels(tmp_path / "photo.png") == before


def test_output_names_the_file_and_its_suffix_the_format(paint: Paint, tmp_path: Path) -> None:
    before = pixels(paint())
    assert run("compress", tmp_path / "photo.png", "-o", tmp_path / "a.packed").exit_code == 0
    assert run("decompress", tmp_path / "a.packed", "-o", tmp_path / "b.tiff").exit_code == 0
    assert pixels(tmp_path / "b.tiff") == before
    with Image.open(tmp_path / "b.tiff") as image:
        assert image.format == "TIFF"


def test_lossy_files_come_back_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    Image.linear_gradient("L").resize((16, 16)).save(source)
    before = source.read_bytes()
    result = run("compress", "--rm", source)
    assert result.exit_code == 0
    assert "the same bytes come back" in result.stderr
    assert listing(tmp_path) == ["photo.jpg.dz"]
    assert run("decompress", tmp_path / "photo.jpg.dz").exit_code == 0
    assert source.read_bytes() == before


def test_pipes_go_through_standard_input_and_output(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    compressed = run("compress", "-", stdin=source.read_bytes())
    assert compressed.exit_code == 0
    decompressed = run("decompress", "-", "-o", "-", stdin=compressed.stdout_bytes)
    assert decompressed.exit_code == 0
    (tmp_path / "again.png").write_bytes(decompressed.stdout_bytes)
    assert pixels(tmp_path / "again.png") == pixels(source)
    assert run("compress", source, "-o", "-").stdout_bytes == compressed.stdout_bytes
    assert run("test", "-", stdin=compressed.stdout_bytes).exit_code == 0


def test_patterns_that_no_shell_expanded_are_expanded(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "sub/c.png"):
        paint(name)
    monkeypatch.chdir(tmp_path)
    assert run("compress", "*.png").exit_code == 0
    assert {"a.png.dz", "b.png.dz"} < set(listing(tmp_path))
    assert run("compress", "s*/**/*.png").exit_code == 0
    assert (tmp_path / "sub" / "c.png.dz").exists()
    result = run("compress", "*.gif")
    assert result.exit_code == 3
    assert result.stderr == "densezip: *.gif: no file matches\n"


def test_a_file_with_brackets_in_its_name_is_no_pattern(paint: Paint, tmp_path: Path) -> None:
    paint("photo[1].png")
    paint("photo1.png")
    assert run("compress", tmp_path / "photo[1].png").exit_code == 0
    assert (tmp_path / "photo[1].png.dz").exists()
    assert not (tmp_path / "photo1.png.dz").exists()


def test_a_folder_needs_recursive(paint: Paint, tmp_path: Path) -> None:
    paint("album/a.png")
    result = run("compress", tmp_path / "album")
    assert result.exit_code == 3
    assert result.stderr.endswith("is a folder: give -r to go through it\n")


def test_recursive_mirrors_the_tree_and_skips_what_is_no_image(paint: Paint, tmp_path: Path) -> None:
    for name in ("album/a.png", "album/x/y/b.PNG", "album/.thumbnails/c.png", "album/._a.png"):
        paint(name)
    (tmp_path / "album" / "notes.txt").write_text("not an image")
    assert run("compress", "-r", tmp_path / "album", "--output-dir", tmp_path / "packed" / "new").exit_code == 0
    assert listing(tmp_path / "packed") == ["new", "new/a.png.dz", "new/x", "new/x/y", "new/x/y/b.PNG.dz"]
    assert run("test", "-r", tmp_path / "packed").exit_code == 0
    assert run("decompress", "-r", tmp_path / "packed", "--output-dir", tmp_path / "again").exit_code == 0
    assert pixels(tmp_path / "again/new/x/y/b.PNG") == pixels(tmp_path / "album/x/y/b.PNG")


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    result = run("compress", "-r", tmp_path)
    assert result.exit_code == 3
    assert result.stderr.endswith("this folder has no images\n")


def test_an_existing_output_is_overwritten_with_force_only(paint: Paint, tmp_path: Path) -> None:
    source, target = paint(), tmp_path / "photo.png.dz"
    target.write_bytes(b"precious")
    result = run("compress", "--rm", source)
    assert result.exit_code == 5
    assert result.stderr == f"densezip: {source}: {target} exists: give -f to overwrite it, or --skip-existing\n"
    assert target.read_bytes() == b"precious"
    assert source.exists()
    assert run("compress", "-f", source).exit_code == 0
    assert run("test", target).exit_code == 0


@pytest.mark.parametrize("options", [("-f", "--rm"), ("-f",), ("--rm",)])
def test_two_inputs_never_share_an_output(paint: Paint, tmp_path: Path, options: tuple[str, ...]) -> None:
    first, second = paint("a/photo.png"), paint("b/photo.png", shade=9)
    result = run("compress", *options, first, second, "--output-dir", tmp_path / "packed")
    assert result.exit_code == 6
    taken = tmp_path / "packed" / "photo.png.dz"
    assert f"densezip: {second}: {taken} is the output of {first} already" in result.stderr
    assert second.exists()
    assert run("decompress", taken, "-o", tmp_path / "again.png").exit_code == 0
    assert pixels(tmp_path / "again.png") == pixels(paint("c.png"))


def test_the_input_is_never_the_output(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    before = source.read_bytes()
    (tmp_path / "link.dz").symlink_to(source)
    for name in ("photo.png", "./photo.png", "link.dz"):
        result = run("compress", "-f", source, "-o", f"{tmp_path}/{name}")
        assert result.exit_code == 5
        assert "is the input itself" in result.stderr
    assert source.read_bytes() == before


def test_links_are_read_through_but_replaced_and_removed_themselves(paint: Paint, tmp_path: Path) -> None:
    source, other = paint("real/photo.png"), paint("other.png", shade=3)
    before = other.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "link.png.dz").symlink_to(other)
    assert run("compress", "--rm", "-f", tmp_path / "link.png").exit_code == 5
    assert (tmp_path / "link.png").is_symlink()
    assert run("compress", "-f", tmp_path / "link.png").exit_code == 0
    assert not (tmp_path / "link.png.dz").is_symlink()
    assert other.read_bytes() == before
    assert run("compress", "--rm", tmp_path / "link.png").exit_code == 0
    assert not (tmp_path / "link.png").is_symlink()
    assert source.exists()


def test_rm_keeps_the_source_and_no_output_when_verifying_fails(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: bytes, **options: object) -> densezip.Info:
        raise densezip.ChecksumError("the pixels differ")

    source = paint()
    monkeypatch.setattr(api, "verify", fail)
    result = run("compress", "--rm", source)
    assert result.exit_code == 3
    assert result.stderr == f"densezip: {source}: the pixels differ\n"
    assert listing(tmp_path) == ["photo.png"]


def test_rm_verifies_the_bytes_on_the_disk(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def record(data: bytes, **options: object) -> densezip.Info:
        seen.append(data)
        return densezip.info(data)

    source = paint()
    monkeypatch.setattr(api, "verify", record)
    assert run("compress", "--rm", source).exit_code == 0
    assert seen == [(tmp_path / "photo.png.dz").read_bytes()]


def test_files_that_appear_or_change_meanwhile_are_kept(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = paint(), tmp_path / "photo.png.dz"
    original = api.compress

    def interfere(data: api.Named, **options: Any) -> bytes:
        if not target.exists():
            target.write_bytes(b"precious")
        return original(data, **options)

    def edit(data: api.Named, **options: Any) -> bytes:
        source.write_bytes(b"edited")
        return original(data, **options)

    monkeypatch.setattr(api, "compress", interfere)
    appeared = run("compress", source)
    assert appeared.exit_code == 5
    assert "exists: give -f" in appeared.stderr
    assert target.read_bytes() == b"precious"
    target.unlink()
    appeared = run("compress", "-f", "--rm", paint())
    assert appeared.exit_code == 5
    assert "was written by somebody else meanwhile" in appeared.stderr
    assert target.read_bytes() == b"precious"
    target.unlink()
    monkeypatch.setattr(api, "compress", edit)
    changed = run("compress", "--rm", paint())
    assert changed.exit_code == 5
    assert "has changed since it was read" in changed.stderr
    assert source.read_bytes() == b"edited"
    assert listing(tmp_path) == ["photo.png", "photo.png.dz"]


def test_a_failed_write_leaves_nothing_behind(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    source = paint()
    monkeypatch.setattr("os.fsync", full)
    result = run("compress", "--rm", source)
    assert result.exit_code == 5
    assert result.stderr == f"densezip: {source}: cannot write {tmp_path / 'photo.png.dz'}: No space left on device\n"
    assert listing(tmp_path) == ["photo.png"]


def test_outputs_need_a_folder_that_exists_and_takes_files(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = paint()
    missing = run("compress", source, "-o", tmp_path / "missing" / "a.png.dz")
    assert missing.exit_code == 5
    assert "there is no folder" in missing.stderr
    assert run("compress", source, "-o", source / "a.png.dz").exit_code == 5
    assert "is a folder" in run("compress", source, "-o", tmp_path).stderr
    monkeypatch.setattr("os.access", lambda *args: False)
    readonly = run("compress", source)
    assert readonly.exit_code == 5
    assert "is read-only" in readonly.stderr
    assert listing(tmp_path) == ["photo.png"]


def test_the_output_keeps_the_time_and_the_permissions(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    source.chmod(0o600)
    os.utime(source, ns=(10**18, 10**18 + 123_456_000))
    assert run("compress", source).exit_code == 0
    status = (tmp_path / "photo.png.dz").stat()
    assert status.st_mtime_ns == source.stat().st_mtime_ns
    assert status.st_mode & 0o777 == 0o600
    assert run("decompress", "-f", tmp_path / "photo.png.dz").exit_code == 0
    assert source.stat().st_mtime_ns == status.st_mtime_ns


def test_one_bad_file_does_not_stop_the_others(paint: Paint, tmp_path: Path) -> None:
    good = [paint("a.png"), paint("z.png")]
    bad = tmp_path / "m.png"
    bad.write_bytes(good[0].read_bytes()[:40])
    result = run("compress", "-q", good[0], bad, tmp_path / "gone.png", good[1])
    assert result.exit_code == 6
    assert (tmp_path / "a.png.dz").exists()
    assert (tmp_path / "z.png.dz").exists()
    first, second = result.stderr.splitlines()
    assert first.startswith(f"densezip: {bad}: ")
    assert second == f"densezip: {tmp_path / 'gone.png'}: no such file"
    assert not (tmp_path / "m.png.dz").exists()
    assert run("compress", "-q", bad, tmp_path / "gone.png").exit_code == 3
    assert "\n2 files: 1 coded, 1 failed: " in run("compress", "-f", good[0], bad).stderr


def test_a_fault_of_ours_is_one_line_and_does_not_stop_the_others(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(data: api.Named, **options: object) -> bytes:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(api, "compress", crash)
    result = run("compress", paint("a.png"), paint("b.png"))
    assert result.exit_code == 1
    assert result.stderr.count("internal error, please report it: ZeroDivisionError: by zero\n") == 2
    assert "Traceback" in run("compress", "-v", tmp_path / "a.png").stderr


def test_limits_have_their_own_exit_code(paint: Paint, packed: Path) -> None:
    assert run("compress", "--max-pixels", "90", paint("other.png")).exit_code == 4
    assert run("decompress", "--max-pixels", "90", packed, "-o", packed.with_suffix(".bmp")).exit_code == 4
    assert run("test", "--max-pixels", "90", packed).exit_code == 4
    assert run("test", "--max-pixels", "91", packed).exit_code == 0


def test_quiet_says_errors_only_and_verbose_how_the_image_was_coded(paint: Paint, tmp_path: Path) -> None:
    source = paint()
    assert run("compress", "-q", source).output == ""
    assert run("test", "-q", tmp_path / "photo.png.dz").output == ""
    assert run("compress", "-q", source).output == ""
    (tmp_path / "photo.png.dz").write_bytes(b"precious")
    assert run("compress", "-q", source).stderr.count("\n") == 1
    assert " bpsp, file exact, " in run("compress", "-v", "-f", source).stderr


def test_info_says_everything_of_one_file(packed: Path) -> None:
    result = run("info", packed)
    assert result.exit_code == 0
    facts = dict(line.split("  ", 1) for line in result.output.splitlines())
    assert set(facts) >= {"file", "size", "image", "metadata"}
    assert facts["image"].strip().startswith("13 x 7, palette")
    assert f"{packed.stat().st_size:,} bytes" in facts["size"]


def test_info_gives_a_line_of_json_for_each_file(packed: Path) -> None:
    data = packed.read_bytes()
    line, again = run("info", "--json", packed, "-", stdin=data).output.splitlines()
    fields = json.loads(line)
    assert fields.pop("file") == str(packed)
    assert json.loads(again)["file"] == "-"
    assert fields["size"] == len(data)
    assert (fields["width"], fields["height"], fields["mode"]) == (13, 7, "P")
    assert {"bpsp", "ratio", "model", "model_digest", "portable", "tiles", "payload", "metadata"} <= set(fields)


def test_info_of_several_files_is_a_table_with_a_sum(packed: Path) -> None:
    twin = packed.with_name("twin.dz")
    twin.write_bytes(packed.read_bytes())
    lines = run("info", packed, twin).output.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["size", "bpsp", "ratio", "image", "mode", "exact", "coding", "file"]
    assert lines[1].endswith(str(packed))
    assert lines[3].split() == [f"{2 * packed.stat().st_size:,}", "2", "files"]


def test_info_of_what_is_no_densezip_file_is_an_error(paint: Paint) -> None:
    result = run("info", paint())
    assert result.exit_code == 3
    assert result.stdout == ""


def test_a_densezip_file_is_not_compressed_again(packed: Path) -> None:
    result = run("compress", packed, "-o", packed.with_name("twice.dz"))
    assert result.exit_code == 3
    assert result.stderr == f"densezip: {packed}: this is a densezip file already\n"


def test_damage_is_an_error_with_no_output(packed: Path, tmp_path: Path) -> None:
    sound = packed.read_bytes()
    for damaged in (sound[:-1], sound + b"\0", sound[:-1] + bytes([sound[-1] ^ 1]), b""):
        packed.write_bytes(damaged)
        for command in ("test", "decompress"):
            result = run(command, packed)
            assert result.exit_code == 3
            assert result.stderr.startswith(f"densezip: {packed}: ")
            assert result.stderr.count("\n") == 1
        assert listing(tmp_path) == ["photo.png.dz"]
