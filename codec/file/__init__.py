"""The .dz file: `../FORMAT.md` as code.

Begin with `container.py` (bytes of a header and its tiles; standard library only), then `coding.py` (a picture to a
file and back: every way to code it is a candidate, the smallest wins) and `payload.py` (ways that are image formats).
`batch.py` keeps many images coded together by a model of the user's; `info.py` is what `densezip info` says;
`region.py` and `part.py` know of parts of an image.

Imports: the rest of this room, `..entropy`, `..images`, `..errors`, `..fields`.
"""

__all__: list[str] = []
