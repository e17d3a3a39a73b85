"""Heat maps: a scale that reads by lightness alone, and a picture with its legend."""

from pathlib import Path

import densezip
import numpy as np
import pytest
from command_line import listing, run
from densezip.cli.heatpicture import colours, draw, picture_of, scale_of
from PIL import Image
from samples import file_of, model_only, picture


def test_the_colours_grow_lighter_by_even_steps() -> None:
    table = colours()
    assert table.shape == (256, 3)
    linear = np.where(table <= 10, table / 255 / 12.92, ((table / 255 + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = np.cbrt(luminance)
    steps = np.diff(lightness[::8])
    assert steps.min() > 0.4 * steps.mean()
    assert steps.max() < 1.8 * steps.mean()
    assert lightness[0] < 0.25
    assert lightness[-1] > 0.9


@pytest.mark.parametrize(("most", "scale"), [(0.0, 1), (0.03, 0.03), (7.1, 8), (24, 30), (1000, 1000)])
def test_a_scale_ends_at_a_round_number(most: float, scale: float) -> None:
    assert scale_of(np.full((4, 4), most, np.float32)) == pytest.approx(scale)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 300), (40, 1000)])
def test_the_map_stands_above_its_legend(height: int, width: int) -> None:
    bits = np.random.default_rng(0).random((height, width), np.float32) * 20
    found = draw(bits, "measured")
    enlarged = found.shape[1] // width
    assert found.shape[1] >= 320
    assert np.array_equal(found[: height * enlarged : enlarged, ::enlarged], picture_of(bits, scale_of(bits)))
    legend = found[height * enlarged :]
    assert (legend.reshape(-1, 3) == colours()[128]).all(axis=1).any()
    assert (legend.min(axis=2) < 60).sum() > 100  # ink


def test_info_draws_where_the_bits_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_only(monkeypatch)
    path, out = tmp_path / "a.dz", tmp_path / "heat.png"
    path.write_bytes(densezip.compress(picture("RGB"), effort=1))
    result = run("info", "--heatmap", out, path)
    assert result.exit_code == 0
    assert "photo-1" in result.stdout
    with Image.open(out) as image:
        assert image.size[0] >= 320
    assert run("info", "--heatmap", out, path).exit_code == 5
    assert run("info", "-f", "--heatmap", out, path).exit_code == 0


def test_info_refuses_heat_maps_that_cannot_be(tmp_path: Path) -> None:
    first, second, out = tmp_path / "a.dz", tmp_path / "b.dz", tmp_path / "heat.png"
    first.write_bytes(densezip.compress(picture("L"), effort=1))
    frames = [Image.new("L", (8, 8), shade) for shade in (1, 200)]
    second.write_bytes(densezip.compress(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    result = run("info", "--heatmap", out, first, second)
    assert result.exit_code == 2
    assert "takes one file, not 2" in result.stderr
    assert run("info", "--heatmap", "-", first).exit_code == 2
    result = run("info", "--heatmap", out, second)
    assert result.exit_code == 3
    assert "kept whole" in result.stderr
    assert listing(tmp_path) == ["a.dz", "b.dz"]
