"""Densities of vectors by denoising, without their constant, and samplers that are learned from them.

Begin with `estimator.py` (the network, its loss, its density); `mixtures.py` has the normal mixtures that its constant
is sampled by, `generator.py` the network that draws, `known.py` densities to try all that on. What codes images by such
a density is `..autoregressive.dde`.

Imports: torch, and of the package its errors only.
"""

__all__: list[str] = []
