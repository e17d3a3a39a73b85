"""Dense linear algebra: the compiled form gives the bits of the plain one, and both the numbers of numpy's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from densezip.models.photo import kernels, logistic
from numpy.typing import NDArray

DTYPES = [np.float32, np.float64]


def _draw(dtype: Any, *shape: int, seed: int = 0) -> NDArray[Any]:
    """Numbers over many binades, so that every change of order or rounding shows."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(0, 1, shape) * 2.0 ** rng.integers(-6, 7, shape), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 6, 11])
@pytest.mark.parametrize("relu", [False, True])
def test_affine(dtype: Any, columns: int, relu: bool) -> None:
    rows, columns = 37, columns * 64 // np.dtype(dtype).itemsize
    weight, x, bias = (
        _draw(dtype, 3 + rows * columns),
        _draw(dtype, rows + 5, seed=1),
        _draw(dtype, columns + 2, seed=2),
    )
    results = []
    for form in kernels._AFFINE_RELU if relu else kernels._AFFINE:
        out = np.zeros(columns + 8, dtype)
        form(weight, 3, rows, columns, x, 5, bias, 2, out, 4)
        results.append(out)
    compiled, plain = results
    np.testing.assert_array_equal(compiled, plain)
    assert (compiled[:4] == 0).all()
    assert (compiled[-4:] == 0).all()
    exact = bias[2:] + x[5:].astype(np.float64) @ weight[3:].reshape(rows, columns)
    np.testing.assert_allclose(plain[4:-4], np.maximum(exact, 0) if relu else exact, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("shared", [False, True])
def test_affine_many_is_many_affine(shared: bool) -> None:
    rows, columns, count = 37, 48, 12
    weight, x = _draw(np.float32, 3 + rows * columns), _draw(np.float32, 5 + count * (rows + 2), seed=1)
    bias, step = _draw(np.float32, 7 + count * columns, seed=2), 0 if shared else columns
    results = []
    for form in (kernels._affine_many_compiled, kernels._affine_many_plain):
        out = np.zeros(4 + count * (columns + 1) + 16, np.float32)
        form(weight, 3, rows, columns, x, 5, rows + 2, bias, 7, step, out, 4, columns + 1, count)
        results.append(out)
    compiled, plain = results
    np.testing.assert_array_equal(compiled, plain)
    for p in range(count):
        one = np.zeros(columns, np.float32)
        kernels.affine(weight, 3, rows, columns, x, 5 + p * (rows + 2), bias, 7 + p * step, one, 0)
        np.testing.assert_array_equal(plain[4 + p * (columns + 1) :][:columns], one)


@pytest.mark.parametrize("columns", [16, 32, 48, 96])
@pytest.mark.parametrize("rows", [4, 20])
def test_accumulate_outer(rows: int, columns: int) -> None:
    count = 21
    a, g = _draw(np.float32, count, rows + 3), _draw(np.float32, count * columns + 7, seed=1)
    results = []
    for form in (kernels._outer_compiled, kernels._outer_plain):
        out = np.zeros(rows * columns + 6, np.float32)
        form(a, 2, rows + 3, g, 7, columns, out, 3, rows, count)
        results.append(out)
    compiled, plain = results
    np.testing.assert_array_equal(compiled, plain)
    flat = np.append(a.ravel(), np.zeros(3))[2:]
    left = np.array([flat[p * (rows + 3) :][:rows] for p in range(count)], np.float64)
    exact = left.T @ g[7:].reshape(count, columns)
    np.testing.assert_allclose(plain[3:-3].reshape(rows, columns), exact, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_dot(dtype: Any, blocks: int) -> None:
    length = blocks * 64 // np.dtype(dtype).itemsize
    a, b = _draw(dtype, length + 3), _draw(dtype, length + 9, seed=1)
    compiled, plain = (form(a, 3, b, 9, length) for form in (kernels._dot_compiled, kernels._dot_plain))
    assert compiled == plain
    assert plain == pytest.approx(float(a[3:].astype(np.float64) @ b[9:]), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("length", [8, 24, 64])
def test_downdate(length: int) -> None:
    half, g = _draw(np.float64, length, length), _draw(np.float64, length + 2, seed=1)
    symmetric = half + half.T
    results = []
    for form in (kernels._downdate_compiled, kernels._downdate_plain):
        matrix = np.concatenate([np.zeros(5), symmetric.ravel(), np.zeros(5)])
        form(matrix, 5, length, g, 1 / 0.998)
        assert (matrix[:5] == 0).all()
        assert (matrix[-5:] == 0).all()
        results.append(matrix[5:-5].reshape(length, length))
    compiled, plain = results
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_array_equal(compiled, compiled.T)
    exact = (symmetric - np.outer(g[:length], g[:length])) / 0.998
    np.testing.assert_allclose(plain, exact, rtol=1e-12, atol=1e-9)


def test_exponential() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-44, 44, 1000), rng.normal(0, 1, 1000), [0.0, -0.0, 44, -44, 0.5, 1e-300, -1e-9, 0]]
    )
    beyond = np.array([1e300, np.inf, 45, -45, -np.inf, np.nan, -1e300, 44.0000001])
    results = []
    for form in (logistic._exponential_compiled, logistic._exponential_plain):
        out = np.zeros(x.size + beyond.size + 1)
        form(np.concatenate([x, beyond]), out, x.size + beyond.size)
        assert out[-1] == 0
        results.append(out[:-1])
    compiled, plain = results
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_allclose(plain[: x.size], np.exp(x), rtol=8e-9)
    limits = np.array([44, 44, 44, -44, -44, -44, -44, 44])
    np.testing.assert_allclose(plain[x.size :], np.exp(limits), rtol=8e-9)


@pytest.mark.parametrize("blocks", [1, 2])
def test_logistic(blocks: int) -> None:
    size = 8 * blocks
    mean, sharpness = _draw(np.float64, size), np.abs(_draw(np.float64, size, seed=1))
    results = []
    for form in (logistic._logistic_compiled, logistic._logistic_plain):
        distance, cdf = np.zeros((3, size)), np.zeros((3, size))
        form(0.75, mean, sharpness, distance, cdf, size, size)
        results.append((distance, cdf))
    for compiled, plain in zip(*results, strict=True):
        np.testing.assert_array_equal(compiled, plain)
        assert (plain[[0, 2]] == 0).all()
    distance, cdf = results[1]
    np.testing.assert_array_equal(distance[1], (0.75 - mean) * sharpness)
    np.testing.assert_allclose(cdf[1], 1 / (1 + np.exp(np.clip(-distance[1], -44, 44))), rtol=2e-8)
