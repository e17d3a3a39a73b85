"""The compiled core: how it is built, found, checked and chosen for the processor."""

import ctypes
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from core import ROOT, build
from densezip.codec import native
from densezip.codec.errors import NativeCoreError, UsageError

KERNEL = """
#include "native.h"
DZ_EXPORT int DZ_KERNEL(dz_which)(void) { return DZ_LEVEL; }
"""

MEMORY = """
#include "native.h"
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
DZ_EXPORT void dz_copy(char *to, const char *from, size_t n) { memcpy(to, from, n); }
DZ_EXPORT void dz_move(char *to, const char *from, size_t n) { memmove(to, from, n); }
DZ_EXPORT void dz_set(char *to, int value, size_t n) { memset(to, value, n); }
DZ_EXPORT int dz_compare(const char *a, const char *b, size_t n) { return memcmp(a, b, n); }
"""


def _tree(folder: Path, **files: str) -> Path:
    """A folder with the core's own files, and further ones in codec/, from which a library can be compiled."""
    room = folder / "codec"
    room.mkdir()
    for name in ("native.c", "native.h", "freestanding.c"):
        shutil.copy(ROOT / "codec" / name, room)
    for name, text in files.items():
        (room / f"{name.replace('_', '.')}.c").write_text(text)
    return folder


def test_the_library_is_of_these_sources() -> None:
    sources = native.function("dz_sources", ctypes.c_uint32)
    assert sources() == build.digest(ROOT)
    assert native.function("dz_abi", ctypes.c_int)() == native.ABI


def test_a_missing_library_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(NativeCoreError, match=r"_core\.so is missing.*python native/build\.py"):
        native.open_library(tmp_path / "_core.so")


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "_core.so"
    path.write_bytes(b"not a library")
    with pytest.raises(NativeCoreError, match="cannot be loaded"):
        native.open_library(path)


@pytest.mark.skipif(sys.platform != "linux", reason="ELF")
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_library_that_is_cut_short_is_refused_before_it_ends_the_process(share: float, tmp_path: Path) -> None:
    whole = (ROOT / "_core.so").read_bytes()
    path = tmp_path / "_core.so"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(NativeCoreError, match="is cut short after"):
        native.open_library(path)


def test_a_library_of_other_sources_is_refused(tmp_path: Path) -> None:
    path = build.compile_library(_tree(tmp_path, memory=MEMORY), tmp_path)
    with pytest.raises(NativeCoreError, match="is of other sources"):
        native.open_library(path)


def test_a_library_with_another_interface_is_refused(tmp_path: Path) -> None:
    tree = _tree(tmp_path)
    file = tree / "codec" / "native.c"
    file.write_text(file.read_text().replace(f"DZ_ABI {native.ABI}", "DZ_ABI 9999"))
    with pytest.raises(NativeCoreError, match=f"has interface 9999 where {native.ABI} is needed"):
        native.open_library(build.compile_library(tree, tmp_path))


def test_a_missing_function_is_named() -> None:
    with pytest.raises(NativeCoreError, match="no function dz_nothing"):
        native.function("dz_nothing", None)


def test_an_error_in_a_source_is_reported_with_the_compilers_words(tmp_path: Path) -> None:
    with pytest.raises(build.CompilerError, match="surprise"):
        build.compile_library(_tree(tmp_path, bad="int f(void) { return surprise; }"), tmp_path)


def test_kernels_are_compiled_for_each_level_of_the_processor(tmp_path: Path) -> None:
    core = ctypes.CDLL(str(build.compile_library(_tree(tmp_path, which_kernels=KERNEL), tmp_path)))
    levels = build.LEVELS if build._machine() in ("x86_64", "amd64") else (1,)
    assert core.dz_level() in levels
    for level in levels:
        if level <= core.dz_level():
            assert getattr(core, f"dz_which_{level}")() == level


@pytest.mark.parametrize("asked", sorted(native.LEVELS))
def test_the_environment_caps_the_level(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSEZIP_KERNELS", asked)
    native.level.cache_clear()
    try:
        assert native.level() == min(native.LEVELS[asked], native.library().dz_level())
    finally:
        native.level.cache_clear()


def test_an_unknown_level_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSEZIP_KERNELS", "pentium")
    native.level.cache_clear()
    with pytest.raises(UsageError, match=r"pentium.*x86-64-v3"):
        native.level()
    native.level.cache_clear()


def test_the_own_memory_functions_do_what_the_c_library_s_do(tmp_path: Path) -> None:
    core = ctypes.CDLL(str(build.compile_library(_tree(tmp_path, memory=MEMORY), tmp_path)))
    for n in (0, 1, 15, 16, 17, 100):
        source = bytes(i * 37 & 255 for i in range(n))
        target = ctypes.create_string_buffer(b"\xee" * (n + 2), n + 2)
        core.dz_copy(ctypes.byref(target, 1), source, ctypes.c_size_t(n))
        assert target.raw == b"\xee" + source + b"\xee"
        core.dz_set(ctypes.byref(target, 1), 0x1A5, ctypes.c_size_t(n))
        assert target.raw == b"\xee" + b"\xa5" * n + b"\xee"
        assert core.dz_compare(source, bytes(source), ctypes.c_size_t(n)) == 0
    assert core.dz_compare(b"ab\xff", b"ab\x01", ctypes.c_size_t(3)) > 0
    for start, stop in ((0, 5), (5, 0)):
        text = ctypes.create_string_buffer(bytes(range(32)), 32)
        core.dz_move(ctypes.byref(text, stop), ctypes.byref(text, start), ctypes.c_size_t(20))
        assert text.raw[stop : stop + 20] == bytes(range(start, start + 20))


def test_zig_builds_it_where_there_is_no_other_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    monkeypatch.setenv("DENSEZIP_CC", "zig")
    assert build.needs_zig()
    core = ctypes.CDLL(str(build.compile_library(_tree(tmp_path, which_kernels=KERNEL), tmp_path)))
    assert core.dz_which_1() == 1


def test_only_a_machine_without_a_compiler_asks_for_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("DENSEZIP_CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert build.needs_zig()
    monkeypatch.setenv("CC", "mycc -m64")
    assert not build.needs_zig()
    assert build.find_compiler().command == ["mycc", "-m64"]


def test_a_wheel_holds_the_library_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    project, wheels = tmp_path / "project", tmp_path / "wheels"
    wheels.mkdir()
    ignore = shutil.ignore_patterns(".*", "__pycache__", "_core.*", "build", "*.egg-info", "tests", "benchmarks")
    shutil.copytree(ROOT, project, ignore=ignore)
    # What an earlier build by other tools may have left: a module that is no more.
    stale = project / "build" / "lib" / "densezip"
    stale.mkdir(parents=True)
    (stale / "gone.py").write_text("")
    before = sorted(project.rglob("*"))
    hook = "import sys; sys.path.insert(0, 'native'); import backend; print(backend.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-B", "-c", hook, str(wheels)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    assert sorted(project.rglob("*")) == before
    (wheel,) = wheels.iterdir()
    assert "-py3-none-" in wheel.name
    assert "any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert f"densezip/{build.library_name()}" in names
    assert "densezip/codec/native.py" in names
    assert {"densezip/web/core.wasm", "densezip/web/index.html", "densezip/web/page/main.js"} <= set(names)
    assert not [name for name in names if name.endswith(("gone.py", "setup.py", ".c", ".h", "build.py"))]
