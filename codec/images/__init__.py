"""Image files in and out.

Begin with `picture.py` (what is coded: samples, their mode, what lies beside them), then `imagefile.py` (bytes of a
file to a picture, or an error that says why not) and `imagewrite.py` (a picture to bytes that hold all of it, or
refuse). `source.py` takes a file apart into its picture and all else, and makes it again; each format's own module
knows how: rooms `formats`, `png`, `tiff`, with `deflate` to replay streams of zlib. `opaque.py` and `jpegscan.py`
know what is not decoded, `info.py` what stands beside a PIL image, `strip.py` drops metadata, `crop.py` keeps of it
what is true of a part, `modes.py` names the kinds of pixels.

Imports: the rest of this room, `..native`, `..errors`, `..fields`. It knows no coder and no .dz file.
"""

__all__: list[str] = []
