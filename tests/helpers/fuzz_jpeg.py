"""Small JPEG files cut short at every byte, and mutated: `python fuzz_jpeg.py --count 100000`.

Whatever begins as a JPEG file is coded or stored, and comes back byte for byte. Of the .dz files of such files, and of
pixels that were decoded from them, parts are mutated, the outline before it is packed, and sealed again with the right
CRCs: of these comes the same file, or an error with a name.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from densezip.codec.fields import varint
from densezip.codec.file.container import Payload, parse, serialise
from densezip.codec.file.recoding import METHOD_SHIFT, outline_of
from fuzz import resealed
from jpegs import jpeg
from wholefile import mutated

__all__ = ["Outcomes", "fuzz_jpeg", "jpeg_files", "truncate"]

Outcomes = Counter[str]
# Of a picture as a damaged header announces it.
LIMIT = 2**20
BEGINNING = b"\xff\xd8\xff"


def jpeg_files() -> dict[str, bytes]:
    """A small file of every kind."""
    small = {"height": 17, "width": 19}
    thumbnail = jpeg("RGB", 8, 9, quality=40)
    plain = jpeg("RGB", **small)
    segment = b"\xff\xe1" + (2 + 6 + len(thumbnail)).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    return {
        "baseline, 4:4:4": jpeg("RGB", **small, subsampling=0),
        "4:2:0, own tables": jpeg("RGB", **small, subsampling=2, optimize=True),
        "4:2:2": jpeg("RGB", **small, subsampling=1, quality=95, optimize=True),
        "progressive": jpeg("RGB", **small, progressive=True),
        "restarts": jpeg("RGB", **small, restart_marker_blocks=1, optimize=True),
        "progressive, restarts": jpeg("RGB", **small, progressive=True, restart_marker_rows=1),
        "grey": jpeg("L", **small),
        "CMYK": jpeg("CMYK", **small, optimize=True),
        "thumbnail": plain[:2] + segment + plain[2:],
        "two pictures": plain + thumbnail,
    }


def _comes_back(data: bytes) -> str:
    """Check that a file comes back; how it was kept, or the error of one that no longer begins as a JPEG file."""
    try:
        packed = densezip.compress(data, effort=1, threads=1, max_pixels=2**28)
    except densezip.LimitError as error:
        return type(error).__name__
    except densezip.UnreadableImageError as error:
        if data.startswith(BEGINNING):
            raise AssertionError("a JPEG file that is refused") from error
        return type(error).__name__
    if densezip.export(packed, threads=1).data != data:
        raise AssertionError("a JPEG file that does not come back")
    return densezip.info(packed).payload


def _packed_files() -> list[bytes]:
    """The files as .dz, and as those of their pixels, by the fast model and by the default one."""
    made = [densezip.compress(data, effort=effort) for data in jpeg_files().values() for effort in (1, 5)]
    made = [each for each in made if densezip.info(each).payload == "jpeg"]
    for mode, options in (("L", {}), ("RGB", {"subsampling": 0}), ("RGB", {"subsampling": 2})):
        pixels = Image.open(BytesIO(jpeg(mode, 88, 114, quality=70, **options))).copy()
        made.append(densezip.compress(pixels, effort=1))
        if densezip.info(made[-1]).history is None:
            raise AssertionError("a decoded JPEG file that is not recognised")
    return made


def _other_outline(data: bytes, rng: np.random.Generator) -> bytes:
    """A file of the JPEG payload whose outline was mutated before it was packed."""
    container = parse(data)
    tiles = [bytes(container.tile(number)) for number in range(container.header.tiles)]
    outline = mutated(outline_of(container).pack(), rng)
    tiles[0] = varint(len(outline) << METHOD_SHIFT) + outline
    return serialise(container.header, tiles)


def _decodes(data: bytes) -> str:
    """Decode a file in both ways, where errors of ours may come of it."""
    try:
        densezip.export(data, max_pixels=LIMIT, threads=1)
        densezip.decompress(data, max_pixels=LIMIT, threads=1)
    except densezip.DensezipError as error:
        return type(error).__name__
    return "no error"


class _Tries:
    """What came of all of them."""

    def __init__(self) -> None:
        self.outcomes: Outcomes = Counter()
        self.wrong: list[str] = []

    def attempt(self, check: Any, data: bytes) -> None:
        """Count what a check says of a file."""
        try:
            self.outcomes[check(data)] += 1
        except Exception:
            self.outcomes["WRONG"] += 1
            self.wrong.append(f"{data.hex()}\n{traceback.format_exc()}")


def truncate(step: int = 1) -> tuple[Outcomes, list[str]]:
    """Cut every file short before every byte, or every so many; what came of it, and everything that should not."""
    tries = _Tries()
    for data in jpeg_files().values():
        for length in range(0, len(data), step):
            tries.attempt(_comes_back, data[:length])
    return tries.outcomes, tries.wrong


def fuzz_jpeg(count: int, seed: int) -> tuple[Outcomes, Outcomes, list[str]]:
    """Try so many mutations of JPEG files, and of .dz files; what came of both, and everything that should not."""
    rng = np.random.default_rng(seed)
    files, packed = list(jpeg_files().values()), _packed_files()
    coding, decoding = _Tries(), _Tries()
    for number in range(count):
        coding.attempt(_comes_back, mutated(files[number % len(files)], rng))
        chosen = packed[number % len(packed)]
        outline = parse(chosen).header.payload is Payload.JPEG and rng.integers(2)
        decoding.attempt(_decodes, (_other_outline if outline else resealed)(chosen, rng))
    return coding.outcomes, decoding.outcomes, coding.wrong + decoding.wrong


def main() -> None:
    """Prints what came of it; ends with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.process_time()
    cut, wrong = truncate()
    print("cut short:", dict(cut.most_common()))
    coded, decoded, more = fuzz_jpeg(options.count, options.seed)
    print("mutated:", dict(coded.most_common()))
    print(".dz mutated:", dict(decoded.most_common()))
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{time.process_time() - started:.0f} s of the processor, peak {peak // 1024} MiB")
    for text in [*wrong, *more][:20]:
        print(text)
    sys.exit(bool(wrong or more))


if __name__ == "__main__":
    main()
