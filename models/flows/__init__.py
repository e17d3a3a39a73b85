"""Densities of images by invertible networks, coded by local bits-back.

`bijective.py` says what such a model has to offer, `layers.py` has layers that are learned and coded alike.

Imports: the rest of this room, `..shapes` and `...codec`; of a room beside it nothing.
"""

__all__: list[str] = []
