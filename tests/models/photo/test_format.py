"""codec/FORMAT.md says enough about the photo payload: a decoder written from it reads what the engine writes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from densezip.codec.entropy.rangecoder import finish
from densezip.models.photo.engine import SAMPLE_BYTES, Session, new_alphabet
from densezip.models.photo.tile import _weights
from leaves import dead_leaves
from PIL import Image
from second_decoder import decode, tile_of

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("name", ["tiny-e1", "tiny-e5", "tiny-e9", "grey-e1", "tiny-preview"])
def test_a_second_decoder_reads_the_first_ones_files(name: str) -> None:
    model, tile = tile_of((GOLDEN / f"{name}.dz").read_bytes())
    picture = name.partition("-")[0].replace("preview", "tiny")
    expected = np.atleast_3d(np.asarray(Image.open(GOLDEN / f"{picture}.png")))
    order, group = ([1, 0, 2], "colour") if expected.shape[2] == 3 else ([0], "grey")
    decoded = decode(_weights(model, group), tile, *expected.shape[:2])
    np.testing.assert_array_equal(decoded, expected[:, :, order])


@pytest.mark.parametrize(("name", "channels"), [("photo-1", 3), ("photo-5", 1)])
def test_a_second_decoder_reads_what_was_coded_in_phases(name: str, channels: int) -> None:
    weights = _weights(name, "colour" if channels == 3 else "grey")
    experts = tuple(s._replace(parting=30 + k) for k, s in enumerate(weights.spec.experts))
    weights = weights._replace(spec=dataclasses.replace(weights.spec, experts=experts))
    picture = dead_leaves(11, 13, channels, 5)
    session = Session(weights.spec, weights.shape, weights, new_alphabet([np.arange(256)] * channels), 13, 8, 11)
    data = np.zeros(picture.size * SAMPLE_BYTES, np.uint8)
    session.encode(picture.astype(np.uint16), 0, 11, data)
    coded = data[: finish(session.coder, data)].tobytes()
    np.testing.assert_array_equal(decode(weights, bytes([1]) + coded, 11, 13), picture)
