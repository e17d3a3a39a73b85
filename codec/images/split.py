"""What a format gives when an image file is taken apart. Standard library only."""

from typing import NamedTuple

__all__ = ["BEFORE", "BEHIND", "PADDING", "Split"]

# What people call bytes of a file that mean nothing to its picture.
BEHIND = "bytes behind the end"
BEFORE = "bytes before the pixels"
PADDING = "bits that belong to no channel"


class Split(NamedTuple):
    """An image file without its pixels.

    Attributes:
        remainder: all else that its format needs to make the file again.
        exact: whether these are the same bytes; if not, the pixels and every byte outside the pixel stream are.
        proved: whether the file was put together already, and came out the same.
    """

    remainder: bytes
    exact: bool
    proved: bool = False
