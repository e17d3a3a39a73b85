"""What every reader checks before it allocates anything."""

import threading
import warnings

from PIL import Image, ImageFile

from ..errors import LimitError

__all__ = ["STRICT_PILLOW", "check_pixels"]


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image that is too large.

    Raises:
        LimitError: more than `max_pixels` pixels.
    """
    if width * height > max_pixels:
        raise LimitError(f"{width}x{height} is {width * height} pixels; the limit is {max_pixels} (--max-pixels)")


class _StrictPillow:
    """Pillow's global switches, held at their strict values while at least one reader is at work.

    `LOAD_TRUNCATED_IMAGES` would pass parts of images off as whole ones. The check for decompression bombs gives
    way to `max_pixels`, which is applied to every header. What it would warn of is either an error here, or of no
    matter, whatever the program's own filters make of warnings.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.saved: tuple[bool, int | None] = (False, None)
        self.warnings = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            if not self.readers:
                self.saved = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
                self.warnings = warnings.catch_warnings()
                self.warnings.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self.readers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.readers -= 1
            if not self.readers:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = self.saved
                self.warnings.__exit__(None, None, None)


STRICT_PILLOW = _StrictPillow()
