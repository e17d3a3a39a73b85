"""Densities of images by latent variables, coded by bits-back.

Begin with `variable.py`: what such a model has to offer, and what is made of that: the bound, the codec, samples.
`vae.py` has one layer of latents, `iaf.py` an autoregressive posterior beside it, `topdown.py` layers of maps at
several resolutions; `layers.py` has what their networks share.

Imports: the rest of this room, `..shapes`, `..likelihoods` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
