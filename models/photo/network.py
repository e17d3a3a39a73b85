"""The photo network, compiled: one pixel forward at a time, then a batch of pixels backward, and one step of Adam.

All weights lie in one flat float32 vector (as do their gradients and moments), so that the optimiser is one loop. The
function is that of `torchnet.PhotoNet`; `tests/test_photo_network.py` holds them together.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# Compiled functions take the types that they are called with.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...codec.entropy.compiled import compiled, inlined
from .kernels import accumulate_outer, affine, affine_many, affine_relu
from .shape import ROW_MULTIPLE, NetShape, padded

__all__ = ["BATCH", "Network", "backward", "head", "new_network", "step", "trunk"]

BATCH = 128
"""Pixels between two steps of the learning while coding."""

_KEEP_MEAN = np.float32(0.9)
_TAKE_MEAN = np.float32(1.0 - 0.9)
_KEEP_SQUARE = np.float32(0.99)
_TAKE_SQUARE = np.float32(1.0 - 0.99)
_EPSILON = np.float32(1e-7)
_TINY = np.float32(1e-30)
"""Keeps the moments of idle units from becoming denormal numbers, which are slow and which some hosts flush to zero."""


class Network(NamedTuple):
    """Weights, activations of the batch and scratch space of one tile. B pixels a batch, H units, L layers, C heads."""

    layers: int
    channels: int
    width: int
    hidden: int
    place: NDArray[np.int64]  # [M, 4] of each layer: first weight, rows, columns, first bias
    parameters: NDArray[np.float32]  # flat
    gradients: NDArray[np.float32]  # flat
    mean: NDArray[np.float32]  # flat, first moments
    square: NDArray[np.float32]  # flat, second moments
    transposed: NDArray[np.float32]  # flat, scratch for one transposed layer
    inputs: NDArray[np.float32]  # [B, D]
    branch: NDArray[np.float32]  # [L, B, H] each layer's output before it is added
    stream: NDArray[np.float32]  # [L, B, H] the sum after each layer
    joined: NDArray[np.float32]  # [C, B, H + E] inputs of the heads
    middle: NDArray[np.float32]  # [C, B, hidden]
    out: NDArray[np.float32]  # [C, B, O]
    out_gradient: NDArray[np.float32]  # [C, B, O]
    middle_gradient: NDArray[np.float32]  # [B, hidden]
    stream_gradient: NDArray[np.float32]  # [B, H]
    branch_gradient: NDArray[np.float32]  # [B, H]
    none: NDArray[np.float32]  # zeros, a bias that is not there
    ones: NDArray[np.float32]  # the input of a bias
    bias_gradient: NDArray[np.float32]  # scratch


def new_network(shape: NetShape, parameters: NDArray[np.float32], square: NDArray[np.float32]) -> Network:
    """A network that starts from copies of the flat `parameters` and, for Adam, of the flat second moments `square`."""
    place, at = [], 0
    for inputs, columns in shape.matrices().values():
        rows = padded(inputs, ROW_MULTIPLE)
        place.append((at, rows, columns, at + rows * columns))
        at += rows * columns + columns
    largest = max(rows * columns for _, rows, columns, _ in place)
    out = padded(3 * shape.components)

    def zeros(*size: int) -> NDArray[np.float32]:
        return np.zeros(size, np.float32)

    joined = padded(shape.width + max(shape.extras), ROW_MULTIPLE)
    return Network(
        shape.layers,
        shape.channels,
        shape.width,
        shape.hidden,
        np.array(place, np.int64),
        parameters.copy(),
        zeros(at),
        zeros(at),
        square.copy(),
        zeros(largest),
        zeros(BATCH, padded(shape.inputs, ROW_MULTIPLE)),
        zeros(shape.layers, BATCH, shape.width),
        zeros(shape.layers, BATCH, shape.width),
        zeros(shape.channels, BATCH, joined),
        zeros(shape.channels, BATCH, shape.hidden),
        zeros(shape.channels, BATCH, out),
        zeros(shape.channels, BATCH, out),
        zeros(BATCH, shape.hidden),
        zeros(BATCH, shape.width),
        zeros(BATCH, shape.width),
        zeros(max(shape.width, shape.hidden)),
        np.ones(ROW_MULTIPLE, np.float32),
        zeros(ROW_MULTIPLE * max(columns for _, _, columns, _ in place)),
    )


@inlined
def trunk(net, b):
    """Evaluate the trunk on the inputs in row b of the batch and hand its output to every head."""
    width, at, last = net.width, net.place, net.layers - 1
    p = net.parameters
    affine_relu(p, at[0, 0], at[0, 1], width, net.inputs, b * net.inputs.shape[1], p, at[0, 3], net.stream, b * width)
    for layer in range(1, net.layers):
        row = (layer * BATCH + b) * width
        affine_relu(p, at[layer, 0], width, width, net.stream, row - BATCH * width, p, at[layer, 3], net.branch, row)
        for i in range(width):
            net.stream[layer, b, i] = net.stream[layer - 1, b, i] + net.branch[layer, b, i]
    for c in range(net.channels):
        for i in range(width):
            net.joined[c, b, i] = net.stream[last, b, i]


@inlined
def head(net, c, b):
    """Evaluate the head of channel c on row b, extra inputs behind the trunk's output, to `net.out[c, b]`."""
    at, p, x = net.place, net.parameters, net.joined
    layer = net.layers + 2 * c
    last = layer + 1
    row = c * BATCH + b
    middle = row * net.hidden
    start, rows, bias = at[layer, 0], at[layer, 1], at[layer, 3]
    affine_relu(p, start, rows, net.hidden, x, row * x.shape[2], p, bias, net.middle, middle)
    columns = at[last, 2]
    affine(p, at[last, 0], net.hidden, columns, net.middle, middle, p, at[last, 3], net.out, row * columns)


@compiled
def _gradient_of_layer(net, layer, x, x0, x_step, g, g0, count):
    """Gradients of a layer's weights and bias: inputs in `x` from `x0`, gradients of its outputs in `g` from `g0`."""
    at = net.place
    start, rows, columns, bias = at[layer, 0], at[layer, 1], at[layer, 2], at[layer, 3]
    accumulate_outer(x, x0, x_step, g, g0, columns, net.gradients, start, rows, count)
    accumulate_outer(net.ones, 0, 0, g, g0, columns, net.bias_gradient, 0, ROW_MULTIPLE, count)
    for i in range(columns):
        net.gradients[bias + i] = net.bias_gradient[i]


@compiled
def _transpose(net, layer, rows):
    """The first `rows` rows of a layer's weights, transposed to [columns, rows] in `net.transposed`."""
    start, columns = net.place[layer, 0], net.place[layer, 2]
    for i in range(rows):
        for j in range(columns):
            net.transposed[j * rows + i] = net.parameters[start + i * columns + j]


@compiled
def backward(net, count):
    """Gradients of all weights, summed over the first `count` pixels of the batch, from `net.out_gradient`."""
    zero = np.float32(0.0)
    width, hidden = net.width, net.hidden
    stream, middle, back = net.stream_gradient, net.middle_gradient, net.transposed
    for p in range(count):
        for i in range(width):
            stream[p, i] = zero
    for c in range(net.channels):
        layer = net.layers + 2 * c
        last = layer + 1
        columns = net.place[last, 2]
        first = c * BATCH * columns
        _gradient_of_layer(net, last, net.middle, c * BATCH * hidden, hidden, net.out_gradient, first, count)
        _transpose(net, last, hidden)
        g = net.out_gradient
        affine_many(back, 0, columns, hidden, g, first, columns, net.none, 0, 0, middle, 0, hidden, count)
        for p in range(count):
            for i in range(hidden):
                if not net.middle[c, p, i] > zero:
                    middle[p, i] = zero
        joined = net.joined.shape[2]
        _gradient_of_layer(net, layer, net.joined, c * BATCH * joined, joined, middle, 0, count)
        _transpose(net, layer, width)
        affine_many(back, 0, hidden, width, middle, 0, hidden, stream, 0, width, stream, 0, width, count)
    branch = net.branch_gradient
    for layer in range(net.layers - 1, 0, -1):
        _transpose(net, layer, width)
        for p in range(count):
            for i in range(width):
                branch[p, i] = stream[p, i] if net.branch[layer, p, i] > zero else zero
        affine_many(back, 0, width, width, branch, 0, width, stream, 0, width, stream, 0, width, count)
        _gradient_of_layer(net, layer, net.stream, (layer - 1) * BATCH * width, width, branch, 0, count)
    for p in range(count):
        for i in range(width):
            if not net.stream[0, p, i] > zero:
                stream[p, i] = zero
    _gradient_of_layer(net, 0, net.inputs, 0, net.inputs.shape[1], stream, 0, count)


@compiled
def step(net, rate, scale):
    """One step of Adam on the gradients times `scale`, without bias correction: training gave the second moments."""
    rate = np.float32(rate)
    scale = np.float32(scale)
    p, g, m, v = net.parameters, net.gradients, net.mean, net.square
    for i in range(p.size):
        gradient = g[i] * scale
        mean = m[i] * _KEEP_MEAN + gradient * _TAKE_MEAN + _TINY
        square = v[i] * _KEEP_SQUARE + (gradient * gradient) * _TAKE_SQUARE + _TINY
        m[i] = mean
        v[i] = square
        p[i] -= rate * mean / (np.sqrt(square) + _EPSILON)
