"""The official archives of CIFAR-10 and MNIST, as arrays.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (both versions); http://yann.lecun.com/exdb/mnist (idx format).
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...codec.errors import UnreadableImageError

__all__ = ["cifar_arrays", "mnist_arrays"]

RECORD = 1 + 3072
"""Bytes of an image in the binary version: its label, then red, green and blue."""

Pixels = NDArray[np.uint8]


class _Plain(pickle.Unpickler):
    """Reads what the archive holds, arrays in dictionaries, and nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        if name in {"_reconstruct", "ndarray", "dtype"} and module.partition(".")[0] == "numpy":
            return {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}[name]
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in CIFAR-10")


def _members(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files of a folder, its subfolders or a tar archive that match."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if pattern.fullmatch(file.name) and file.is_file():
                yield file.name, file.read_bytes()
    elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                name = member.name.rpartition("/")[2]
                handle = archive.extractfile(member) if member.isfile() and pattern.fullmatch(name) else None
                if handle is not None:
                    yield name, handle.read()


def cifar_arrays(path: Path, test: bool) -> Pixels | None:
    """[N, 3, 32, 32] of the archive in either version, extracted or not; None where that is not what is there.

    Raises:
        UnreadableImageError: a damaged archive.
    """
    batch = "test_batch" if test else r"data_batch_\d+"
    try:
        parts = [
            _binary(name, data) if name.endswith(".bin") else _pickled(name, data)
            for name, data in _members(path, re.compile(batch + r"(\.bin)?"))
        ]
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UnreadableImageError(f"{path}: {error}") from error
    if parts:
        return np.concatenate(parts).reshape(-1, 3, 32, 32)
    if path.name.endswith((".tar.gz", ".tgz", ".tar")):
        raise UnreadableImageError(f"{path} holds no batches of CIFAR-10")
    return None


def _binary(name: str, data: bytes) -> Pixels:
    if not data or len(data) % RECORD:
        raise UnreadableImageError(f"{name} of CIFAR-10 has {len(data)} bytes, not a multiple of {RECORD}")
    return np.frombuffer(data, np.uint8).reshape(-1, RECORD)[:, 1:]


def _pickled(name: str, data: bytes) -> Pixels:
    try:
        pixels = _Plain(io.BytesIO(data), encoding="bytes").load()[b"data"]
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UnreadableImageError(f"{name} of CIFAR-10: {error}") from error
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3072,):
        raise UnreadableImageError(f"{name} of CIFAR-10 does not hold rows of 3072 bytes")
    return pixels


def mnist_arrays(path: Path, test: bool) -> Pixels | None:
    """[N, 1, 28, 28] of the idx file; None where there is none.

    Raises:
        UnreadableImageError: a damaged file.
    """
    pattern = re.compile(("t10k" if test else "train") + r"[-.]images[-.]idx3[-.]ubyte(\.gz)?")
    if path.is_file() and re.fullmatch(r".*idx3[-.]ubyte(\.gz)?", path.name):
        return _idx(path.name, path.read_bytes())
    for name, data in _members(path, pattern):
        return _idx(name, data)
    return None


def _idx(name: str, data: bytes) -> Pixels:
    try:
        data = gzip.decompress(data) if name.endswith(".gz") else data
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImageError(f"{name}: {error}") from error
    shape = [int.from_bytes(data[i : i + 4], "big") for i in (4, 8, 12)]
    if data[:4] != b"\0\0\x08\x03" or len(data) != 16 + math.prod(shape):
        raise UnreadableImageError(f"{name} is no idx file of images, or is cut short")
    return np.frombuffer(data, np.uint8, offset=16).reshape(shape[0], 1, shape[1], shape[2])
