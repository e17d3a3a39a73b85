"""How the loops over pixels are compiled: one set of options for all of them, under three names.

Compiled functions take arrays that live as long as the call, and make none. So numba's reference counting is switched
off: wherever an array is a field of a tuple it puts atomic instructions into the innermost loops.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import njit

__all__ = ["COMPILING", "cached", "compiled", "inlined"]

COMPILING = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
"""False with `NUMBA_DISABLE_JIT=1`: then what has another form than the compiled one takes that."""


def _options() -> dict[str, Any]:
    uncounted: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
    try:
        njit(**uncounted)(lambda: None)
    except KeyError:  # the option is no promise of numba's; code compiled without it does the same, more slowly
        return {"error_model": "numpy"}
    return uncounted


_OPTIONS = _options()

compiled: Any = njit(**_OPTIONS)
"""Decorator of a function that compiled functions call."""

inlined: Any = njit(forceinline=True, **_OPTIONS)
"""Decorator of a function that becomes part of the compiled functions that call it."""


def cached(function: Any) -> Any:
    """Compile, at the first call, a function that Python calls; numba keeps the code where there is a folder for it."""
    try:
        return njit(nogil=True, cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder that can be written to: every process compiles for itself
        return njit(nogil=True, **_OPTIONS)(function)
