"""The compiled core: finds the shared library beside the package, checks that it is ours, and hands out its functions.

Calls go through ctypes, which releases the interpreter's lock. The library is loaded at the first use.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import NativeCoreError, UsageError

__all__ = ["LEVELS", "function", "ieee_arithmetic", "kernel", "level", "library"]

ABI = 1
"""What `dz_abi` in native.c has to say."""

LEVELS = {"x86-64": 1, "x86-64-v3": 3, "x86-64-v4": 4}
"""Values of the environment variable DENSEZIP_KERNELS, which keeps this processor to older instructions."""

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = "compile it with `python native/build.py` in the folder of the sources, or reinstall densezip"


def _digest() -> int | None:
    """The number of the C sources, as in native/build.py, or None for an installed package, which has none."""
    if not (_ROOT / "native" / "build.py").exists():
        return None
    files: dict[str, str] = {}
    for room in ("codec", "models"):
        for folder, _, names in os.walk(_ROOT / room):
            paths = [os.path.join(folder, name) for name in names if name.endswith((".c", ".h"))]
            files.update((os.path.relpath(path, _ROOT).replace(os.sep, "/"), path) for path in paths)
    number = 0
    for name, path in sorted(files.items()):
        with open(path, "rb") as file:
            number = zlib.crc32(name.encode() + b"\0" + file.read(), number)
    return number


def _is_cut_short(path: Path) -> bool:
    """Whether a library ends before its last table: loaders of ELF files do not look, and the process would crash.

    Source: System V ABI, chapter 4 (ELF header).
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head.startswith(b"\x7fELF\2"):
        return not head
    if len(head) < 64:
        return True
    order = "<" if head[5] == 1 else ">"
    (start,) = struct.unpack_from(order + "Q", head, 40)
    entry, count = struct.unpack_from(order + "HH", head, 58)
    return bool(start + entry * count > path.stat().st_size)


def open_library(path: Path) -> ctypes.CDLL:
    """Load a library and check that it is the one that these Python files call.

    Raises:
        NativeCoreError: it is missing, cannot be loaded, or is of another build.
    """
    if not path.exists():
        raise NativeCoreError(f"the compiled core {path} is missing: {_BUILD}")
    if _is_cut_short(path):
        raise NativeCoreError(f"the compiled core {path} is cut short after {path.stat().st_size} bytes: {_BUILD}")
    try:
        core = ctypes.CDLL(str(path))
        abi = int(core.dz_abi())
        core.dz_sources.restype = ctypes.c_uint32
        sources = int(core.dz_sources())
    except (OSError, AttributeError) as error:
        raise NativeCoreError(f"the compiled core {path} cannot be loaded ({error}): {_BUILD}") from error
    if abi != ABI:
        raise NativeCoreError(f"the compiled core {path} has interface {abi} where {ABI} is needed: {_BUILD}")
    expected = _digest()
    if expected not in (None, sources):
        raise NativeCoreError(
            f"the compiled core {path} is of other sources ({sources:08x}, not {expected:08x}): {_BUILD}"
        )
    return core


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library beside the package, loaded once for a process.

    Raises:
        NativeCoreError: see `open_library`.
    """
    name = {"darwin": "_core.dylib", "win32": "_core.dll"}.get(sys.platform, "_core.so")
    return open_library(_ROOT / name)


@lru_cache(maxsize=1)
def level() -> int:
    """The level of kernels that is used: the processor's highest, or a lower one that DENSEZIP_KERNELS asks for.

    Raises:
        UsageError: DENSEZIP_KERNELS is none of `LEVELS`.
    """
    highest = int(library().dz_level())
    asked = os.environ.get("DENSEZIP_KERNELS")
    if not asked:
        return highest
    if asked not in LEVELS:
        raise UsageError(f"DENSEZIP_KERNELS is {asked!r}; it may be {', '.join(LEVELS)}")
    return min(highest, LEVELS[asked])


def function(name: str, restype: Any, *argtypes: Any) -> Callable[..., Any]:
    """An exported function of the library.

    Args:
        name: begins with `dz_`.
        restype: its result, a type of ctypes or None.
        argtypes: its arguments.

    Raises:
        NativeCoreError: the library is missing or has no such function.
    """
    try:
        # A function of one's own each time: two callers may see the arguments differently.
        pointer = ctypes.CFUNCTYPE(restype, *argtypes)((name, library()))
    except AttributeError as error:
        raise NativeCoreError(f"the compiled core has no function {name}: {_BUILD}") from error
    result: Callable[..., Any] = pointer
    return result


def kernel(name: str, restype: Any, *argtypes: Any) -> Callable[..., Any]:
    """A function of a file `*.kernels.c`, as compiled for this processor; arguments as for `function`."""
    return function(f"{name}_{level()}", restype, *argtypes)


@contextlib.contextmanager
def ieee_arithmetic() -> Iterator[None]:
    """Round to nearest and keep denormal numbers in this thread, whatever the process was set to, while this lasts.

    The library's own functions see to that themselves; numpy does not.
    """
    mode = function("dz_ieee_begin", ctypes.c_uint64)()
    try:
        yield
    finally:
        function("dz_ieee_end", None, ctypes.c_uint64)(mode)
