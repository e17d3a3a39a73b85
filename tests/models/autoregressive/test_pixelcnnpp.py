import copy
import math

import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.pixelcnnpp import PixelCNNPP, PixelCNNPPConfig
from scans import check_causality, check_scan, scanned


def model(channels: int, **settings: float) -> PixelCNNPP:
    torch.manual_seed(1)
    return PixelCNNPP(PixelCNNPPConfig(**{"channels": channels, "filters": 6, "mixtures": 3, **settings}))  # type: ignore[arg-type]


def picture(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    smooth = 100 + 5 * x + 3 * y + 8 * torch.arange(channels)[:, None, None]
    return (smooth + torch.randint(-6, 7, (batch, channels, height, width))).clamp(0, 255)


@pytest.mark.parametrize(
    ("batch", "channels", "height", "width", "blocks"),
    [(2, 3, 8, 6, 1), (1, 3, 7, 5, 2), (2, 1, 5, 9, 1), (1, 1, 1, 7, 1), (1, 3, 7, 1, 1), (3, 3, 1, 1, 1)],
)
def test_pixelcnnpp_scan_agrees_with_the_parallel_pass(
    batch: int, channels: int, height: int, width: int, blocks: int
) -> None:
    net = model(channels, blocks=blocks, dropout=0.5).double()
    net.initialize(picture(4, channels, 8, 8))
    whole = copy.deepcopy(net).eval()
    # The model is at training: a scan drops nothing all the same.
    check_scan(net.scan(batch, height, width), (batch, channels, height, width), whole.log_prob)
    assert net.training


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_pixelcnnpp_scans_alike_and_sees_no_prediction(channels: int) -> None:
    net = model(channels, innovations=False).double()
    x = picture(4, channels, 8, 8)
    net.initialize(x)
    check_scan(net.scan(2, 7, 6), (2, channels, 7, 6), net.eval().log_prob)
    check_causality(net.scan(1, 5, 6), picture(1, channels, 5, 6))
    _, straight = net.network(x.double() / 127.5 - 1)
    mean = (x.double() / 127.5 - 1).mean((0, 2, 3))
    assert torch.allclose(straight, mean[:, None, None].expand(straight.shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixelcnnpp_on_feature_maps_scans_alike_and_listens_to_them(channels: int) -> None:
    net = model(channels, features=2).double().eval()
    x, maps = picture(2, channels, 5, 6), torch.randn(2, 2, 5, 6, dtype=torch.float64)
    net.initialize(x, maps)
    check_scan(net.scan(2, 5, 6, maps), (2, channels, 5, 6), lambda x: net.log_prob(x, maps))
    late = maps.clone()
    late[:, :, -1, -1] += 1  # known in full before the first pixel: features may look ahead
    assert (net.log_prob(x, late) != net.log_prob(x, maps)).all()


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 5, 6), (3, 4, 5), (3, 1, 4), (1, 6, 1)])
def test_pixelcnnpp_pmf_ignores_future_samples(channels: int, height: int, width: int) -> None:
    net = model(channels).double().eval()
    x = picture(1, channels, height, width)
    net.initialize(picture(4, channels, 8, 8))
    check_causality(net.scan(1, height, width), x)


def test_pixelcnnpp_sees_all_samples_before() -> None:
    net = model(1).double()
    x = torch.rand(1, 1, 6, 8, dtype=torch.float64).requires_grad_()
    torch.autograd.backward(net.network(x)[0][0, :, 5, 4].square().sum())
    assert x.grad is not None
    assert torch.equal((x.grad[0, 0] != 0).flatten(), torch.arange(48) < 5 * 8 + 4)


@pytest.mark.parametrize("channels", [1, 3])
@torch.no_grad()
def test_pixelcnnpp_likelihood_sums_to_one(channels: int) -> None:
    """Over the 256 values of the last channel of one pixel, the others being what they are; ends included."""
    net = model(channels).double().eval()
    net.initialize(picture(4, channels, 8, 8))
    x = picture(1, channels, 1, 1).expand(256, channels, 1, 1).clone()
    x[:, -1, 0, 0] = torch.arange(256)
    joint = torch.logsumexp(net.log_prob(x), 0)
    if channels == 1:
        assert abs(float(joint)) < 1e-9
        return
    y = x.clone()
    y[:, -2] += 1
    two = torch.logsumexp(net.log_prob(y), 0)
    # p(g, r) from both; against the scan's own pmf of green.
    scan = net.scan(1, 1, 1)
    start = scanned(scan, x[:1])[1]
    logits, means, log_scales = start.chunk(3, 1)
    edges = torch.stack([x[:1, 1, 0] - 0.5, x[:1, 1, 0] + 0.5, x[:1, 1, 0] + 1.5])
    cdf = (torch.softmax(logits, 1) * torch.sigmoid((edges - means) / log_scales.exp())).sum(-1).flatten()
    ratio = torch.log((cdf[2] - cdf[1]) / (cdf[1] - cdf[0]))
    assert abs(float(two - joint - ratio)) < 1e-9


def test_pixelcnnpp_likelihood_in_float32_is_finite_and_right_at_the_extremes() -> None:
    net = model(3).eval()
    for value in (0, 255):
        x = torch.full((1, 3, 4, 4), value, dtype=torch.uint8)
        x[0, :, 2, 2] = 255 - value
        single = net.log_prob(x)
        torch.autograd.backward(single.sum())
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
        double = net.double().log_prob(x)
        net.float()
        assert torch.allclose(single.double(), double, rtol=1e-4)


def test_pixelcnnpp_initialize_gives_every_layer_its_scale() -> None:
    net = model(3, filters=8)
    x = picture(8, 3, 12, 12)
    net.initialize(x)
    found = {}
    for name, module in net.named_modules():
        if hasattr(module, "scale"):
            module.register_forward_hook(lambda m, _, out, name=name: found.update({name: (m.scale, out.detach())}))
    net.log_prob(x)
    assert len(found) > 20
    for name, (scale, out) in found.items():
        assert torch.allclose(out.std((0, 2, 3), correction=0), torch.tensor(scale), rtol=1e-2), name
        if name != "head":  # whose log-scales begin lower
            assert out.mean((0, 2, 3)).abs().max() < 1e-3 * scale, name


def test_pixelcnnpp_begins_at_a_linear_predictor_and_learns() -> None:
    torch.manual_seed(0)
    net = model(3, filters=8)
    x = picture(8, 3, 8, 8)
    net.initialize(x)
    dimensions = x[0].numel() * math.log(2)
    begin = -float(net.log_prob(x).mean().detach()) / dimensions
    assert begin < 6.5
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss = -net.log_prob(x).mean() / dimensions
        torch.autograd.backward(loss)
        optimizer.step()
    assert float(loss.detach()) < min(begin - 0.5, 5.0)


def test_feature_maps_are_there_just_where_the_model_takes_them() -> None:
    x = picture(2, 3, 5, 6)
    with_features, without = model(3, features=2), model(3)
    for call in (lambda: with_features.log_prob(x), lambda: with_features.scan(2, 5, 6)):
        with pytest.raises(UsageError, match="0 feature maps for a model that is conditional on 2"):
            call()
    with pytest.raises(UsageError, match="1 feature maps for a model that is conditional on 0"):
        without.log_prob(x, torch.zeros(2, 1, 5, 6))
    with pytest.raises(UsageError, match="2 channels"):
        model(2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (8, 8)])
def test_a_start_at_constant_images_leaves_a_model_of_any_images(height: int, width: int) -> None:
    made = PixelCNNPP(PixelCNNPPConfig(channels=3, filters=6, mixtures=2))
    made.initialize(torch.full((4, 3, height, width), 77))
    x = torch.randint(0, 256, (3, 3, height, width))
    loss = -made.log_prob(x).mean()
    torch.autograd.backward(loss)
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters() if p.grad is not None)
    assert torch.isfinite(loss)


def test_the_linear_prediction_stays_in_float32_under_autocast() -> None:
    made, x = model(3).float(), picture(2, 3, 12, 12)
    plain = made.predict(x.float() / 127.5 - 1)
    with torch.autocast("cpu", torch.bfloat16):
        straight = made.network(x.float() / 127.5 - 1)[1]
    torch.testing.assert_close(straight, plain)
