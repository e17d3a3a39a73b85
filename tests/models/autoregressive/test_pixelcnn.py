import pytest
import torch
from densezip.codec.errors import UsageError
from densezip.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from scans import check_causality, check_scan


def model(channels: int, **settings: int) -> PixelCNN:
    torch.manual_seed(1)
    config = PixelCNNConfig(**{"channels": channels, "filters": 6, "layers": 2, "first": 5, **settings})
    return PixelCNN(config).double().eval()


@pytest.mark.parametrize(
    ("batch", "channels", "height", "width"), [(2, 1, 6, 5), (1, 3, 5, 4), (2, 3, 1, 5), (1, 1, 7, 1), (1, 1, 1, 1)]
)
def test_pixelcnn_scan_agrees_with_the_parallel_pass(batch: int, channels: int, height: int, width: int) -> None:
    net = model(channels)
    check_scan(net.scan(batch, height, width), (batch, channels, height, width), net.log_prob)


def test_pixelcnn_of_codes_scans_as_it_passes_and_takes_them_for_no_amounts() -> None:
    net = model(2, levels=7, embedding=3)
    check_scan(net.scan(2, 4, 3), (2, 2, 4, 3), net.log_prob)
    x = torch.randint(0, 7, (5, 2, 4, 3))
    order = torch.randperm(7)
    other = model(2, levels=7, embedding=3)
    assert other.table is not None
    with torch.no_grad():
        other.table.weight.copy_(other.table.weight[order.argsort()])
        other.head.weight.copy_(other.head.weight.view(2, 7, -1)[:, order.argsort()].view_as(other.head.weight))
        assert other.head.bias is not None
        other.head.bias.copy_(other.head.bias.view(2, 7)[:, order.argsort()].flatten())
        # Codes by other numbers, with what stands for each: nothing has changed.
        assert torch.allclose(other.log_prob(order[x]), net.log_prob(x))


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 4, 5), (3, 3, 4)])
def test_pixelcnn_pmf_ignores_future_samples(channels: int, height: int, width: int) -> None:
    net = model(channels, filters=24)  # enough that no rectifier leaves a sample without a trace
    check_causality(net.scan(1, height, width), torch.randint(0, 256, (1, channels, height, width)))


def test_pixelcnn_has_no_blind_spot() -> None:
    """With layers enough, every sample before a pixel reaches it."""
    net = model(1, layers=5)
    x = torch.rand(1, 1, 5, 7, dtype=torch.float64).requires_grad_()
    net.real = lambda x: x  # type: ignore[method-assign]
    torch.autograd.backward(net.logits(x)[0, 0, :, 4, 3].square().sum())
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).flatten()
    assert torch.equal(seen, torch.arange(35) < 4 * 7 + 3)


def test_pixelcnn_learns_to_copy_the_sample_above() -> None:
    torch.manual_seed(0)
    net = PixelCNN(PixelCNNConfig(filters=24, layers=1))
    x = (torch.randint(0, 2, (8, 1, 1, 6)) * 255).expand(8, 1, 6, 6)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = -net.log_prob(x).mean()
        torch.autograd.backward(loss)
        optimizer.step()
    assert float(loss.detach()) < 36 * 0.4  # 6 coins are 4.2 nats; the start is 36 times 5.5


def test_pixelcnn_refuses_filters_that_channels_cannot_share() -> None:
    with pytest.raises(UsageError, match="32 filters for 3 channels"):
        PixelCNN(PixelCNNConfig(channels=3, filters=32))
