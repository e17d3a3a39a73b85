"""The error tree: each failure that a user can cause has a class, a message with the numbers and an exit code."""

from typing import ClassVar

__all__ = [
    "BadMagicError",
    "CalibrationError",
    "ChecksumError",
    "CodingError",
    "CorruptPayloadError",
    "DensezipError",
    "DistributionError",
    "FormatError",
    "HeaderError",
    "InputError",
    "IntervalError",
    "LimitError",
    "MessageExhaustedError",
    "NativeCoreError",
    "OutputError",
    "OutputFormatError",
    "SymbolError",
    "TrailingDataError",
    "TruncatedError",
    "UnknownModelError",
    "UnreadableImageError",
    "UnsupportedImageError",
    "UnsupportedVersionError",
    "UsageError",
    "WeightsError",
]


class DensezipError(Exception):
    """Anything that densezip refuses or fails to do.

    Attributes:
        exit_code: what the command line exits with when this error ends it.
    """

    exit_code: ClassVar[int] = 1


class UsageError(DensezipError):
    """An argument that makes no sense: an effort of 12, a negative number of threads."""

    exit_code = 2


class InputError(DensezipError):
    """An image that cannot be taken in, or cannot be given back, exactly."""

    exit_code = 3


class UnreadableImageError(InputError):
    """The input is not an image file that we know, or is damaged or cut short."""


class UnsupportedImageError(InputError):
    """The image is sound but of a kind that is not coded: animations, CMYK, floating point, ..."""


class OutputFormatError(InputError):
    """The requested file format cannot hold this image losslessly."""


class FormatError(DensezipError):
    """A .dz file that is damaged, or is no .dz file at all."""

    exit_code = 3


class BadMagicError(FormatError):
    """The data does not begin with the magic bytes."""


class UnsupportedVersionError(FormatError):
    """The file's format version is newer or older than this reader's."""


class UnknownModelError(FormatError):
    """The file was coded with a model, or weights, that this installation does not have."""


class TruncatedError(FormatError):
    """The data ends before the structure that it announces."""


class TrailingDataError(FormatError):
    """Bytes follow the end of the file's last part."""


class HeaderError(FormatError):
    """The header says something impossible."""


class ChecksumError(FormatError):
    """A CRC or the pixel checksum does not agree with the data."""


class CorruptPayloadError(FormatError):
    """A tile passes its CRC but cannot be what the encoder wrote."""


class CodingError(DensezipError):
    """Symbols, distributions or messages that cannot be coded; no file was written."""


class DistributionError(CodingError):
    """Parameters that are no distribution: not finite, a scale of zero, more symbols than the precision holds."""


class SymbolError(CodingError):
    """A symbol outside the alphabet."""


class IntervalError(CodingError):
    """An interval that is empty, outside the range, or not the one that is on top of the message."""


class MessageExhaustedError(CodingError):
    """More is popped from a message than there is in it."""


class CalibrationError(CodingError):
    """This machine's arithmetic is not within the guard band that a file was calibrated for."""

    exit_code = 3


class LimitError(DensezipError):
    """The image is larger than the caller allows (`max_pixels`), or larger than the format can say."""

    exit_code = 4


class NativeCoreError(DensezipError):
    """The compiled core is missing, cannot be loaded or is of another build."""

    exit_code = 7


class OutputError(DensezipError):
    """An output file cannot be written, or exists and may not be replaced."""

    exit_code = 5


class WeightsError(DensezipError):
    """A file of weights that came with densezip is missing, damaged or another; nothing is coded with it."""

    exit_code = 7
