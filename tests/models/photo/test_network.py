"""The compiled network is the one that was trained: same outputs, same gradients, same code length."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from densezip.codec.entropy.rangecoder import POSITION
from densezip.models.photo.engine import BATCH, SAMPLE_BYTES, Session, new_alphabet
from densezip.models.photo.observe import Observations, observe
from densezip.models.photo.tile import _encode_group, _weights
from densezip.models.photo.weights import GROUPS, MODELS, PhotoWeights
from leaves import dead_leaves
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Of a layer's gradient, over its length: units that are nearly 0 are 0, and learn nothing.
TOLERANCE = 0.2
NETWORKS = [(name, group) for name in MODELS for group in GROUPS]


def _alone(name: str, group: str) -> PhotoWeights:
    """A model whose samples are coded as the network's mixture says."""
    weights = _weights(name, group)
    return weights._replace(spec=dataclasses.replace(weights.spec, histories=0))


def _frozen(name: str, group: str, rate: float = 0.0) -> PhotoWeights:
    weights = _alone(name, group)
    return weights._replace(spec=dataclasses.replace(weights.spec, schedule=(rate, rate, 1.0)))


def _picture(group: str, height: int) -> NDArray[Any]:
    """[H, BATCH, C], so that the last row is the network's last batch."""
    pixels: NDArray[Any] = dead_leaves(height, BATCH, GROUPS[group], seed=11)
    return pixels


def _session(weights: PhotoWeights) -> Session:
    alphabet = new_alphabet([np.arange(256)] * weights.shape.channels)
    return Session(weights.spec, weights.shape, weights, alphabet, BATCH, 8)


def _code(session: Session, pixels: NDArray[Any], first: int = 0) -> float:
    """Encode the rows from `first` on; returns the model's own bits."""
    data = np.zeros(int(session.coder[POSITION]) + pixels.size * SAMPLE_BYTES, np.uint8)
    probability = np.ones(pixels.size)
    session.encode(pixels.astype(np.uint16), first, pixels.shape[0], data, probability)
    return float(-np.log2(probability).sum())


def _coded(weights: PhotoWeights, pixels: NDArray[Any]) -> Session:
    session = _session(weights)
    _code(session, pixels)
    return session


def _observations(weights: PhotoWeights, pixels: NDArray[Any]) -> Observations:
    return observe(pixels, weights.spec, np.ones(pixels.shape[0], bool))


def _torch_net(weights: PhotoWeights) -> Any:
    torch = pytest.importorskip("torch")
    from densezip.models.photo.torchnet import PhotoNet

    net = PhotoNet(weights.shape)
    for (name, (rows, columns)), (at, _, _, bias, _) in zip(
        weights.shape.matrices().items(), _places(weights), strict=True
    ):
        key = name.replace(".", "_")
        rounded = np.rint(_part(weights.parameters, at, rows, columns) * 4096) / np.float32(4096)
        net.weight[key].data = torch.from_numpy(rounded)
        net.bias[key].data = torch.from_numpy(weights.parameters[bias : bias + columns].copy())
    return net


def _places(weights: PhotoWeights) -> Any:
    return _session(weights).arrays["place"]


def _part(flat: Floats, at: int, rows: int, columns: int) -> Floats:
    return flat[at : at + rows * columns].reshape(rows, columns)


def _inputs(session: Session, weights: PhotoWeights) -> tuple[Floats, list[Floats]]:
    """Inputs of the trunk and extra inputs of the heads but the first, of the last batch."""
    shape, joined = weights.shape, session.arrays["join"] * np.float32(2.0**-10)
    extras = [joined[c, :BATCH, shape.width : shape.width + shape.extras[c]] for c in range(1, shape.channels)]
    return session.arrays["input"][:BATCH, : shape.inputs] * np.float32(2.0**-10), extras


@pytest.mark.parametrize(("name", "group"), NETWORKS)
def test_training_sees_what_the_engine_sees(name: str, group: str) -> None:
    weights = _frozen(name, group)
    pixels = _picture(group, 6)
    trunk, extras = _inputs(_coded(weights, pixels), weights)
    seen = _observations(weights, pixels)
    # Training data is kept in half precision.
    np.testing.assert_array_equal(seen.trunk[-BATCH:], trunk.astype(np.float16))
    np.testing.assert_array_equal(
        seen.extras[-BATCH:], np.concatenate([seen.extras[-BATCH:, :0], *extras], 1).astype(np.float16)
    )


@pytest.mark.parametrize(("name", "group"), NETWORKS)
def test_compiled_forward_equals_torch(name: str, group: str) -> None:
    torch = pytest.importorskip("torch")
    weights = _frozen(name, group)
    session = _coded(weights, _picture(group, 6))
    trunk, extras = _inputs(session, weights)
    with torch.no_grad():
        expected = _torch_net(weights)(torch.from_numpy(trunk), [torch.from_numpy(e) for e in extras])
    used = 3 * weights.shape.components
    for c, out in enumerate(expected):
        error = session.arrays["out"][c, :BATCH, :used] - out.reshape(BATCH, used).numpy()
        # Units are rounded.
        assert np.abs(error).max() < 0.03
        assert np.sqrt(np.square(error).mean()) < 0.004


@pytest.mark.parametrize(("name", "group"), NETWORKS)
def test_compiled_gradients_equal_autograd(name: str, group: str) -> None:
    torch = pytest.importorskip("torch")
    from densezip.models.photo.torchnet import mixture_nats

    weights = _frozen(name, group)
    pixels = _picture(group, 6)
    session = _coded(weights, pixels[:-1])
    mean = session.arrays["mean"].copy()
    _code(session, pixels, pixels.shape[0] - 1)
    # The weights stand still, and the last row is one batch: what the first moments moved by is its gradient.
    gradients = (session.arrays["mean"] - mean.astype(float) * np.float32(0.9)) * BATCH / np.float32(1.0 - 0.9)
    seen = _observations(weights, pixels)
    trunk, extras = _inputs(session, weights)
    net = _torch_net(weights)
    outs = net(torch.from_numpy(trunk), [torch.from_numpy(e) for e in extras])
    loss = torch.zeros(())
    for c, out in enumerate(outs):
        distance, activity, end = (torch.from_numpy(a[-BATCH:, c]) for a in (seen.distance, seen.activity, seen.end))
        loss = loss + mixture_nats(out, distance, activity, end < 0, end > 0).sum()
    loss.backward()
    for (layer, (rows, columns)), (at, padded_rows, _, bias, _) in zip(
        weights.shape.matrices().items(), _places(weights), strict=True
    ):
        key = layer.replace(".", "_")
        found = _part(gradients, at, padded_rows, columns)
        expected = net.weight[key].grad.numpy()
        assert np.sqrt(np.square(found[:rows] - expected).sum()) < TOLERANCE * np.sqrt(np.square(expected).sum()), layer
        assert (np.abs(found[rows:]) < 1e-20).all(), f"{layer}: the padding learns"
        found_bias = gradients[bias : bias + columns] - net.bias[key].grad.numpy()
        assert np.sqrt(np.square(found_bias).sum()) < TOLERANCE * np.linalg.norm(net.bias[key].grad.numpy()), layer


@pytest.mark.parametrize("group", GROUPS)
def test_a_step_is_adam_without_bias_correction(group: str) -> None:
    """To the last bit, on the last layer of each head, whose inputs and gradients can be seen."""
    weights = _frozen("photo-5", group, rate=0.001)
    arrays, one = _coded(weights, _picture(group, 1)).arrays, np.float32
    for c in range(weights.shape.channels):
        at, _, columns, bias, _ = (int(n) for n in arrays["place"][weights.shape.layers + 2 * c + 1])
        own = slice(at, bias + columns)
        units = np.append(arrays["middle_units"][c, :BATCH].astype(int), np.full((BATCH, 1), 2**10), 1)
        slopes = np.rint((arrays["out_gradient"][c, :BATCH] * one(2**11)).clip(-32767, 32767)).astype(int)
        mean_gradient = (units.T @ slopes).ravel().astype(one) * one(2.0**-28)
        mean = mean_gradient * one(1.0 - 0.9) + one(1e-30)
        square = weights.square[own] * one(0.99) + (mean_gradient * mean_gradient) * one(1.0 - 0.99) + one(1e-30)
        np.testing.assert_array_equal(arrays["mean"][own], mean)
        np.testing.assert_array_equal(arrays["square"][own], square)
        expected = weights.parameters[own] - one(0.001) * mean / (np.sqrt(square) + one(1e-7))
        np.testing.assert_array_equal(arrays["parameters"][own], expected)
        assert np.abs(expected - weights.parameters[own]).max() > 0


def test_a_rate_of_zero_keeps_the_weights() -> None:
    weights = _frozen("photo-1", "colour")
    arrays = _coded(weights, _picture("colour", 2)).arrays
    np.testing.assert_array_equal(arrays["parameters"], weights.parameters)
    assert (arrays["square"] != weights.square).any()


@pytest.mark.parametrize(("name", "group"), NETWORKS)
def test_learning_while_coding_pays(name: str, group: str) -> None:
    pixels = _picture(group, 100)
    bits = [_encode_group(w, pixels, 8, None, True)[3] for w in (_frozen(name, group), _alone(name, group))]
    assert bits[1] < bits[0]


@pytest.mark.parametrize(("name", "group"), NETWORKS)
def test_coded_size_without_learning_is_the_trained_loss(name: str, group: str) -> None:
    torch = pytest.importorskip("torch")
    from densezip.models.photo.torchnet import mixture_nats

    weights = _frozen(name, group)
    pixels = _picture(group, 40)
    seen = _observations(weights, pixels)
    sizes = weights.shape.extras[1:]
    with torch.no_grad():
        trunk, beside = (torch.from_numpy(a).float() for a in (seen.trunk, seen.extras))
        outs = _torch_net(weights)(trunk, list(torch.split(beside, list(sizes), 1)) if sizes else [])
        nats = 0.0
        for c, out in enumerate(outs):
            distance, activity, end = (torch.from_numpy(a[:, c]) for a in (seen.distance, seen.activity, seen.end))
            nats += float(mixture_nats(out, distance, activity, end < 0, end > 0).double().sum())
    session = _session(weights)
    own, coded = _code(session, pixels), 8 * int(session.coder[POSITION])
    assert own == pytest.approx(nats / np.log(2), rel=1e-3)
    assert coded == pytest.approx(own, rel=1e-3, abs=64)
