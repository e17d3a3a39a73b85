"""Densities of images pixel by pixel, each coded by the distributions of its steps.

Begin with `density.py` (what such a model has to offer, and how it becomes a codec). Models:
`pixelcnn.py`, `pixelcnnpp.py` (its layers, its likelihood and its scan beside it), `mcgsm.py` and `ride.py` (both on
`experts.py`, `causal.py`, `gaussians.py`, `pixels.py`), `dde.py` (an unnormalised density, whose shape along a value is
in `kinks.py`). `ensemble.py` averages a model over flips and transposes, `classes.py` over classes of images, each of
which has a density of its own: both code by `choices.py`. `synthesis.py` draws from a model.

Imports: the rest of this room, `..shapes` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
