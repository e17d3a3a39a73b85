from dataclasses import replace
from typing import Any

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.mcgsm import Mcgsm, McgsmConfig
from densezip.models.autoregressive.ride import Diagonals, Ride, RideConfig, SpatialLstm
from scans import check_future, check_scan, pictures, train

SMALL = RideConfig(channels=3, radius=2, hidden=5, components=3, scales=2, features=4)


def model(**settings: Any) -> Ride:
    torch.manual_seed(1)
    made = Ride(replace(SMALL, **settings)).double()
    made.initialize(pictures(4, made.channels, 12, 12))
    return made


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3)])
def test_states_along_diagonals_are_those_of_one_pixel_after_another(height: int, width: int) -> None:
    torch.manual_seed(0)
    lstm, plan = SpatialLstm(3, 4).double(), Diagonals(height, width)
    x = torch.randn(height, width, 2, 3, dtype=torch.float64)
    zero = torch.zeros(2, 4, dtype=torch.float64)
    states: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}
    for i in range(height):
        for j in range(width):
            beside, above = states.get((i, j - 1), (zero, zero)), states.get((i - 1, j), (zero, zero))
            states[i, j] = lstm.step(x[i, j], beside, above)
    found = lstm(x.flatten(0, 1)[plan.order], plan)[plan.place]
    expected = torch.stack([states[i, j][0] for i in range(height) for j in range(width)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (3, 1), (2, 4), (3, 2)])
def test_gradients_through_diagonals_are_the_gradients(height: int, width: int) -> None:
    torch.manual_seed(0)
    lstm, plan = SpatialLstm(2, 2).double(), Diagonals(height, width)
    x = torch.randn(height * width, 2, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in lstm.named_parameters()]
    weights = tuple(value.detach().clone().requires_grad_() for value in lstm.parameters())

    def states(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(lstm, dict(zip(names, values, strict=True)), (x, plan))
        return result

    assert torch.autograd.gradcheck(states, (x, *weights))


def test_memories_stay_finite_on_large_images() -> None:
    """With all gates open every path counts, and there are more of them with every pixel."""
    lstm, plan = SpatialLstm(1, 1), Diagonals(200, 200)
    with torch.no_grad():
        lstm.bias.copy_(torch.full((5,), 20.0))
    x = torch.zeros(200 * 200, 1, 1)
    states = lstm(x, plan)
    states.sum().backward()
    assert states[-1].item() == 1
    assert lstm.left.grad is not None
    assert torch.isfinite(lstm.left.grad).all()


@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "layers", "direct"),
    [(2, 3, 5, 6, 1, True), (1, 3, 6, 4, 2, False), (2, 1, 4, 7, 2, True), (1, 1, 1, 1, 1, True), (2, 3, 1, 6, 1, True),
     (2, 1, 6, 1, 1, False)],
)  # fmt: skip
def test_ride_scan_agrees_with_the_parallel_pass(
    batch: int, channels: int, height: int, width: int, layers: int, direct: bool
) -> None:
    net = model(channels=channels, layers=layers, direct=direct)
    check_scan(net.scan(batch, height, width), (batch, channels, height, width), net.log_prob)


@pytest.mark.parametrize(("channels", "layers", "direct"), [(1, 1, True), (3, 2, True), (3, 1, False)])
def test_ride_ignores_future_samples(channels: int, layers: int, direct: bool) -> None:
    check_future(model(channels=channels, layers=layers, direct=direct), channels)


@torch.no_grad()
def test_ride_sees_past_its_neighbourhood_where_an_mcgsm_does_not() -> None:
    x = pictures(1, 1, 9, 9)
    y = x.clone()
    y[0, 0, 0, 0] = 255 - y[0, 0, 0, 0]
    torch.manual_seed(0)
    plain = Mcgsm(McgsmConfig(channels=1, radius=2, components=2, scales=2, features=3)).double()
    ride = model(channels=1)
    moved = [float((net.log_probs(x) - net.log_probs(y))[0, 0, 8, 8].abs()) for net in (plain, ride)]
    assert moved[0] == 0
    assert moved[1] > 0


def test_ride_starts_where_an_mcgsm_has_ended() -> None:
    torch.manual_seed(2)
    mcgsm = Mcgsm(McgsmConfig(channels=3, radius=2, components=3, scales=2, features=4)).double()
    x = pictures(3, 3, 8, 8)
    mcgsm.initialize(x)
    net = model()
    with torch.no_grad():
        for parameter in mcgsm.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        net.start_from(mcgsm)
    torch.testing.assert_close(net.log_prob(x), mcgsm.log_prob(x))
    torch.autograd.backward(net.log_prob(x).sum())
    assert net.experts.weight.grad is not None
    assert float(net.experts.weight.grad[..., : net.config.hidden].abs().max()) > 0  # the state is not lost for ever
    with pytest.raises(UsageError, match="radius"):
        model(radius=1).start_from(mcgsm)
    with pytest.raises(UsageError, match="what they see"):
        model(direct=False).start_from(mcgsm)


@pytest.mark.parametrize("settings", [{"layers": 2}, {"channels": 1}])
def test_a_larger_neighbourhood_starts_at_the_density_of_a_smaller_one(settings: dict[str, int]) -> None:
    small, large = model(radius=1, **settings), model(radius=3, **settings)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    large.start_from(small)
    x = pictures(3, small.channels, 9, 7)
    torch.testing.assert_close(large.log_prob(x), small.log_prob(x))
    with pytest.raises(UsageError, match="radius, which has to be smaller"):
        small.start_from(large)
    with pytest.raises(UsageError, match="experts that see the neighbourhood"):
        model(radius=3, direct=False, **settings).start_from(small)


def test_ride_learns() -> None:
    net, x = model(), pictures(16, 3, 8, 8)
    losses = train(net, x, 20, 1e-2)
    assert losses[-1] < losses[0] - 0.15
