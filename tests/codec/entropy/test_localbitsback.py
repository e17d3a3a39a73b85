"""Flows by local bits-back: every layer keeps the law and costs what its density says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from densezip.codec.entropy import bijections as bj
from densezip.codec.entropy import scales
from densezip.codec.entropy.calibrated import Calibration
from densezip.codec.entropy.calibratedgrid import FLOW_BAND, CalibratedGaussian
from densezip.codec.entropy.codecs import Codec
from densezip.codec.entropy.grid import GaussianGrid, LogisticGrid, indices_of, values_of
from densezip.codec.entropy.linear import BlackBox, Linear, UnitTriangular
from densezip.codec.entropy.localbitsback import Composition, Dequantized, Grid, LocalBitsBack
from densezip.codec.entropy.rans import Message
from densezip.codec.errors import DistributionError, MessageExhaustedError, SymbolError
from laws import check_codec
from torch import Tensor

GRID = Grid()


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _standard(shape: tuple[int, ...], bits: int = GRID.bits) -> GaussianGrid:
    return GaussianGrid(torch.zeros(shape, dtype=torch.float64), torch.ones(shape), bits)


def _network(seed: int, inputs: int, outputs: int, slope: float = 1.0) -> Callable[[Tensor], bj.Affine]:
    """From values [B, inputs] to a function of [B, outputs] elements."""
    first, second = slope * _normal(seed, inputs, 8), _normal(seed + 1, 8, 2 * outputs)

    def affine(known: Tensor) -> bj.Affine:
        shift, scale = (torch.tanh(known @ first) @ second).chunk(2, 1)
        return bj.Affine(shift, torch.exp(torch.tanh(scale)))

    return affine


def _coupling(seed: int, size: int, *, swap: bool) -> bj.Stepwise:
    half = size // 2
    moved, fixed = slice(half, size), slice(0, half)
    if swap:
        moved, fixed = fixed, moved
    network = _network(seed, len(range(size)[fixed]), len(range(size)[moved]))
    return bj.coupling(moved, lambda known: network(known.flatten(1)[:, fixed]))


def _autoregressive(seed: int, size: int, given: Any, slope: float = 1.0) -> bj.Stepwise:
    networks = [_network(seed + 2 * d, size, 1, slope) for d in range(size)]
    steps = [torch.tensor([d]) for d in range(size)]
    return bj.autoregressive(steps, lambda step, known: networks[step](known.flatten(1)), given)


def _affine(shift: float, scale: float) -> bj.Stepwise:
    return bj.elementwise(
        bj.Affine(torch.tensor([shift], dtype=torch.float64), torch.tensor([scale], dtype=torch.float64))
    )


def _nearest(values: Tensor, step: float) -> Tensor:
    return torch.round(values / step) * step


def _rotation(seed: int, *shape: int) -> Tensor:
    """Well-conditioned matrices that are not symmetric."""
    rotation: Tensor = torch.linalg.qr(_normal(seed, *shape)).Q
    return rotation @ torch.diag(torch.linspace(0.5, 2.0, shape[-1]).double())


def _black_box(flow: Any, shape: tuple[int, ...]) -> Composition:
    size = math.prod(shape)
    box = BlackBox(
        lambda v: flow.forward(v.view(-1, *shape)).reshape(len(v), -1),
        lambda v: flow.inverse(v.view(-1, *shape)).reshape(len(v), -1),
    )
    return Composition([bj.reshape(shape, (size,)), box, bj.reshape((size,), shape)])


SINH = bj.elementwise(bj.Function(torch.sinh, torch.asinh))
IMAGE = (3, 4, 2)
FLOWS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "affine": (Linear(torch.tensor([[2.0, 0.5], [-1.0, 1.5]]), torch.tensor([0.3, -4.0])), (2,)),
    "element-wise": (SINH, (2, 3)),
    "coupling": (Composition([_coupling(0, 6, swap=False), _coupling(9, 6, swap=True)]), (6,)),
    "autoregressive": (_autoregressive(1, 4, "x"), (4,)),
    "inverse autoregressive": (_autoregressive(2, 4, "z"), (2, 2)),
    "blocks": (Linear(_rotation(3, 5, 3, 3), _normal(4, 5, 3)), (5, 3)),
    "unit triangle": (UnitTriangular(0.3 * _normal(7, 6, 6), _nearest, 2.0**-12), (2, 3)),
    "blocks that share a matrix": (Linear(_rotation(5, 3, 3)), (5, 3)),
    "convolution": (bj.conv1x1(_rotation(6, 3, 3), _normal(7, 3)), IMAGE),
    "rearranged": (Composition([bj.squeeze(), bj.permute(torch.tensor([2, 0, 1, *range(3, 12)]), 1)]), IMAGE),
    "composition": (
        Composition(
            [
                _affine(-1.0, 0.5),
                bj.squeeze(),
                bj.conv1x1(_rotation(8, 12, 12)),
                _coupling(10, 24, swap=False),
                SINH,
                bj.conv1x1(_rotation(9, 12, 12)),
                _coupling(12, 24, swap=True),
            ]
        ),
        IMAGE,
    ),
    "black box": (_black_box(_coupling(0, 4, swap=True), (2, 2)), (2, 2)),
}


def _latent_shape(flow: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(flow.forward(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])


def _data(flow: Any, shape: tuple[int, ...], count: int, seed: int = 0, bits: int = GRID.bits) -> Tensor:
    """Indices of samples of the flow. [count, ...]"""
    return indices_of(flow.inverse(_normal(seed, count, *_latent_shape(flow, shape))), bits)


def _coder(flow: Any, shape: tuple[int, ...], count: int, grid: Grid = GRID) -> LocalBitsBack:
    return LocalBitsBack(flow, _standard((count, *_latent_shape(flow, shape)), grid.bits), grid)


def _log_prob(flow: Any, x: Tensor) -> Tensor:
    """Nats of each item of x [B, ...], by the whole Jacobian."""
    z = flow.forward(x).flatten(1)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda v: flow.forward(v.view(1, *x.shape[1:])).flatten()))(
        x.flatten(1)
    )
    nats: Tensor = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(1) + torch.linalg.slogdet(jacobian).logabsdet
    return nats


def _net(codec: Codec[Any], symbols: Tensor, lanes: int = 500) -> float:
    """Bits of a push, which is undone."""
    message = Message.random(lanes, 4 * symbols.numel() + 1000)
    before = message.bits
    codec.push(message, symbols)
    net = message.bits - before
    assert torch.equal(codec.pop(message), symbols)
    assert message.bits == before
    return net


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(("count", "lanes"), [(1, 1), (3, 7), (2, 100)])
def test_flows_keep_the_law(name: str, count: int, lanes: int) -> None:
    flow, shape = FLOWS[name]
    check_codec(_coder(flow, shape, count), _data(flow, shape, count), lanes)


@pytest.mark.parametrize("name", FLOWS)
def test_inverses_invert(name: str) -> None:
    flow, shape = FLOWS[name]
    x = values_of(_data(flow, shape, 9), GRID.bits)
    assert torch.allclose(flow.inverse(flow.forward(x)), x, atol=1e-9)


@pytest.mark.parametrize("name", FLOWS)
def test_flows_cost_their_density(name: str) -> None:
    """10,000 elements and more; the tolerance is of the bits beside those of the grid."""
    flow, shape = FLOWS[name]
    count = -(-10_000 // math.prod(shape))
    data = _data(flow, shape, count)
    ideal = -float(_log_prob(flow, values_of(data, GRID.bits)).sum()) / math.log(2)
    net = _net(_coder(flow, shape, count), data) - data.numel() * GRID.bits
    assert net == pytest.approx(ideal, rel=1e-3, abs=64)


def test_a_two_dimensional_affine_flow_costs_its_gaussian() -> None:
    """Of data of a known covariance, in closed form with no flow in it."""
    covariance = torch.tensor([[4.0, 1.9], [1.9, 1.0]], dtype=torch.float64)  # a correlation of 0.95
    flow, count = Linear(torch.linalg.inv(torch.linalg.cholesky(covariance))), 10_000
    data = _data(flow, (2,), count)
    x = values_of(data, GRID.bits)
    exponent = 0.5 * (x @ torch.linalg.inv(covariance) * x).sum(1)
    ideal = float(
        (exponent / math.log(2) + math.log2(2 * math.pi) + 0.5 * torch.logdet(covariance) / math.log(2)).sum()
    )
    assert _net(_coder(flow, (2,), count), data) - 2 * count * GRID.bits == pytest.approx(ideal, abs=64)


@pytest.mark.parametrize(
    "name", ["affine", "coupling", "autoregressive", "inverse autoregressive", "blocks", "convolution"]
)
def test_black_box_and_layers_agree(name: str) -> None:
    """With little noise: the box sees the curvature of all layers at once."""
    flow, shape = FLOWS[name]
    count, grid = 200, Grid(36, 2.0**-18)
    data = _data(flow, shape, count, bits=grid.bits)
    layers, box = (_net(_coder(f, shape, count, grid), data) for f in (flow, _black_box(flow, shape)))
    assert layers == pytest.approx(box, abs=2e-3 * data.numel() + 4)


def _uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pixels(flow: Any, shape: tuple[int, ...], count: int) -> Tensor:
    return torch.floor(flow.inverse(_normal(3, count, *_latent_shape(flow, shape)))).long()


TO_ONE = _affine(-2.0, 1 / 64)
"""Pixels about 128, of a standard deviation of 64, to values about 0 of one of 1."""


@pytest.mark.parametrize("name", ["affine", "coupling", "autoregressive", "convolution", "composition"])
def test_dequantized_flows_cost_the_bound(name: str) -> None:
    layers, shape = FLOWS[name]
    flow = Composition([TO_ONE, layers])
    count, draws = -(-10_000 // math.prod(shape)), 8
    data = _pixels(flow, shape, count)
    noisy = (data + _uniform(seed, *data.shape) for seed in range(draws))
    bound = sum(-float(_log_prob(flow, y).sum()) for y in noisy) / math.log(2) / draws
    net = _net(Dequantized(_coder(flow, shape, count), GRID.bits), data)
    assert net == pytest.approx(bound, rel=1e-3, abs=64)
    assert net <= 1.003 * bound


def test_dequantized_gaussian_costs_its_closed_form() -> None:
    """The mean over uniform noise of a quadratic: that in the middle of the pixel and 1/12."""
    count, scale = 10_000, 64.0
    data = _pixels(TO_ONE, (1,), count)
    square = ((data.double() + 0.5 - 128) ** 2 + 1 / 12) / scale**2
    bound = float((square / 2 / math.log(2) + math.log2(scale) + 0.5 * math.log2(2 * math.pi)).sum())
    net = _net(Dequantized(_coder(TO_ONE, (1,), count), GRID.bits), data)
    assert net == pytest.approx(bound, rel=1e-3, abs=64)
    assert net <= 1.003 * bound


def _noise_flow(x: Tensor) -> tuple[Composition, Tensor, Tensor]:
    """u = sigmoid(shift + scale ε), which depends on the pixel, and its shift and scale."""
    shift, scale = torch.sin(x.double()), torch.exp(0.5 * torch.cos(x.double()))
    inverse = bj.Affine((-shift / scale).flatten(1), (1 / scale).flatten(1))
    return Composition([bj.logit(), bj.elementwise(inverse)]), shift, scale


def test_learned_noise_is_taken_out_of_the_message_and_costs_its_own_density() -> None:
    """E over the noise of -log2 p(x + u) + log2 q(u | x), for noise from a flow of its own."""
    count, draws, shape = 2500, 8, (4,)
    flow = Composition([TO_ONE, FLOWS["autoregressive"][0]])
    data = _pixels(flow, shape, count)
    _, shift, scale = _noise_flow(data)
    bound = 0.0
    for seed in range(draws):
        normal = _normal(seed, *data.shape)
        u = torch.sigmoid(shift + scale * normal)
        log_q = -0.5 * normal**2 - 0.5 * math.log(2 * math.pi) - torch.log(scale * u * (1 - u))
        bound += float(log_q.sum() - _log_prob(flow, data + u).sum()) / math.log(2) / draws

    def of(x: Tensor) -> Codec[Tensor]:
        return LocalBitsBack(_noise_flow(x)[0], _standard(tuple(x.shape)), GRID)

    codec = Dequantized(_coder(flow, shape, count), GRID.bits, of)
    net = _net(codec, data)
    assert net == pytest.approx(bound, rel=3e-3, abs=64)
    check_codec(Dequantized(_coder(flow, shape, 5), GRID.bits, of), data[:5], 3)


def test_values_in_an_interval_cost_their_density() -> None:
    """Of a sigmoid normal; and the law to the ends of the interval, where a single step of the grid is wide."""
    count, scale = 10_000, 1.5
    u = torch.sigmoid(scale * _normal(0, count, 1))
    flow = Composition([bj.logit(), _affine(0.0, 1 / scale)])
    data = indices_of(u, GRID.bits).clamp(0, (1 << GRID.bits) - 1)
    u = values_of(data, GRID.bits)
    log_p = -0.5 * (torch.logit(u) / scale) ** 2 - 0.5 * math.log(2 * math.pi) - torch.log(scale * u * (1 - u))
    net = _net(_coder(flow, (1,), count), data) - count * GRID.bits
    assert net == pytest.approx(-float(log_p.sum()) / math.log(2), rel=1e-3, abs=64)
    ends = torch.tensor([[0], [(1 << GRID.bits) - 1], [1], [1 << 23]])
    check_codec(_coder(flow, (1,), 4), ends, 2)


def test_several_scales_end_in_a_prior_of_several_parts() -> None:
    later, count = _coupling(20, 4, swap=False), 2500
    drawn = _normal(0, count, 6)
    first = later.inverse(drawn[:, :4])
    data = indices_of(torch.cat([first, first[:, :2] + 0.5 * drawn[:, 4:]], 1), GRID.bits)

    def rest(first: Tensor) -> GaussianGrid:
        return GaussianGrid(values_of(first[:, :2], GRID.bits), torch.full((count, 2), 0.5), GRID.bits)

    codec = scales.split(later.codec(_standard((count, 4)), GRID), rest, 4)
    x = values_of(data, GRID.bits)
    difference = (x[:, 4:] - x[:, :2]) / 0.5
    ideal = -_log_prob(later, x[:, :4]).sum() + (0.5 * difference**2 + 0.5 * math.log(2 * math.pi) - math.log(2)).sum()
    assert _net(codec, data) - data.numel() * GRID.bits == pytest.approx(float(ideal) / math.log(2), rel=1e-3, abs=64)


def test_a_logistic_prior_serves_as_well() -> None:
    count = 10_000
    uniform = _uniform(0, count, 1)
    data = indices_of(2 * torch.logit(uniform), GRID.bits)
    z = values_of(data, GRID.bits) / 2
    ideal = -float((torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z) - math.log(2)).sum())
    prior = LogisticGrid(torch.zeros(count, 1), torch.ones(count, 1), GRID.bits)
    net = _net(LocalBitsBack(_affine(0.0, 0.5), prior, GRID), data) - count * GRID.bits
    assert net == pytest.approx(ideal / math.log(2), rel=1e-3, abs=64)


def test_layers_borrow_the_initial_bits_of_one() -> None:
    def least(layers: int) -> int:
        """Words on the tail that the first push needs."""
        flow = Composition([FLOWS["blocks"][0]] * layers)
        data = torch.zeros(100, 5, 3, dtype=torch.int64)
        for words in range(0, 10_000, 50):
            try:
                _coder(flow, (5, 3), 100).push(Message.random(100, words), data)
            except MessageExhaustedError:
                continue
            return words
        raise AssertionError

    assert 0 < least(6) <= least(1) + 100


@pytest.mark.parametrize(
    ("bits", "sigma", "most"), [(24, 2.0**-10, 1e-3), (24, 2.0**-2, math.inf), (10, 2.0**-12, math.inf)]
)
def test_noise_costs_by_curvature_where_it_is_wide_and_by_steps_where_it_is_narrow(
    bits: int, sigma: float, most: float
) -> None:
    """The default costs nothing that shows; far wider or narrower than a step it is paid for, and never wrong."""
    flow, shape = FLOWS["coupling"]
    grid, count = Grid(bits, sigma), 500
    data = _data(flow, shape, count, bits=bits)
    ideal = -float(_log_prob(flow, values_of(data, bits)).sum()) / math.log(2) + data.numel() * bits
    over = (_net(_coder(flow, shape, count, grid), data) - ideal) / data.numel()
    assert (over > 0.01) == math.isinf(most)
    assert over <= most


@pytest.mark.parametrize("name", FLOWS)
def test_any_parameters_that_both_sides_agree_on_decode(name: str) -> None:
    """Every Gaussian goes through the grid's hook. Rounded ones cost a little and lose nothing."""

    def rounded(means: Tensor, scales: Tensor, bits: int, bounds: tuple[int, int] | None = None) -> Codec[Tensor]:
        calls.append(means.numel())
        means = torch.round(means * 2.0**16) / 2.0**16  # 1/64 of sigma
        return GaussianGrid(means, torch.exp2(torch.round(torch.log2(scales) * 16) / 16), bits, bounds)

    calls: list[int] = []
    flow, shape = FLOWS[name]
    count = -(-1000 // math.prod(shape))
    data = _data(flow, shape, count)
    exact = _net(_coder(flow, shape, count), data)
    check_codec(_coder(flow, shape, 3, Grid(gaussian=rounded)), data[:3], 5)
    net = _net(_coder(flow, shape, count, Grid(gaussian=rounded)), data)
    assert net == pytest.approx(exact, abs=0.02 * data.numel())
    assert (sum(calls) > 0) == (name not in ("rearranged", "unit triangle"))


@pytest.mark.parametrize("name", ["composition", "autoregressive", "inverse autoregressive", "affine", "black box"])
def test_calibrated_flows_decode_where_the_last_bits_differ(name: str) -> None:
    """Another machine is played by parameters that are off by 1e-14 of their size."""
    flow, shape = FLOWS[name]
    count = -(-3000 // math.prod(shape))
    data = _data(flow, shape, count)
    exact = _net(_coder(flow, shape, count), data)
    generator = torch.Generator().manual_seed(0)

    def other(means: Tensor, scales: Tensor, bits: int, bounds: tuple[int, int] | None = None) -> Codec[Tensor]:
        off = 1 + 1e-14 * (torch.rand(means.shape, generator=generator, dtype=torch.float64) - 0.5)
        return CalibratedGaussian(reader)(means * off, scales * off, bits, bounds)

    writer, message = Calibration(FLOW_BAND), Message.random(500, 4 * data.numel())
    before, begun = message.to_bytes(), message.bits
    _coder(flow, shape, count, Grid(gaussian=CalibratedGaussian(writer))).push(message, data)
    net, side = message.bits - begun, writer.to_bytes()
    reader = Calibration.from_bytes(side)
    assert torch.equal(_coder(flow, shape, count, Grid(gaussian=other)).pop(message), data)
    reader.finish()
    assert message.to_bytes() == before
    assert net == pytest.approx(exact, abs=1e-3 * data.numel() * (14 if name == "composition" else 4))
    assert len(side) * 8 < 1e-4 * writer.parameters + 200


@pytest.mark.parametrize("shape", [(4,), (4, 5)])
def test_chosen_matrices_do_what_each_would_alone(shape: tuple[int, ...]) -> None:
    weight, bias = _rotation(3, *shape, 3, 3), _normal(4, *shape, 3)
    choice = torch.randint(0, 4, (6, 5), generator=torch.Generator().manual_seed(5))
    index = (choice,) if len(shape) == 1 else (choice, torch.arange(5).expand(6, 5))
    chosen, alone = Linear(weight, bias).chosen(choice), Linear(weight[index], bias[index])
    x = _normal(6, 6, 5, 3)
    assert torch.allclose(chosen.forward(x), alone.forward(x), rtol=0, atol=1e-12)
    assert torch.allclose(chosen.inverse(x), alone.inverse(x), rtol=0, atol=1e-12)
    symbols = torch.floor(x * 2**GRID.bits).long()
    nets = [check_codec(_coder(flow, (5, 3), 6), symbols, 6) for flow in (chosen, alone)]
    assert nets[0] == pytest.approx(nets[1], abs=1)


def test_matrices_that_are_nearly_singular_still_decode() -> None:
    for small in (1e-3, 1e-7):
        weight = _rotation(0, 3, 3) @ torch.diag(torch.tensor([1.0, 1.0, small]).double()) @ _rotation(1, 3, 3)
        check_codec(_coder(Linear(weight), (3,), 4), torch.arange(12).view(4, 3) << 20, 5)


def test_singular_matrices_are_refused() -> None:
    with pytest.raises(DistributionError, match="singular"):
        Linear(torch.zeros(2, 2))
    with pytest.raises(DistributionError, match="not finite"):
        Linear(torch.full((2, 2), torch.nan))
    with pytest.raises(DistributionError, match="singular"):
        _coder(BlackBox(lambda x: x * 0, lambda z: z), (2,), 1).push(Message.random(2, 99), torch.zeros(1, 2).long())


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (_affine(0.0, math.inf), "scale inf"),
        (_affine(0.0, math.nan), "nan"),
        (_affine(0.0, 0.0), "inf"),
        (_affine(1e300, 1.0), "1e.300"),
        (bj.elementwise(bj.Function(torch.exp, torch.log)), "not on the grid|scale"),
        (bj.Stepwise([slice(0, 2), slice(1, 2)], lambda step, known: bj.Affine(known, known)), "in two steps"),
    ],
)
def test_functions_that_leave_the_numbers_are_refused(flow: Any, words: str) -> None:
    data = indices_of(torch.full((1, 2), 1000.0), GRID.bits)
    with pytest.raises(DistributionError, match=words):
        _coder(flow, (2,), 1).push(Message.random(2, 99), data)


def test_noise_outside_the_pixel_is_refused() -> None:
    codec = Dequantized(
        _coder(TO_ONE, (1,), 1), GRID.bits, lambda x: GaussianGrid(torch.full((1, 1), 3.0), torch.ones(1, 1), GRID.bits)
    )
    with pytest.raises(SymbolError, match="not in"):
        codec.push(Message.random(1, 99), torch.tensor([[7]]))


def test_a_message_without_initial_bits_is_refused() -> None:
    flow, shape = FLOWS["coupling"]
    with pytest.raises(MessageExhaustedError):
        _coder(flow, shape, 3).push(Message(4), _data(flow, shape, 3))
