"""Streams of zlib and zlib-ng, replayed byte for byte from their data and a short recipe.

Begin with `deflate.py`. In C: `read.c` parses a stream, `search.c`, `match.c` and `medium.c` imitate the searches of
the two libraries, `trees.c` their blocks; `deflate.c` follows a stream and notes where it differs, `replay.c` makes
it again.

Imports: `...native`, `...errors`, `...fields`.
"""

__all__: list[str] = []
