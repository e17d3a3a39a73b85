"""Densities of images by invertible networks, coded by local bits-back.

`bijective.py` says what such a model has to offer; `layers.py` and `norms.py` have layers that are learned and coded
alike; `nvp.py` makes real NVP and NICE of them. `gaussian.py` is one linear map of whole images, `deepgmm.py` a mixture
of very many local ones, which `blocks.py` chooses.

Imports: the rest of this room, `..shapes` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
