"""Adaptive density estimation: a VAE whose likelihood is a flow.

`behind.py` is the VAE of what a flow makes of images, `vade.py` joins the two. `avade.py` trains that against an
adversary: `adversary.py`, and `batches.py` for discriminators that see a batch at once.

Imports: `..flows`, `..latent`, `..likelihoods` and `...codec`.
"""

__all__: list[str] = []
