"""Formats of one or two files each: BMP, GIF, PNM and PAM, QOI, TGA, WebP.

Each module reads its files, and takes one apart into its picture and all else (`..split`), of which it makes the file
again. What has a name that begins with a format's goes deeper into it. `rawrows.py` (samples in rows, patches) and
`chunks.py` (metadata as PNG chunks) serve several.

Imports: the rest of this room, the files of `..`, `...native`, `...errors`, `...fields`.
"""

__all__: list[str] = []
