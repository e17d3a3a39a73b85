"""PNM and PAM: a few numbers in text, then samples as bytes, bits or decimal numbers; files come back byte for byte.

Samples of any maximum are scaled to the range of the picture's, 0..255 or 0..65535, to the nearest; that can be undone.

Source: Netpbm's pbm(5), pgm(5), ppm(5), pam(5).

Remainder: the head's texts around width and height (varint: preset, or 126 and the texts, or 127 if height comes before
width), for binary files a patch of the rows, for plain files the spacing, and the bytes behind the samples.
"""

import re
from dataclasses import dataclass

import numpy as np

from ...errors import CorruptPayloadError, UnreadableImageError, UnsupportedImageError
from ...fields import Reader, varint
from ..limits import check_pixels
from ..modes import Chunk
from ..picture import Array, Picture
from ..split import BEHIND, PADDING, Split
from . import pnmtext
from .chunks import text_chunk
from .rawrows import (
    blob,
    narrowed,
    pack_bits,
    patch,
    patched,
    reader,
    remaking,
    skip_patch,
    take_blob,
    unpack_bits,
    widened,
)

__all__ = ["beyond", "join", "read", "skeleton", "split"]

SPACE = b" \t\n\v\f\r"
MAX_DIGITS = 9
MAX_PAM_HEADER = 2**16
PAM_TYPES = {
    1: (b"", b"BLACKANDWHITE", b"GRAYSCALE"),
    2: (b"", b"BLACKANDWHITE_ALPHA", b"GRAYSCALE_ALPHA"),
    3: (b"", b"RGB"),
    4: (b"", b"RGB_ALPHA"),
}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
DEEP_MODES = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}
SMALL_BITS = {3: 2, 15: 4}
COMMENT = re.compile(rb"#([^\n\r]*)")
# More than any picture has.
MOST_SAMPLES = 2**64


@dataclass(frozen=True)
class Header:
    """What the header of a file says.

    Attributes:
        kind: the digit behind the P.
        width: in pixels.
        height: in pixels.
        channels: of a pixel.
        maximum: of a sample.
        offset: of the samples in the file.
        places: where the digits of width and height begin and end, whatever zeros are before them.
        comments: of the header, without their number signs.
    """

    kind: int
    width: int
    height: int
    channels: int
    maximum: int
    offset: int
    places: tuple[int, int, int, int]
    comments: tuple[bytes, ...]

    @property
    def mode(self) -> str:
        """The mode of the picture."""
        if self.maximum == 1 and self.channels == 1:
            return "1"
        return (MODES if self.maximum < 256 else DEEP_MODES)[self.channels]

    @property
    def bits(self) -> int:
        """Bits per sample of the picture."""
        if self.mode == "1":
            return 1
        if self.channels == 1 and self.maximum in SMALL_BITS:
            return SMALL_BITS[self.maximum]
        return 8 if self.maximum < 256 else 16

    @property
    def plain(self) -> bool:
        """Whether the samples are decimal numbers."""
        return self.kind in (1, 2, 3)

    @property
    def black(self) -> int:
        """1 if the samples say how black a pixel is, 0 if they say how bright."""
        return int(self.kind in (1, 4))

    @property
    def row(self) -> int:
        """Bytes of a row of a binary file."""
        if self.kind == 4:
            return -(-self.width // 8)
        return self.width * self.channels * (1 if self.maximum < 256 else 2)


def read(data: bytes, max_pixels: int) -> Picture:
    """The pixels and comments of a PNM or PAM file.

    Raises:
        UnreadableImageError: damaged or cut short.
        UnsupportedImageError: more than one image, or samples that are not coded.
        LimitError: more than `max_pixels` pixels.
    """
    header = _parse(data)
    check_pixels(header.width, header.height, max_pixels)
    pixels, end, comments = _samples(data, header)
    tail = data[end : end + 64].lstrip(SPACE)
    if tail[:1] == b"P" and tail[1:2] in b"1234567" and tail[2:3] in SPACE:
        raise UnsupportedImageError("a PNM file with more than one image in it")
    return Picture(pixels, header.mode, header.bits, _chunks((*header.comments, *comments)))


def split(data: bytes, picture: Picture) -> Split | None:
    """Everything of a file but its pixels; None where what is among decimal numbers is no regular white space."""
    header = _parse(data)
    parts = [_write_head(data[: header.offset], header)]
    if header.plain:
        count = picture.pixels.size
        bitmap = header.kind == 1
        values, end = pnmtext.numbers(_uncommented(data, header), header.offset, count, bitmap=bitmap)
        spacing = pnmtext.parse_spacing(data, header.offset, end, values, header.channels, bitmap=bitmap)
        if spacing is None:
            return None
        parts += [pnmtext.write_spacing(spacing), data[end:]]
    else:
        end_of_rows = header.offset + header.row * header.height
        parts.append(patch(memoryview(data)[header.offset : end_of_rows], _pack(picture.pixels, header)))
        parts.append(data[end_of_rows:])
    return Split(b"".join(parts), exact=True)


@remaking("PNM")
def join(picture: Picture, remainder: bytes) -> bytes:
    """A file of its pixels and of what `split` gave.

    Raises:
        CorruptPayloadError: the remainder is not one of such a picture.
    """
    height, width = picture.pixels.shape[:2]
    fields = reader(remainder)
    head, header = _read_head(fields, width, height)
    if header.mode != picture.mode:
        raise CorruptPayloadError(f"a PNM file of mode {header.mode} around a picture of mode {picture.mode}")
    if header.plain:
        spacing = pnmtext.read_spacing(fields, header.channels, picture.pixels.size)
        rows = pnmtext.text(_values(picture.pixels, header).reshape(-1).astype(np.uint16, copy=False), spacing)
    else:
        rows = patched(_pack(picture.pixels, header), fields, "the rows of a PNM file")
    return b"".join([head, rows, fields.take(fields.left, "the tail")])


@remaking("PNM")
def skeleton(remainder: bytes) -> bytes:
    """A file of one pixel with the comments of the file of a remainder."""
    fields = reader(remainder)
    head, header = _read_head(fields, 1, 1)
    row = bytearray(b" 0" * header.channels if header.plain else header.row)
    if header.plain:
        pnmtext.read_spacing(fields, header.channels, MOST_SAMPLES)
    else:
        row[-1] = skip_patch(fields, "the rows")
    tail = bytes(fields.take(fields.left, "the tail"))
    return head + row + tail


def beyond(data: bytes) -> tuple[str, ...]:
    """What a file, or its skeleton, holds that is neither pixels nor metadata of its picture, as people call it."""
    header = _parse(data)
    # What the bits of a sample do not tell.
    names = [] if header.maximum == 2**header.bits - 1 else [f"maximum of {header.maximum}"]
    pixels, end, _ = _samples(data, header)
    if not header.plain and _pack(pixels, header) != data[header.offset : end]:
        names.append(PADDING)
    tail = data[end:].strip(SPACE) if header.plain else data[end:]
    return (*names, BEHIND) if tail else tuple(names)


def _parse(data: bytes) -> Header:
    if data[:1] != b"P" or data[1:2] not in (b"1", b"2", b"3", b"4", b"5", b"6", b"7"):
        raise UnreadableImageError("no PNM file")
    header = _parse_pam(data) if data[1:2] == b"7" else _parse_pnm(data)
    if not (header.width and header.height and 0 < header.maximum < 65536):
        raise UnreadableImageError(
            f"a damaged PNM file: {header.width}x{header.height} pixels, a maximum of {header.maximum}"
        )
    return header


def _parse_pnm(data: bytes) -> Header:
    kind, position = int(data[1:2]), 2
    fields: list[int] = []
    places: list[int] = []
    comments: list[bytes] = []
    while len(fields) < (2 if kind in (1, 4) else 3):
        start = position
        while data[position : position + 1] and data[position] in b"#" + SPACE:
            if data[position] == ord("#"):
                end = data.find(b"\n", position)
                end = len(data) if end < 0 else end
                comments.append(data[position + 1 : end].strip())
                position = end
            else:
                position += 1
        if position == start:
            raise UnreadableImageError(f"a damaged PNM file: no white space at byte {start} of the header")
        start = position
        while data[position : position + 1].isdigit():
            position += 1
        if not 0 < position - start <= MAX_DIGITS:
            raise UnreadableImageError(f"a damaged PNM file: no number at byte {start} of the header")
        fields.append(int(data[start:position]))
        places += [position - len(str(fields[-1])), position]
    if data[position : position + 1] not in (b" ", b"\t", b"\n", b"\v", b"\f", b"\r"):
        raise UnreadableImageError(f"a damaged PNM file: no white space at byte {position} behind the header")
    channels = 3 if kind in (3, 6) else 1
    maximum = fields[2] if len(fields) == 3 else 1
    digits = (places[0], places[1], places[2], places[3])
    return Header(kind, fields[0], fields[1], channels, maximum, position + 1, digits, tuple(filter(None, comments)))


def _parse_pam(data: bytes) -> Header:
    position = 0
    found: dict[bytes, int] = {}
    places: dict[bytes, tuple[int, int]] = {}
    comments: list[bytes] = []
    kind = b""
    while True:
        end = data.find(b"\n", position, position + MAX_PAM_HEADER)
        if end < 0 or end > MAX_PAM_HEADER:
            raise UnreadableImageError(f"a damaged PAM file: no end of the header by byte {min(len(data), end)}")
        line = data[position:end]
        words = line.split(None, 1)
        if words and words[0] == b"ENDHDR":
            break
        if line[:1] == b"#":
            comments.append(line[1:].strip())
        elif words and words[0] == b"TUPLTYPE":
            kind = (kind + b" " + b"".join(words[1:]).strip()).strip()
        elif words and position:
            number = words[1].strip() if len(words) == 2 else b""
            if words[0] not in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL") or words[0] in found:
                raise UnreadableImageError(f"a damaged PAM file: the line {line[:32]!r}")
            if not number.isdigit() or len(number) > MAX_DIGITS:
                raise UnreadableImageError(f"a damaged PAM file: the line {line[:32]!r}")
            found[words[0]] = int(number)
            last = position + line.rindex(number) + len(number)
            places[words[0]] = (last - len(str(int(number))), last)
        elif not position and line.strip() != b"P7":
            raise UnreadableImageError("a damaged PAM file: a first line that is not P7")
        position = end + 1
    missing = {b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"} - found.keys()
    if missing:
        raise UnreadableImageError(f"a damaged PAM file: no {b', '.join(sorted(missing)).decode()}")
    channels = found[b"DEPTH"]
    if kind not in PAM_TYPES.get(channels, ()):
        raise UnsupportedImageError(f"a PAM file of {channels} channels, type {kind[:32].decode('latin-1')!r}")
    return Header(
        7, found[b"WIDTH"], found[b"HEIGHT"], channels, found[b"MAXVAL"], end + 1,
        (*places[b"WIDTH"], *places[b"HEIGHT"]), tuple(filter(None, comments)),
    )  # fmt: skip


def _binary(data: bytes, header: Header) -> tuple[Array, int]:
    """The pixels, and where the rows end."""
    size = header.row * header.height
    if len(data) - header.offset < size:
        raise UnreadableImageError(f"a PNM file that is cut short: {len(data) - header.offset} of {size} bytes")
    shape = (header.height, header.width, header.channels)
    if header.kind == 4:
        rows = np.frombuffer(data, np.uint8, size, header.offset).reshape(header.height, header.row)
        samples: Array = unpack_bits(rows, header.width, 1).reshape(shape)
    elif header.maximum < 256:
        samples = np.frombuffer(data, np.uint8, size, header.offset).reshape(shape)
    else:
        samples = np.frombuffer(data, ">u2", size // 2, header.offset).reshape(shape).astype(np.uint16)
    return _picture_samples(samples, header), header.offset + size


def _samples(data: bytes, header: Header) -> tuple[Array, int, tuple[bytes, ...]]:
    """The pixels, where they end, and the comments among them."""
    if not header.plain:
        return *_binary(data, header), ()
    pixels, end = _plain(_uncommented(data, header), header)
    return pixels, end, tuple(found.strip() for found in COMMENT.findall(data, header.offset, end))


def _uncommented(data: bytes, header: Header) -> bytes:
    """A plain file with blanks in the place of comments among its samples."""
    if data.find(b"#", header.offset) < 0:
        return data
    return data[: header.offset] + COMMENT.sub(lambda found: b" " * len(found[0]), data[header.offset :])


def _plain(data: bytes, header: Header) -> tuple[Array, int]:
    shape = (header.height, header.width, header.channels)
    count = header.height * header.width * header.channels
    values, end = pnmtext.numbers(data, header.offset, count, bitmap=header.kind == 1)
    _check_maximum(int(values.max()), header)
    samples: Array = values.astype(np.uint8) if header.maximum < 256 else values
    return _picture_samples(samples.reshape(shape), header), end


def _check_maximum(found: int, header: Header) -> None:
    if found > header.maximum:
        raise UnsupportedImageError(f"a PNM file with a sample of {found} where {header.maximum} is the largest")


def _picture_samples(samples: Array, header: Header) -> Array:
    """The picture's samples for those of a file."""
    if header.maximum not in (255, 65535):
        _check_maximum(int(samples.max()), header)
    if header.mode == "1":
        return samples ^ np.uint8(header.black)
    if header.maximum in (255, 65535):
        return samples.copy()
    return widened(samples, header.maximum)


def _values(pixels: Array, header: Header) -> Array:
    """What `_picture_samples` was given."""
    if header.mode == "1":
        return pixels.astype(np.uint8, copy=False) ^ np.uint8(header.black)
    return pixels if header.maximum in (255, 65535) else narrowed(pixels, header.maximum)


def _pack(pixels: Array, header: Header) -> bytes:
    """The rows of a binary file."""
    values = _values(pixels, header)
    if header.kind == 4:
        return pack_bits(values[:, :, 0].astype(np.uint8, copy=False), 1).tobytes()
    return values.astype(">u2" if header.maximum > 255 else np.uint8, copy=False).tobytes()


def _chunks(comments: tuple[bytes, ...]) -> tuple[Chunk, ...]:
    lines = tuple(filter(None, comments))
    return (text_chunk("Comment", b"\n".join(lines)),) if lines else ()


def _presets() -> list[tuple[bytes, bytes, bytes]]:
    """What most writers put before, between and behind width and height, by the number in a remainder."""
    out = [(b"P%d\n" % kind, b" ", b"\n") for kind in (4, 1)]
    for maximum in (255, 65535):
        out += [(b"P%d\n" % kind, b" ", b"\n%d\n" % maximum) for kind in (6, 5, 3, 2)]
    for channels, types in PAM_TYPES.items():
        for maximum in (1, 255, 65535):
            behind = b"\nDEPTH %d\nMAXVAL %d%s\nENDHDR\n"
            for kind in types:
                line = b"\nTUPLTYPE " + kind if kind else b""
                out.append((b"P7\nWIDTH ", b"\nHEIGHT ", behind % (channels, maximum, line)))
    return out


PRESETS = _presets()
# Numbers of a remainder behind those of the presets: the head's texts follow; and height stands before width.
OWN_HEAD, OWN_HEAD_TURNED = 126, 127


def _write_head(head: bytes, header: Header) -> bytes:
    left, right = sorted((header.places[:2], header.places[2:]))
    texts = (head[: left[0]], head[left[1] : right[0]], head[right[1] :])
    turned = header.places[0] > header.places[2]
    if texts in PRESETS and not turned:
        return varint(PRESETS.index(texts))
    return varint(OWN_HEAD_TURNED if turned else OWN_HEAD) + b"".join(blob(text) for text in texts)


def _read_head(fields: Reader, width: int, height: int) -> tuple[bytes, Header]:
    what = "the head of a PNM file"
    number = fields.varint(what)
    if number < len(PRESETS):
        texts = PRESETS[number]
    elif number in (OWN_HEAD, OWN_HEAD_TURNED):
        texts = (take_blob(fields, what), take_blob(fields, what), take_blob(fields, what))
    else:
        raise CorruptPayloadError(f"{what}: kind {number}")
    first, second = (height, width) if number == OWN_HEAD_TURNED else (width, height)
    head = b"".join([texts[0], b"%d" % first, texts[1], b"%d" % second, texts[2]])
    header = _parse(head)
    if (header.width, header.height, header.offset) != (width, height, len(head)):
        raise CorruptPayloadError(f"{what}: {header.width}x{header.height} pixels around {width}x{height}")
    return head, header
