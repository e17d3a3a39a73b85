"""Densities with latent variables beside an autoregressive network.

`agave.py` has latents for the plan of an image and a PixelCNN++ for its pixels, `vqvae.py` pixels by codes and a
PixelCNN for the codes.

Imports: `..latent`, `..autoregressive`, `..likelihoods` and `...codec`.
"""

__all__: list[str] = []
