"""codec/FORMAT.md says enough about the photo payload: a decoder written from it reads what the engine writes."""

from pathlib import Path

import numpy as np
import pytest
from densezip.codec.file.container import parse
from densezip.models.photo.tile import _weights
from PIL import Image
from second_decoder import decode

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("name", ["tiny-e1", "tiny-e5", "tiny-e9", "grey-e1"])
def test_a_second_decoder_reads_the_first_ones_files(name: str) -> None:
    container = parse((GOLDEN / f"{name}.dz").read_bytes())
    expected = np.atleast_3d(np.asarray(Image.open(GOLDEN / f"{name.partition('-')[0]}.png")))
    order, group = ([1, 0, 2], "colour") if expected.shape[2] == 3 else ([0], "grey")
    decoded = decode(_weights(container.header.model, group), bytes(container.tile(0)), *expected.shape[:2])
    np.testing.assert_array_equal(decoded, expected[:, :, order])
