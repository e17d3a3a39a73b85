"""TIFF files, directory by directory and strip by strip.

Begin with `tiff.py` (the way in). `dirs.py` and `layout.py` say what is in a file, `samples.py` decodes it, `meta.py`
has its metadata; `remainder.py` takes the whole file apart and puts it together, by a walk (`walk.py`) on which
nearly everything is foretold (`rules.py`, `predicted.py`) and streams are replayed (`streams.py`, `encoders.py`) or
replaced (`move.py`). `unheld.py` names what is neither pixels nor metadata, `write.py` makes a file of our own.

Imports: the rest of this room, `..deflate`, the files of `..`, `...native`, `...errors`, `...fields`.
"""

__all__: list[str] = []
