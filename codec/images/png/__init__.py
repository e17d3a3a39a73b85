"""PNG files, chunk by chunk and row by row.

Begin with `png.py` (a file taken apart and put together), then `chunks.py` (what is in a file), `read.py` (its
pixels), `rows.py` (filters), `stream.py` (the choices of its writer), `contents.py` (texts and profiles)
and `write.py` (a file of our own).

Imports: the rest of this room, `..deflate`, the files of `..`, `...native`, `...errors`, `...fields`.
"""

__all__: list[str] = []
