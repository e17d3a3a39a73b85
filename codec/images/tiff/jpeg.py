"""JPEG in TIFF: each strip or tile is a JPEG image of its own, which borrows its tables from a tag.

Pillow's JPEG decoder gets it as a whole file. Its TIFF decoder would do that, too, but is another library below, which
writes what it thinks of a damaged file to the standard error of the process, and guesses where samples are missing.

Source: TIFF Technical Note 2 (JPEG compression); ITU-T T.81, annex B; Adobe Technical Note 5116 (the colour transform).
"""

from io import BytesIO

import numpy as np
from PIL import Image

from ...errors import UnreadableImageError, UnsupportedImageError
from .dirs import Tiff
from .layout import YCBCR, Layout

__all__ = ["decode_jpeg", "tables"]

JPEG_TABLES = 347
START, END, SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
# Markers of applications, and comments: what is said there of colours, TIFF tags say otherwise.
ASIDE = frozenset({*range(0xE0, 0xF0), 0xFE})


def tables(tiff: Tiff) -> bytes:
    """The marker segments that all strips or tiles share; empty where each has its own.

    Raises:
        UnreadableImageError: the tag holds something else.
    """
    stream = tiff.raw(JPEG_TABLES)
    if not stream:
        return b""
    if not stream.startswith(START):
        raise UnreadableImageError("a damaged TIFF file: its JPEG tables are no JPEG stream")
    return stream[2:-2] if stream.endswith(END) else stream[2:]


def decode_jpeg(stream: bytes, shared: bytes, layout: Layout, index: int) -> bytes:
    """A segment's samples.

    Args:
        stream: as it lies in the file.
        shared: what `tables` says.
        layout: the file's.
        index: which segment.

    Raises:
        UnreadableImageError: damaged, cut short, or of another size.
        UnsupportedImageError: samples that Pillow does not decode.
    """
    rows, across, channels = layout.box(index)[5], layout.across, layout.together
    if channels not in (1, 3, 4) or layout.bits != 8 or (layout.photometric == YCBCR and channels != 3):
        raise UnsupportedImageError(f"a TIFF file with JPEG of {channels} samples of {layout.bits} bits")
    where = f"a damaged TIFF file: JPEG strip or tile {index}"
    if not stream.startswith(START):
        raise UnreadableImageError(f"{where} does not begin like one")
    file = START + _colours(layout) + shared + _without_asides(stream)
    try:
        with Image.open(BytesIO(file), formats=["JPEG"]) as image:
            width, height = image.size
            found = len(image.getbands())
            if width != across or not rows <= height <= max(rows, layout.down) or found != channels:
                raise UnreadableImageError(
                    f"{where} is of {width}x{height} pixels of {found} samples, not {across}x{rows} of {channels}"
                )
            samples = np.asarray(image)[:rows]
            # Pillow takes four samples for inks, which it turns over.
            return (~samples if channels == 4 else samples).tobytes()
    except (UnreadableImageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises whatever damaged data leads it to.
        raise UnreadableImageError(f"{where} cannot be decoded") from error


def _colours(layout: Layout) -> bytes:
    """A marker that says whether three samples are to be taken for luminance and chrominance."""
    if layout.together != 3:
        return b""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + (b"\1" if layout.photometric == YCBCR else b"\0")


def _without_asides(stream: bytes) -> bytes:
    """A stream without its start, and without what applications put before the pixels."""
    kept, at = [], 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != SCAN:
        marker = stream[at + 1]
        end = at + (1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4], "big"))
        if marker not in ASIDE:
            kept.append(stream[at:end])
        at = end
    return b"".join([*kept, stream[at:]])
