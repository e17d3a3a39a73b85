"""Arguments of wrong types and out of range: every public function says so with an error of ours, and at once."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from samples import array, file_of, picture

FUNCTIONS: dict[str, Callable[..., object]] = {
    name: getattr(densezip, name) for name in ("compress", "decompress", "export", "info", "verify")
}
NO_SOURCES = [
    None,
    5,
    1.5,
    True,
    [],
    {},
    set(),
    object(),
    object,
    densezip,
    len,
    "",
    "\0",
    "no such file",
    "/",
    b"",
    b"x",
]
NO_SOURCES += [io.StringIO("x"), io.BytesIO(), Path("no such file"), np.zeros(3), np.zeros((2, 2), "U1"), np.float64(3)]
NO_SOURCES += [np.zeros((0, 3), np.uint8), np.zeros((2, 2, 5), complex), iter([]), range(3), Exception("x")]
NO_NUMBERS = [None, "5", 1.5, True, [], {}, object(), int, np.zeros(3), np.float64(5), b"5", -1, np.int8(-1)]
NO_FUNCTIONS = [0, 1.5, True, "print", [], {}, object(), np.zeros(3)]
ODD: dict[str, list[Any]] = {
    "threads": NO_NUMBERS,
    "max_pixels": NO_NUMBERS,
    "progress": NO_FUNCTIONS,
    "effort": [*NO_NUMBERS, 0, 10, 2**70],
    "strip": [None, 0, 1, "look", "", np.zeros(3), np.True_, [], object()],
    "notice": NO_FUNCTIONS,
    "extension": [0, 1.5, True, b"png", [], np.zeros(3), object(), Path("png"), "no such", "jpg", "png\0"],
    "original": [5, 1.5, True, [], object(), np.zeros(3), "no such file", "", b"", b"x"],
}
TAKES = {
    "compress": ("threads", "max_pixels", "progress", "effort", "strip", "notice"),
    "decompress": ("threads", "max_pixels", "progress"),
    "export": ("threads", "max_pixels", "progress", "extension"),
    "info": (),
    "verify": ("threads", "max_pixels", "progress", "original"),
}


@pytest.fixture(scope="module")
def sources() -> dict[str, object]:
    data = densezip.compress(array(3), effort=1)
    return dict.fromkeys(FUNCTIONS, data) | {"compress": file_of(picture("RGB"), "PNG")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_source_is_an_error_of_ours(name: str) -> None:
    for source in NO_SOURCES:
        with pytest.raises(densezip.DensezipError) as caught:
            FUNCTIONS[name](source)
        assert str(caught.value)
    # A command line's words for one kind of file are not said of another.
    with pytest.raises(densezip.UsageError, match=r"an input of type int: wanted (a path.* an image|a \.dz file)"):
        FUNCTIONS[name](5)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "compress"])
def test_an_array_is_no_dz_file(name: str) -> None:
    with pytest.raises(densezip.UsageError, match=r"type ndarray: wanted a \.dz file"):
        FUNCTIONS[name](array(3))


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, every in TAKES.items() for argument in every]
)
def test_an_odd_argument_is_an_error_that_names_it(name: str, argument: str, sources: dict[str, object]) -> None:
    for value in ODD[argument]:
        with pytest.raises(densezip.DensezipError) as caught:
            FUNCTIONS[name](sources[name], **{argument: value})
        if argument not in ("extension", "original"):
            assert isinstance(caught.value, densezip.UsageError)
            assert argument in str(caught.value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_that_are_missing_or_unknown_are_type_errors(name: str, sources: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        FUNCTIONS[name]()
    with pytest.raises(TypeError):
        FUNCTIONS[name](sources[name], no_such_argument=1)


def test_numbers_of_numpy_are_numbers() -> None:
    numbers: dict[str, Any] = {"effort": np.int64(1), "threads": np.uint8(1), "max_pixels": np.int32(10**6)}
    data = densezip.compress(array(1), **numbers)
    del numbers["effort"]
    assert np.array_equal(np.asarray(densezip.decompress(data, **numbers)), array(1))
