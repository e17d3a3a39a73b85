"""What the first directory of a TIFF file says of the picture: which samples, cut and coded how.

A file that holds more than one picture is refused here: further pages, sub-directories with pictures, raw sensor data.

Source: TIFF 6.0, sections 3 to 15 and 18; DNG 1.7, chapter 4.
"""

import math
from dataclasses import dataclass

from ...errors import LimitError, UnreadableImageError, UnsupportedImageError
from .dirs import Tiff

__all__ = ["JPEG", "Layout", "check_size", "layout"]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 320, 322, 323, 324, 325, 338, 339
NEW_SUBFILE_TYPE, T4_OPTIONS = 254, 292
UNASSOCIATED_ALPHA = 2
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
NONE, LZW, JPEG, ZIP, OLD_ZIP, PACKBITS, LZMA, ZSTD, WEBP = 1, 5, 7, 8, 32946, 32773, 34925, 50000, 50001
CCITT_ROWS, CCITT_FAX_3, CCITT_FAX_4 = 2, 3, 4
CCITT = {CCITT_ROWS: "CCITT RLE", CCITT_FAX_3: "CCITT G3", CCITT_FAX_4: "CCITT G4"}
CODECS = {NONE, LZW, JPEG, ZIP, OLD_ZIP, PACKBITS, LZMA, ZSTD, WEBP, *CCITT}
WITH_PREDICTOR = {LZW, ZIP, OLD_ZIP, LZMA, ZSTD}
# Tags that come with a second picture or with what is no picture yet.
OTHER_PICTURES = {
    330: "sub-directories",
    400: "global parameters",
    513: "a thumbnail",
    33421: "raw sensor data",
    33422: "raw sensor data",
    50706: "raw sensor data (DNG)",
    50740: "raw sensor data (DNG)",
}
# Bytes of the strips or tiles, decoded, in excess of twice the picture's: tiles that hang over the edge.
MAX_PADDING = 2**25
MAX_SEGMENTS = 2**20


@dataclass(frozen=True)
class Layout:
    """How samples lie in a file.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: samples of a pixel.
        bits: of a sample.
        photometric: 0 (0 is white), 1 (0 is black), 2 (RGB), 3 (palette).
        compression: as the tag says.
        predictor: 1 (none) or 2 (differences along the row).
        planar: 1 (a pixel's samples together) or 2 (planes).
        reversed_bits: whether the bits of a byte are filled from the lowest on.
        tiled: whether the segments are tiles.
        across: pixels in a row of a segment.
        down: rows in a segment.
        order: of the bytes of a 16-bit sample.
        fax_options: what the tag T4Options says to a decoder.
    """

    width: int
    height: int
    channels: int
    bits: int
    photometric: int
    compression: int
    predictor: int
    planar: int
    reversed_bits: bool
    tiled: bool
    across: int
    down: int
    order: str
    fax_options: int = 0

    @property
    def mode(self) -> str:
        """The picture's mode."""
        if self.photometric == PALETTE:
            return "P"
        wide = self.bits == 16
        if self.channels == 1:
            return "1" if self.bits == 1 else "I;16" if wide else "L"
        return {2: "LA", 3: "RGB", 4: "RGBA"}[self.channels] + (";16" if wide else "")

    @property
    def together(self) -> int:
        """Samples of a pixel in one segment."""
        return self.channels if self.planar == 1 else 1

    @property
    def grid(self) -> tuple[int, int, int]:
        """Planes, segments down, segments across."""
        return self.channels // self.together, -(-self.height // self.down), -(-self.width // self.across)

    @property
    def segments(self) -> int:
        """How many strips or tiles there are."""
        return math.prod(self.grid)

    def box(self, index: int) -> tuple[int, int, int, int, int, int]:
        """Of a segment: its plane, top, left, the rows and columns of the picture in it, and its rows."""
        _, down, across = self.grid
        plane, rest = divmod(index, down * across)
        row, column = divmod(rest, across)
        top, left = row * self.down, column * self.across
        rows, columns = min(self.down, self.height - top), min(self.across, self.width - left)
        return plane, top, left, rows, columns, self.down if self.tiled else rows

    @property
    def padded(self) -> int:
        """Samples in a row of a segment, with what fills its last byte; over the samples of a pixel."""
        unit = max(1, 8 // self.bits)
        return -(-self.across // unit) * unit

    @property
    def row_bytes(self) -> int:
        """Bytes in a row of a segment."""
        return (self.across * self.together * self.bits + 7) // 8


def layout(tiff: Tiff, max_pixels: int) -> Layout:
    """Check that a file holds one picture that can be had exactly.

    Raises:
        UnreadableImageError: the directory makes no sense.
        UnsupportedImageError: it does, but not to us; or there is more than one picture.
        LimitError: more than `max_pixels` pixels.
    """
    width, height = tiff.number(WIDTH, 0), tiff.number(HEIGHT, 0)
    if not width or not height:
        raise UnreadableImageError(f"a damaged TIFF file: {width}x{height} pixels")
    _one_picture(tiff)
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")
    channels, bits, photometric = _samples(tiff)
    compression, predictor = tiff.number(COMPRESSION, NONE), tiff.number(PREDICTOR, 1)
    planar, fill = tiff.number(PLANAR, 1), tiff.number(FILL_ORDER, 1)
    if compression not in CODECS:
        raise UnsupportedImageError(f"a TIFF file with compression {compression}")
    if planar not in (1, 2) or fill not in (1, 2):
        raise UnreadableImageError(f"a damaged TIFF file: planar configuration {planar}, fill order {fill}")
    if compression not in WITH_PREDICTOR:
        predictor = 1
    if predictor not in (1, 2) or (predictor == 2 and bits < 8):
        raise UnsupportedImageError(f"a TIFF file with predictor {predictor} on samples of {bits} bits")
    if compression in CCITT and bits != 1:
        raise UnreadableImageError(f"a damaged TIFF file: {CCITT[compression]} with samples of {bits} bits")
    tiled = tiff.find(TILE_WIDTH) is not None
    across = tiff.number(TILE_WIDTH, 0) if tiled else width
    down = tiff.number(TILE_HEIGHT, 0) if tiled else min(height, tiff.number(ROWS_PER_STRIP, height))
    if not across or not down:
        raise UnreadableImageError(f"a damaged TIFF file: strips or tiles of {across}x{down} pixels")
    found = Layout(
        width, height, channels, bits, photometric, compression, predictor, 1 if channels == 1 else planar,
        fill == 2, tiled, across, down, tiff.order, tiff.number(T4_OPTIONS, 0),
    )  # fmt: skip
    check_size(found, UnsupportedImageError)
    return found


def check_size(found: Layout, error: type[Exception]) -> None:
    """Refuse strips or tiles whose number, or whose padding, is out of all proportion.

    Raises:
        error: they are.
    """
    picture = (found.width * found.bits + 7) // 8 * found.height * found.channels
    whole = found.segments * found.row_bytes * found.down
    if found.segments > MAX_SEGMENTS or (found.tiled and whole > 2 * picture + MAX_PADDING):
        raise error(
            f"a TIFF file of {found.width}x{found.height} pixels in {found.segments} parts "
            f"of {found.across}x{found.down} each"
        )


def _one_picture(tiff: Tiff) -> None:
    if tiff.first.following:
        raise UnsupportedImageError("a TIFF file of several pages: animations and multi-page files are not coded")
    for tag, what in OTHER_PICTURES.items():
        if tiff.find(tag):
            raise UnsupportedImageError(f"a TIFF file with {what} (tag {tag}): there may be more than one picture")
    if (kind := tiff.number(NEW_SUBFILE_TYPE, 0)) & ~2:
        raise UnsupportedImageError(f"a TIFF file whose first picture is a reduced one or a mask (tag 254 is {kind})")
    description = tiff.raw(DESCRIPTION)
    if description.startswith(b"ImageJ="):
        lines = description.rstrip(b"\0").split(b"\n")
        images = next((line[7:] for line in lines if line.startswith(b"images=")), b"1")
        if images.strip() != b"1":
            raise UnsupportedImageError(f"an ImageJ stack of {images[:20].decode('latin-1')} images")


def _samples(tiff: Tiff) -> tuple[int, int, int]:
    """Channels, bits of each, and the photometric interpretation."""
    channels, photometric = tiff.number(SAMPLES, 1), tiff.number(PHOTOMETRIC, BLACK_IS_ZERO)
    depths, formats, extra = tiff.numbers(BITS, (1,)), tiff.numbers(FORMAT, (1,)), tiff.numbers(EXTRA)
    if not channels:
        raise UnreadableImageError("a damaged TIFF file: 0 samples a pixel")
    if photometric in (32803, 34892):
        raise UnsupportedImageError("a TIFF file with raw sensor data")
    if len(set(depths)) != 1 or depths[0] not in (1, 2, 4, 8, 16):
        shown = sorted(set(depths))[:8]
        raise UnsupportedImageError(f"a TIFF file with {shown} bits per sample: 1, 2, 4, 8 and 16 are coded")
    if set(formats) != {1}:
        raise UnsupportedImageError("a TIFF file with signed or floating-point samples")
    jpeg = tiff.number(COMPRESSION, NONE) == JPEG
    if photometric not in (0, 1, 2, 3) and not (photometric == YCBCR and jpeg):
        raise UnsupportedImageError(f"a TIFF file in colour space {photometric} (CMYK, LAB, ...)")
    if set(extra) - {UNASSOCIATED_ALPHA} or len(extra) > 1 or channels > 4:
        raise UnsupportedImageError(
            f"a TIFF file with extra samples of kind {extra[:8]}, such as premultiplied alpha, in {channels} channels"
        )
    colours = 3 if photometric in (RGB, YCBCR) else 1
    # Some writers leave out the tag that says what the fourth sample of RGBA is.
    if channels - colours != len(extra) and not (photometric == RGB and channels == 4):
        raise UnsupportedImageError(
            f"a TIFF file of {channels} samples a pixel, {len(extra)} of them extra, in colour space {photometric}"
        )
    depth = depths[0]
    if photometric == PALETTE:
        _check_palette(tiff, channels, depth)
    elif depth < 8 and channels > 1:
        raise UnsupportedImageError(f"a TIFF file with {depth} bits per sample in {channels} channels")
    return channels, depth, photometric


def _check_palette(tiff: Tiff, channels: int, depth: int) -> None:
    colours = tiff.numbers(COLOUR_MAP)
    if channels > 1 or depth > 8:
        raise UnsupportedImageError(f"a TIFF file with a palette, {channels} channels and {depth} bits per sample")
    if len(colours) != 3 << depth:
        raise UnreadableImageError(f"a damaged TIFF file: a palette of {len(colours)} values for {depth} bits")
    if any(value not in (value // 256 * 257, value // 256 * 256) for value in colours):
        raise UnsupportedImageError("a TIFF file with a palette of 16-bit colours")
