"""The kinds of pixels, and what names what lies beside them. Standard library only."""

__all__ = [
    "ARRAY_CHUNK",
    "CHANNELS",
    "CHECKSUM_BYTES",
    "LOOK",
    "MODES",
    "NATURAL_BITS",
    "SOURCE_CHECKSUM_BYTES",
    "SOURCE_FORMATS",
    "SUB_BITS",
    "Chunk",
    "file_of_format",
]

# The code of a mode is its position: never reorder.
MODES = ("1", "L", "LA", "RGB", "RGBA", "P", "I;16", "LA;16", "RGB;16", "RGBA;16")
CHANNELS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 1, "I;16": 1, "LA;16": 2, "RGB;16": 3, "RGBA;16": 4}
# Sample depths below the mode's own: 2- and 4-bit grey, 1-, 2- and 4-bit palette indices.
SUB_BITS = {"1": (0,), "L": (0, 2, 4), "P": (0, 1, 2, 4)}
NATURAL_BITS = {"1": 1, "L": 8, "LA": 8, "RGB": 8, "RGBA": 8, "P": 8}

# Of a picture's checksum, BLAKE2b.
CHECKSUM_BYTES = 8
# Of the file that a picture came from.
SOURCE_CHECKSUM_BYTES = 4

# Letters whose names begin with a vowel.
VOWELS = "AEFHILMNORSX"


def file_of_format(extension: str) -> str:
    """A file in words, by the extension of its format: "an AVIF file", "a PNG file"."""
    return f"a{'n' * (extension[:1].upper() in VOWELS)} {extension.upper()} file"


Chunk = tuple[str, bytes]
"""Metadata: the name and the data of a PNG chunk."""

# What an array was whose planes are a picture, see `sheets.py`.
ARRAY_CHUNK = "arRy"

# Metadata that changes how a picture looks: profile, gamma, primaries, coding-independent code points, the light of the
# display that it was made on. (Orientation does, too, and is a part of EXIF.)
LOOK = frozenset(["iCCP", "gAMA", "cHRM", "sRGB", "cICP", "mDCV", "mDCv", "cLLI", "cLLi"])

# The formats that are taken apart, by their files' extension. The code of a format is its position: never reorder.
SOURCE_FORMATS = ("", "png", "tif", "bmp", "gif", "webp", "pnm", "tga", "qoi")
