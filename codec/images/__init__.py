"""Image files in and out.

Begin with `picture.py` (what is coded: samples, their mode, what lies beside them), then `imagefile.py` (bytes of a
file to a picture, or an error that says why not) and `imagewrite.py` (a picture to bytes that hold all of it, or
refuse). A format's own module reads it, and takes a file apart into its picture and all else (`split.py`), of which it
makes the file again: `png.py`, `tiff.py`, `bmp.py`, `pnm.py`, `tga.py`, `qoi.py`, `gif.py`, `webp.py`; what goes deeper
into one of them has a name that begins with its. `deflate.py` replays the streams of zlib, `rawrows.py` and
`predicted.py` serve several. `opaque.py` and `jpegscan.py` know what is not decoded. `source.py` is over all formats.

Imports: the rest of this room, `..errors`, `..fields`. It knows no coder and no .dz file.
"""

__all__: list[str] = []
