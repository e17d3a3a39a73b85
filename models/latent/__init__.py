"""Densities of images by latent variables, coded by bits-back.

Begin with `variable.py`: what such a model has to offer, and what is made of that: the bound, the codec, samples.
`vae.py` has one layer of latents, `iaf.py` an autoregressive posterior beside it, `topdown.py` layers of maps at
several resolutions; `layers.py` has what their networks share.

`bounds.py` is what these and the diffusions have in common. A diffusion is a chain (`chain.py`), of normal values
(`diffusion.py`) or of bits (`binomial.py`), with a `schedule.py` and a network of the way back (`reverse.py`);
`products.py` multiplies it with what is known of an image.

Imports: the rest of this room, `..shapes`, `..likelihoods` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
