"""Densities of images by latent variables, coded by bits-back.

`variable.py` says what such a model has to offer, and makes the rest of it: the bound, the codec, samples.

Imports: the rest of this room, `..shapes`, `..likelihoods` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
