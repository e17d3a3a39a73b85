"""The program that compiles the C core, as a module."""

import importlib.util
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "build"]

ROOT = Path(__file__).resolve().parents[2]


def _build() -> Any:
    spec = importlib.util.spec_from_file_location("build", ROOT / "native" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _build()
