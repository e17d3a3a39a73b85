"""What every reader checks before it allocates anything."""

from ..errors import LimitError

__all__ = ["check_pixels"]


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image that is too large.

    Raises:
        LimitError: more than `max_pixels` pixels.
    """
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")
