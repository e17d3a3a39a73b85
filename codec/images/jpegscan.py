"""The markers of a JPEG file, without decoding anything: whether it is whole, and what kind of JPEG it is.

Source: ITU-T T.81, annex B (markers), table B.1; T.87, annex C (JPEG-LS); CIPA DC-007 (several pictures, MPO).
Standard library only.
"""

import re
from typing import NamedTuple

from ..errors import UnreadableImageError
from .split import BEHIND

__all__ = ["PIXELS_A_BYTE", "JpegFile", "beyond", "scan"]

SOI, EOI, SOS, TEM, FILL = 0xD8, 0xD9, 0xDA, 0x01, 0xFF
RESTARTS = range(0xD0, 0xD8)
APP2, JPEG_LS = 0xE2, 0xF7
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}) | {JPEG_LS}
# In entropy-coded data a marker is neither a stuffed byte, nor a restart, nor a fill byte; JPEG-LS stuffs single bits.
FILLING = re.compile(rb"\xff+")
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
END_OF_LS_SCAN = re.compile(rb"\xff[\x80-\xfe]")

LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
APP0, APP1, APP14, COM = 0xE0, 0xE1, 0xEE, 0xFE
APPLICATIONS = range(0xE0, 0xF0)
JFIF = b"JFIF\0"
# What segments begin with that are read as metadata of the picture; that of APP14 says how to read the pixels.
HELD = ((APP1, b"Exif\0\0"), (APP1, b"http://ns.adobe.com/xap/1.0/\0"), (APP2, b"ICC_PROFILE\0"), (APP14, b"Adobe"))

PIXELS_A_BYTE = 8 * 64
"""A block takes one bit of a Huffman-coded file at least."""


class JpegFile(NamedTuple):
    """What the markers of a file say.

    Attributes:
        frame: the marker of the frame: C0, baseline, to CF; F7 for JPEG-LS.
        precision: bits per sample.
        width: in pixels; 0 with `height` if only the scan says it.
        height: in pixels.
        components: of the frame.
        several: whether an index of several pictures is in it.
        end: where the end marker ends.
        segments: the markers of applications and comments, and what they hold.
    """

    frame: int
    precision: int
    width: int
    height: int
    components: int
    several: bool
    end: int
    segments: tuple[tuple[int, bytes], ...] = ()

    @property
    def comments(self) -> tuple[bytes, ...]:
        """What the comments say."""
        return tuple(body for marker, body in self.segments if marker == COM)

    @property
    def uncommon(self) -> str | None:
        """What an ordinary decoder does not expect; None for Huffman-coded grey or colour of 8 bits."""
        if self.frame == JPEG_LS:
            return "JPEG-LS"
        if self.frame in LOSSLESS:
            return "lossless JPEG"
        if self.frame in (0xC5, 0xC6, 0xCD, 0xCE):
            return "hierarchical JPEG"
        if self.frame in (0xC9, 0xCA):
            return "arithmetic-coded JPEG"
        if self.precision != 8:
            return f"JPEG of {self.precision} bits per sample"
        if self.several:
            return "several frames in one JPEG (MPO)"
        if self.components not in (1, 3):
            return "CMYK JPEG" if self.components == 4 else f"JPEG of {self.components} components"
        return None


def scan(data: bytes) -> JpegFile:
    """Follow the markers to the end of the image.

    Raises:
        UnreadableImageError: damaged, or cut short before its end marker.
    """
    position = 2
    frame: tuple[int, int, int, int, int] | None = None
    several, segments = False, []
    while True:
        if position + 2 > len(data):
            raise UnreadableImageError(f"a JPEG file that is cut short after {len(data)} bytes")
        if data[position] != FILL:
            raise UnreadableImageError(f"a damaged JPEG file: no marker at byte {position}")
        if data[position + 1] == FILL:
            filled = FILLING.match(data, position)
            position = filled.end() - 1 if filled else position + 1
            continue
        marker = data[position + 1]
        if marker == EOI:
            break
        position += 2
        if marker in RESTARTS or marker == TEM:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if marker in (0, SOI) or length < 2:
            raise UnreadableImageError(f"a damaged JPEG file: marker {marker:02X} at byte {position - 2}")
        if position + length > len(data):
            raise UnreadableImageError(f"a JPEG file that is cut short after {len(data)} bytes, in marker {marker:02X}")
        body = data[position + 2 : position + length]
        if marker in FRAMES and len(body) >= 6 and frame is None:
            size = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            frame = marker, body[0], size[1], size[0], body[5]
        if marker in APPLICATIONS or marker == COM:
            segments.append((marker, body))
        several = several or (marker == APP2 and body.startswith(b"MPF\0"))
        position += length
        if marker == SOS:
            found = (END_OF_LS_SCAN if frame and frame[0] == JPEG_LS else END_OF_SCAN).search(data, position)
            if found is None:
                raise UnreadableImageError(f"a JPEG file that is cut short after {len(data)} bytes, in its pixels")
            position = found.start()
    if frame is None:
        raise UnreadableImageError("a damaged JPEG file: no frame")
    return JpegFile(*frame, several, position + 2, tuple(segments))


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file holds that is neither pixels nor metadata of its picture, as people call it."""
    file = scan(data)
    names: dict[str, None] = {}
    for marker, body in file.segments:
        if body.startswith(JFIF) and marker == APP0:
            unit, across, down = body[7:8], body[8:10], body[10:12]
            if unit == b"\0" and across != down:
                names["pixel aspect ratio"] = None
            if any(body[12:14]):
                names["thumbnail"] = None
        elif marker != COM and not any(marker == known and body.startswith(head) for known, head in HELD):
            names[f"segment APP{marker - APP0}"] = None
    if file.end < len(data):
        names[BEHIND] = None
    return tuple(names)
