"""The build backend of this project (PEP 517 and 660): setuptools', plus the compiled core.

Wheels and source archives are built from a copy of the files in a temporary folder. So nothing is left behind in the
sources, and nothing that an earlier build left there, or that no longer belongs to the project, gets into a wheel. An
editable installation compiles the library into the sources, where Git ignores it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from build import ROOMS, ZIG, compile_library, needs_zig
from setuptools import build_meta

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

FOLDERS = (*ROOMS, "cli", "native", "plugins", "shards", "tests", "web")
"""Folders at the root that a source archive holds, beside the files there that are listed next."""

FILES = (
    "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO", "py.typed",
    "__init__.py", "__main__.py", "contents.py", "pillow.py",
)  # fmt: skip

IGNORED = ("__pycache__", "*.py[cod]", "*.nb[ic]", "*.egg-info", "build", "dist", ".*")

# setup.py of the copy. The library makes a wheel one of a platform, but not one of a version of Python. The root of the
# project is a package, whose modules this file would be one of, did it not say that it is the setup script.
SETUP = """\
from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return True


class ForEveryPython(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(script_name="setup.py", distclass=WithLibrary, cmdclass={"bdist_wheel": ForEveryPython})
"""

MANIFEST = """\
include CHANGELOG.md
graft native
graft web
recursive-include codec *.c *.h
recursive-include models *.c *.h
graft tests
"""

Settings = dict[str, Any] | None


@contextlib.contextmanager
def _copy(*, wheel: bool) -> Iterator[Path]:
    """Work in a temporary copy of the project, the present folder."""
    root = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "densezip")
        copy.mkdir()
        for name in FOLDERS:
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns(*IGNORED))
        for name in FILES:
            if (root / name).is_file():
                shutil.copy(root / name, copy / name)
        if wheel:
            (copy / "setup.py").write_text(SETUP)
        else:
            (copy / "MANIFEST.in").write_text(MANIFEST)
        os.chdir(copy)
        try:
            yield copy
        finally:
            os.chdir(root)


def _with_zig(requirements: list[str]) -> list[str]:
    return [*requirements, ZIG] if needs_zig() else requirements


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What building a wheel needs beside setuptools: a compiler, where the system has none."""
    with _copy(wheel=True):
        return _with_zig(build_meta.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """The same for an editable installation."""
    with _copy(wheel=True):
        return _with_zig(build_meta.get_requires_for_build_editable(config_settings))


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Nothing more than setuptools: a source archive is not compiled."""
    with _copy(wheel=False):
        return list(build_meta.get_requires_for_build_sdist(config_settings))


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata of the wheel."""
    target = str(Path(metadata_directory).resolve())
    with _copy(wheel=True):
        return str(build_meta.prepare_metadata_for_build_wheel(target, config_settings))


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata of an editable installation."""
    target = str(Path(metadata_directory).resolve())
    with _copy(wheel=True):
        return str(build_meta.prepare_metadata_for_build_editable(target, config_settings))


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Compile the library and build a wheel that holds it."""
    target = str(Path(wheel_directory).resolve())
    with _copy(wheel=True) as copy:
        compile_library(copy, copy)
        return str(build_meta.build_wheel(target, config_settings, metadata_directory))


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Compile the library into the sources and build a wheel that points to them."""
    root = Path.cwd()
    compile_library(root, root)
    return str(build_meta.build_editable(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build a source archive with the C files and this backend in it."""
    target = str(Path(sdist_directory).resolve())
    with _copy(wheel=False):
        return str(build_meta.build_sdist(target, config_settings))
