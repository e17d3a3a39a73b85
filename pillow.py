"""Lets Pillow open and save `.dz` files: `import densezip.pillow`, and then as with any other format.

>>> from PIL import Image
>>> import densezip.pillow
>>> Image.open("photo.dz")                   # the header only, until its pixels are asked for
>>> image.save("photo.dz", effort=9)

See `densezip.plugins.pillow` for the options.
"""

from .plugins.pillow import DensezipImageFile, register

__all__ = ["DensezipImageFile", "register"]

register()
