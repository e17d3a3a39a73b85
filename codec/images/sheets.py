"""Arrays that are no images: more than four channels, stacks, signed and floating-point numbers; as one picture.

Numbers become codes, unsigned integers in the same order, and codes of over 16 bits are split into digits of 16. Each
digit of each plane is a plane of samples. The planes lie below one another on a sheet, by themselves, or three at a
time as the channels of a colour picture, where the model predicts each from the one before. What the array was is in a
chunk `arRy`; `FORMAT.md` has its fields.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ..errors import HeaderError, UnsupportedImageError
from ..fields import Reader, varint
from .modes import ARRAY_CHUNK, Chunk
from .picture import MODES_OF_CHANNELS, Array, Picture

__all__ = ["array_of", "check_kind", "grouped", "is_sheet", "samples_of", "sheet_of"]

# The code of a type is its position: never reorder.
TYPES = ("b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
DIVISORS = (0, 1, 255, 65535)
"""Floating-point numbers k / divisor with whole k up to 65535 have k as their code; others have 0 here."""

GROUPS = (1, 3)
"""Planes that may lie side by side as channels."""

PART = 128
"""Rows and columns of the part that is tried."""

DIGIT = 16
MOST_DIMENSIONS = 16


class Sheet(NamedTuple):
    """What an array was.

    Attributes:
        dtype: one of `TYPES`.
        shape: of the array.
        channels_last: whether the last axis counts planes, [..., H, W, C]; else the planes are [..., H, W].
        divisor: one of `DIVISORS`.
        narrow: whether all codes are below 256, and samples are bytes.
        group: planes that lie side by side as channels.
    """

    dtype: str
    shape: tuple[int, ...]
    channels_last: bool
    divisor: int
    narrow: bool
    group: int

    @property
    def digits(self) -> int:
        """Planes of samples for each plane of the array."""
        bits = 16 if self.divisor else 8 * np.dtype(self.dtype).itemsize
        return max(1, bits // DIGIT)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        height, width = self.shape[-3:-1] if self.channels_last else self.shape[-2:]
        return height, width

    @property
    def planes(self) -> int:
        """Planes of the array."""
        return math.prod(self.shape) // math.prod(self.size)

    @property
    def rows(self) -> int:
        """Rows of the sheet."""
        return self.digits * -(-self.planes // self.group) * self.size[0]


def is_sheet(picture: Picture) -> bool:
    """Whether a picture stands for an array of another kind."""
    return bool(picture.array_ndim) and any(name == ARRAY_CHUNK for name, _ in picture.chunks)


def check_kind(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """The one of `TYPES` that a type is.

    Raises:
        UnsupportedImageError: fewer than two dimensions, none of some extent, or numbers of another kind.
    """
    what, name = f"an array of shape {list(shape)} and type {dtype}", f"{dtype.kind}{dtype.itemsize}"
    if name not in TYPES:
        raise UnsupportedImageError(f"{what}: wanted bool, integers of 8 to 64 bits, or floats of 16, 32 or 64")
    if not 2 <= len(shape) <= MOST_DIMENSIONS:
        raise UnsupportedImageError(f"{what}: wanted [H, W], and up to {MOST_DIMENSIONS - 2} dimensions more")
    if 0 in shape:
        raise UnsupportedImageError(f"{what} has no pixels")
    return name


def _description(array: npt.NDArray[Any]) -> Sheet:
    """How an array goes on a sheet, its planes by themselves; raises as `check_kind`."""
    dtype = check_kind(array.shape, array.dtype)
    last = array.ndim > 2 and array.shape[-1] < min(array.shape[-3:-1])
    divisor = _divisor(array) if array.dtype.kind == "f" else 0
    sheet = Sheet(dtype, array.shape, last, divisor, narrow=False, group=1)
    return sheet._replace(narrow=sheet.digits == 1 and int(_codes(array, sheet).max()) < 256)


def _planes(array: npt.NDArray[Any], sheet: Sheet) -> Array:
    """The planes of samples, [digits, planes, H, W]: the highest digits of all planes first."""
    codes = _codes(array, sheet)
    if sheet.channels_last:
        codes = np.moveaxis(codes, -1, -3)
    codes = codes.reshape(sheet.planes, *sheet.size)
    kind = np.uint8 if sheet.narrow else np.uint16
    if sheet.digits == 1:
        return cast(Array, codes.astype(kind)[None])
    shifts = range(DIGIT * (sheet.digits - 1), -1, -DIGIT)
    return cast(Array, np.stack([((codes >> codes.dtype.type(shift)) & 0xFFFF).astype(kind) for shift in shifts]))


def samples_of(array: npt.NDArray[Any]) -> tuple[int, int]:
    """Columns and rows that the sheet of an array has at most."""
    width = array.shape[-1] if array.ndim else 0
    return width, max(1, array.itemsize * 8 // DIGIT) * array.size // max(1, width)


def sheet_of(array: npt.NDArray[Any]) -> Picture:
    """The sheet of an array, its planes by themselves; raises as `check_kind`."""
    sheet = _description(array)
    return _laid_out(_planes(array, sheet), sheet)


def grouped(picture: Picture, cost: Callable[[Picture], int]) -> Picture:
    """A sheet with its planes by themselves, or three at a time where that is cheaper for a part of three planes.

    Args:
        picture: a sheet of planes by themselves.
        cost: bytes that a picture takes.
    """
    sheet = _read(dict(picture.chunks)[ARRAY_CHUNK])._replace(group=max(GROUPS))
    if sheet.planes < sheet.group:
        return picture
    height, width = sheet.size
    planes = picture.pixels.reshape(sheet.digits, sheet.planes, height, width)
    first, top, left = (sheet.planes - sheet.group) // 2, max(0, height - PART) // 2, max(0, width - PART) // 2
    part = planes[:1, first : first + sheet.group, top : top + PART, left : left + PART]
    tall, wide = part.shape[2:]
    small = Sheet("u1" if sheet.narrow else "u2", (sheet.group, tall, wide), False, 0, sheet.narrow, sheet.group)
    if cost(_laid_out(part, small)) < cost(_laid_out(part, small._replace(group=1))):
        return _laid_out(planes, sheet)
    return picture


def _laid_out(planes: Array, sheet: Sheet) -> Picture:
    """The picture of planes [digits, planes, H, W]; the last plane is repeated where a group is not full."""
    digits, count, height, width = planes.shape
    missing = -count % sheet.group
    filled = np.concatenate([planes, np.repeat(planes[:, -1:], missing, 1)], 1) if missing else planes
    groups = filled.reshape(digits, -1, sheet.group, height, width).transpose(0, 1, 3, 4, 2)
    samples = cast(Array, np.ascontiguousarray(groups.reshape(-1, width, sheet.group)))
    mode = MODES_OF_CHANNELS[sheet.group, samples.dtype]
    ndim = 2 if sheet.group == 1 else 3
    return Picture(samples, mode, 8 * samples.itemsize, (_chunk(sheet),), ndim)


def array_of(picture: Picture) -> npt.NDArray[Any]:
    """The array that a sheet stands for.

    Raises:
        HeaderError: its description is damaged, or that of another picture.
    """
    sheet = _read(dict(picture.chunks)[ARRAY_CHUNK])
    samples = picture.pixels
    if samples.shape != (sheet.rows, sheet.size[1], sheet.group) or (samples.itemsize == 1) != sheet.narrow:
        raise HeaderError(f"a sheet of {list(samples.shape)} samples for an array of shape {list(sheet.shape)}")
    groups = samples.reshape(sheet.digits, -1, sheet.size[0], sheet.size[1], sheet.group).transpose(0, 1, 4, 2, 3)
    planes = groups.reshape(sheet.digits, -1, *sheet.size)[:, : sheet.planes]
    codes = np.zeros(planes.shape[1:], _code_type(sheet))
    for digit in planes:
        codes = (codes << codes.dtype.type(DIGIT % (8 * codes.itemsize))) | digit.astype(codes.dtype)
    shape = sheet.shape
    if sheet.channels_last:
        codes = np.moveaxis(codes.reshape(*shape[:-3], shape[-1], *shape[-3:-1]), -3, -1)
    return np.ascontiguousarray(_numbers(codes.reshape(shape), sheet))


def _code_type(sheet: Sheet) -> np.dtype[Any]:
    return np.dtype(f"u{2 if sheet.divisor else np.dtype(sheet.dtype).itemsize}")


def _codes(array: npt.NDArray[Any], sheet: Sheet) -> npt.NDArray[Any]:
    """Unsigned integers in the order of the numbers."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    kind = _code_type(sheet)
    if sheet.divisor:
        return np.rint(array.astype(np.float64) * sheet.divisor).astype(kind)
    codes: npt.NDArray[Any] = np.ascontiguousarray(array).view(kind)
    top = kind.type(1 << (8 * kind.itemsize - 1))
    if sheet.dtype[0] == "i":
        codes = codes ^ top
    if sheet.dtype[0] == "f":  # negative ones count down
        codes = np.where(codes & top, ~codes, codes | top)
    return codes


def _numbers(codes: npt.NDArray[Any], sheet: Sheet) -> npt.NDArray[Any]:
    """What `_codes` undoes."""
    dtype = np.dtype(sheet.dtype)
    if sheet.divisor:
        return _fractions(codes, sheet.divisor, dtype)
    top = codes.dtype.type(1 << (8 * codes.itemsize - 1))
    if sheet.dtype[0] == "i":
        codes = codes ^ top
    if sheet.dtype[0] == "f":
        codes = np.where(codes & top, codes ^ top, ~codes)
    if sheet.dtype == "b1":
        codes = codes & 1
    return np.ascontiguousarray(codes).view(dtype)


def _fractions(codes: npt.NDArray[Any], divisor: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Quotients, rounded once to the type: IEEE 754 says what that is, on every machine."""
    wide = dtype if dtype.itemsize > 2 else np.dtype(np.float32)
    return (codes.astype(wide) / wide.type(divisor)).astype(dtype)


def _divisor(array: npt.NDArray[Any]) -> int:
    """By which floating-point numbers are fractions of small whole numbers, to the last bit; 0 where they are not."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    bits = np.dtype(f"u{array.itemsize}")
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= 0 and highest <= 65535):  # nor where there is a NaN
        return 0
    for divisor in DIVISORS[1:]:
        if highest * divisor > 65535:
            continue
        codes = np.rint(array.astype(np.float64) * divisor).astype(np.uint16)
        again = _fractions(codes, divisor, array.dtype)
        if np.array_equal(np.ascontiguousarray(array).view(bits), again.view(bits)):
            return divisor
    return 0


def _chunk(sheet: Sheet) -> Chunk:
    flags = sheet.channels_last | sheet.narrow << 1 | DIVISORS.index(sheet.divisor) << 2
    head = bytes([TYPES.index(sheet.dtype), flags, sheet.group, len(sheet.shape)])
    return ARRAY_CHUNK, head + b"".join(map(varint, sheet.shape))


def _read(data: bytes) -> Sheet:
    reader = Reader(memoryview(data), 0, HeaderError)
    dtype, flags, group, ndim = reader.take(4, "kind of the array")
    if dtype >= len(TYPES) or flags >> 4 or group not in GROUPS or not 2 <= ndim <= MOST_DIMENSIONS:
        raise HeaderError(f"an array of kind {data[:4].hex()}")
    shape = tuple(reader.varint("extent of the array") for _ in range(ndim))
    if reader.left or 0 in shape or (flags & 1 and ndim < 3):
        raise HeaderError(f"an array of shape {list(shape)} with {reader.left} bytes left")
    sheet = Sheet(TYPES[dtype], shape, bool(flags & 1), DIVISORS[flags >> 2], bool(flags & 2), group)
    if (sheet.divisor and sheet.dtype[0] != "f") or (sheet.narrow and sheet.digits > 1):
        raise HeaderError(f"an array of kind {data[:4].hex()}")
    return sheet
