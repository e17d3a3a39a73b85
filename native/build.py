"""Compiles the C files of the rooms into one plain shared library: `python native/build.py` does it inside a checkout.

`python native/build.py --wasm` compiles those of the decoders for the page in `web`, where Git keeps the result: so an
installation needs no compiler that knows WebAssembly.

The library needs no Python headers and no C library, so one wheel serves every Python of a platform. Where the
processor has instruction sets of several generations, files named `*.kernels.c` are compiled once for each of them;
`DZ_KERNEL` in codec/native.h tells the copies apart, and codec/native.py chooses among them when the program runs.

Standard library only: the build backend imports this in an environment that has little else.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = [
    "ROOMS",
    "Compiler",
    "CompilerError",
    "compile_library",
    "compile_wasm",
    "digest",
    "find_compiler",
    "library_name",
    "needs_zig",
    "wasm_sources",
]

ROOMS = ("codec", "models")
"""Folders in which every C file belongs to the library."""

ZIG = "ziglang==0.17.1"
"""Clang as a wheel, for machines without a compiler."""

OLDEST_GCC = 12
"""GCC before 12 translates long vectors badly and knows no `__builtin_shufflevector`."""

FLAGS = (
    # Exactly the arithmetic that is written: nothing fused, nothing reordered.
    "-O3",
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-fast-math",
    # Nobody looks at errno or at the flags of floating point: roots are instructions, choices become vectors.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    # What distributions and zig switch on by default, and what needs a C library or costs time.
    "-fno-stack-protector",
    "-fno-sanitize=undefined",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",
)

WASM_FILE = "web/core.wasm"

WASM_ROOMS = (
    "codec/*",
    "codec/entropy/range*",
    "codec/images/jpeg/*",
    "codec/images/history/decode*",
    "models/**/*",
)
"""Where the files lie that decode pixels and coefficients."""

WASM_TARGET = (
    "-target",
    "wasm32-freestanding",
    # What every browser with vectors of 128 bits has, too.
    "-mcpu=generic+simd128+bulk_memory+sign_ext+nontrapping_fptoint+mutable_globals",
)

WASM_LINK = (
    "-nostdlib",
    "-Wl,--no-entry",
    "-Wl,--export-dynamic",
    # Where the memory begins that is the page's to share out, above the stack.
    "-Wl,--export=__heap_base",
    "-Wl,-z,stack-size=1048576",
    "-Wl,--strip-all",
)

LEVELS = {1: "x86-64", 3: "x86-64-v3", 4: "x86-64-v4"}
"""Generations of x86-64 that kernels are compiled for."""


class CompilerError(Exception):
    """There is no compiler that can build the library, or it failed."""


class Compiler:
    """A C compiler and how it is called.

    Args:
        command: the program and its first arguments.
        zig: whether it is zig's, which names processors in its own way and has to be told the target.
    """

    def __init__(self, command: list[str], zig: bool = False) -> None:
        self.command, self.zig = command, zig

    def run(self, arguments: list[str], cache: Path) -> None:
        """Compile or link; `cache` is a folder for zig's own files.

        Raises:
            CompilerError: with all that the compiler said.
        """
        command = [*self.command, *arguments]
        environment = dict(os.environ)
        if self.zig:
            environment |= {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if result.returncode:
            raise CompilerError(f"{shlex.join(command)} ended with {result.returncode}\n{result.stderr}")
        if result.stderr.strip():
            print(result.stderr, file=sys.stderr)

    def target(self) -> list[str]:
        """Options that choose the plainest processor of this platform. Without them zig compiles for this very one."""
        if not self.zig:
            return []
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(_machine(), _machine())
        system = {"darwin": "macos", "win32": "windows-gnu"}.get(sys.platform, "linux-musl")
        return ["-target", f"{machine}-{system}", "-mcpu=baseline"]

    def level(self, level: int) -> list[str]:
        """Options for one of `LEVELS`, or none for the processor's plainest."""
        if level == 1:
            return self.target()
        wide = ["-mprefer-vector-width=512"] if level == 4 else []
        if self.zig:
            return [*self.target()[:2], f"-mcpu={LEVELS[level].replace('-', '_')}", *wide]
        return [f"-march={LEVELS[level]}", *wide]


def _machine() -> str:
    return platform.machine().lower()


def _suits(command: list[str]) -> bool:
    """Whether a command is clang or a GCC that is new enough, and makes shared libraries."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(
            f"#if !defined(__clang__) && __GNUC__ < {OLDEST_GCC}\n#error too old\n#endif\n"
            "int probe(void) { return 0; }\n"
        )
        try:
            Compiler(command).run(["-fPIC", "-shared", str(source), "-o", str(Path(folder, "probe.so"))], Path(folder))
        except (CompilerError, OSError):
            return False
    return True


def _system_compiler() -> list[str] | None:
    """The compiler that the environment names in CC, or else the first one of the system that suits."""
    if os.environ.get("DENSEZIP_CC") == "zig":
        return None
    if named := os.environ.get("CC"):
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name) and _suits([name]):
            return [name]
    return None


def needs_zig() -> bool:
    """Whether the build has to ask for `ZIG`."""
    return _system_compiler() is None


def find_compiler() -> Compiler:
    """The system's compiler, else zig's where that is installed.

    Raises:
        CompilerError: there is neither.
    """
    if command := _system_compiler():
        return Compiler(command)
    zig = [sys.executable, "-m", "ziglang"]
    if subprocess.run([*zig, "version"], capture_output=True, check=False).returncode:
        raise CompilerError(
            f"no C compiler: install GCC {OLDEST_GCC} or later, or clang, or `pip install {ZIG}`, or name one in CC"
        )
    return Compiler([*zig, "cc"], zig=True)


def library_name() -> str:
    """The file name of the library on this platform."""
    return {"darwin": "_core.dylib", "win32": "_core.dll"}.get(sys.platform, "_core.so")


def sources(root: Path) -> list[Path]:
    """Every C file and header of the rooms, in an order that does not depend on the machine."""
    files = [file for room in ROOMS for kind in ("*.c", "*.h") for file in (root / room).rglob(kind)]
    return sorted(files, key=lambda file: file.relative_to(root).as_posix())


def wasm_sources(root: Path) -> list[Path]:
    """The C files and headers of `WASM_ROOMS`, in the same order everywhere."""
    files = {file for room in WASM_ROOMS for file in root.glob(room) if file.suffix in (".c", ".h")}
    return sorted(files, key=lambda file: file.relative_to(root).as_posix())


def digest(root: Path, files: list[Path] | None = None) -> int:
    """A number that changes with any of the files, by default all sources; codec/native.py computes it likewise."""
    number = 0
    for file in sources(root) if files is None else files:
        number = zlib.crc32(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes(), number)
    return number


def compile_library(root: Path, target: Path, extra: tuple[str, ...] = (), sanitizers: str = "") -> Path:
    """Compile the library of the sources below `root` into the folder `target`.

    Args:
        root: the folder that holds the rooms.
        target: where to put the library; whatever library is there is replaced at the end.
        extra: further options for the compiler, after all others.
        sanitizers: checks to compile in, as `-fsanitize=` takes them; the process that loads the library needs their
            runtime preloaded.

    Raises:
        CompilerError: no compiler, or an error in a source.
    """
    compiler = find_compiler()
    levels = LEVELS if _machine() in ("x86_64", "amd64") else (1,)
    checks = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"] if sanitizers else []
    common = [*FLAGS, *([] if sys.platform == "win32" else ["-fPIC"]), f"-DDZ_SOURCES={digest(root)}u", *extra, *checks]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        jobs, objects = [], []
        for number, source in enumerate(file for file in sources(root) if file.suffix == ".c"):
            for level in levels if source.name.endswith(".kernels.c") else (1,):
                built = work / f"{number}-{level}.o"
                options = [*compiler.level(level), *common, f"-DDZ_LEVEL={level}"]
                jobs.append([*options, "-c", str(source), "-o", str(built)])
                objects.append(str(built))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda job: compiler.run(job, work / "cache"), jobs))
        library = work / library_name()
        # Only Linux's loader takes a library that is linked to nothing; then nothing may be missing in it either.
        # On 32 bits a division of two 64-bit numbers is a function.
        bare = sys.platform.startswith("linux") and sys.maxsize > 2**32 and not checks
        alone = ["-nostdlib", "-Wl,-z,defs"] if bare else []
        compiler.run([*compiler.target(), "-shared", *alone, *checks, *objects, "-o", str(library)], work / "cache")
        # A library that is in use may be replaced but not written to.
        staged = target / f"{library.name}.{os.getpid()}"
        shutil.copy(library, staged)
        staged.replace(target / library.name)
    return target / library.name


def compile_wasm(root: Path, target: Path) -> Path:
    """Compile the decoders to the WebAssembly module `target`: the same bytes on every machine, by zig alone.

    Raises:
        CompilerError: `ZIG` is not installed, or there is an error in a source.
    """
    zig = [sys.executable, "-m", "ziglang"]
    found = subprocess.run([*zig, "version"], capture_output=True, check=False, text=True).stdout.strip()
    if found != ZIG.partition("==")[2]:
        raise CompilerError(f"zig {found or 'is missing'} where {ZIG} is needed: `pip install {ZIG}`")
    compiler, files = Compiler([*zig, "cc"], zig=True), wasm_sources(root)
    common = [*WASM_TARGET, *FLAGS, f"-DDZ_SOURCES={digest(root, files)}u", "-DDZ_LEVEL=1"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        jobs, objects = [], []
        for number, source in enumerate(file for file in files if file.suffix == ".c"):
            objects.append(str(work / f"{number}.o"))
            jobs.append([*common, "-c", str(source), "-o", objects[-1]])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda job: compiler.run(job, work / "cache"), jobs))
        compiler.run([*WASM_TARGET, *WASM_LINK, *objects, "-o", str(work / "core.wasm")], work / "cache")
        shutil.copyfile(work / "core.wasm", target)
    return target


def main() -> None:
    """Compile into the checkout that this file is in."""
    root = Path(__file__).resolve().parent.parent
    try:
        print(compile_wasm(root, root / WASM_FILE) if sys.argv[1:] == ["--wasm"] else compile_library(root, root))
    except CompilerError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
