"""Image files in and out.

Begin with `picture.py` (what is coded: samples, their mode, what lies beside them), then `imagefile.py` (bytes of a
file to a picture, or an error that says why not) and `imagewrite.py` (a picture to bytes that hold all of it, or
refuse). `png.py` and `strip.py` go into single formats; `modes.py` names the kinds of pixels.

Imports: the rest of this room, `..errors`, `..fields`. It knows no coder and no .dz file.
"""

__all__: list[str] = []
