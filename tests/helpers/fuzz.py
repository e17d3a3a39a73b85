"""Mutated image files and .dz files: nothing but a named error may come of them. `python fuzz.py --count 100000`.

Image files go through what `compress` does before it codes. Of .dz files the header, its remainder or a tile is mutated
and sealed again with the right CRCs, or nothing would get past those; they go through `export` and `decompress`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
import zlib
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from densezip.codec.file.container import parse, serialise
from densezip.codec.file.inputs import take_in
from samples import array, file_of, model_only, picture, png_of, tiff16
from wholefile import mutated

__all__ = ["fuzz", "image_files", "packed_files", "resealed"]

LIMIT = 2**16


def image_files() -> list[bytes]:
    """A small file of each format in several modes."""
    kinds = {
        "PNG": ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"),
        "TIFF": ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"),
        "BMP": ("1", "L", "RGB", "RGBA", "P"),
        "GIF": ("L", "P"),
        "PPM": ("1", "L", "RGB"),
        "TGA": ("L", "RGB", "RGBA", "P"),
        "QOI": ("RGB", "RGBA"),
        "JPEG": ("L", "RGB"),
    }
    made = [file_of(picture(mode, 9, 11), kind) for kind, modes in kinds.items() for mode in modes]
    made += [file_of(picture("RGB", 9, 11), "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate")]
    made += [file_of(picture("1", 9, 11), "TIFF", compression=name) for name in ("packbits", "group4")]
    made += [
        file_of(picture("RGB", 9, 11), "WEBP", lossless=True),
        file_of(picture("RGB", 9, 11), "TGA", compression="tga_rle"),
    ]
    made += [tiff16(array(3, "u2", 9, 11)), tiff16(array(1, "u2", 9, 11), byteorder=">")]
    return [*made, png_of("RGB") + b"behind the end", b"P3 2 2 9 1 2 3 4 5 6 7 8 9 0 1 2\n"]


def packed_files() -> list[bytes]:
    """The same as .dz files, with every payload."""
    import pytest

    made = [densezip.compress(data, effort=1) for data in image_files()]
    with pytest.MonkeyPatch.context() as patch:
        from densezip.codec.file import coding

        patch.setattr(coding, "store", lambda *_, **__: bytes(10**6))
        made += [densezip.compress(data, effort=1) for data in image_files() if data[:3] != b"\xff\xd8\xff"]
        slope = np.add.outer(np.arange(9), 2 * np.arange(11))
        fades: list[Any] = [
            np.stack([3 * slope, 255 - 4 * slope, slope], -1).astype(np.uint8),
            (slope * 700).astype(np.uint16),
        ]
        made += [densezip.compress(fade, effort=1) for fade in fades]
        made.append(densezip.compress(np.repeat(array(3, "u1", 9, 11), 3, axis=1), effort=1))
        waves = 120 + 60 * np.sin(np.add.outer(np.arange(88), 2 * np.arange(114))[..., None] / (7, 11, 17))
        for mode in ("L", "RGB"):
            file = file_of(Image.fromarray(waves.astype(np.uint8)).convert(mode), "JPEG", quality=80)
            made.append(densezip.compress(Image.open(BytesIO(file)).copy(), effort=1))
            assert densezip.info(made[-1]).history
        model_only(patch)
        made += [
            densezip.compress(array(channels, depth, 9, 11), effort=1)
            for channels in (1, 3, 4)
            for depth in ("u1", "u2")
        ]
    return made


def resealed(data: bytes, rng: np.random.Generator) -> bytes:
    """A .dz file in which one part was mutated, and all CRCs agree."""
    container = parse(data)
    header = container.header
    tiles = [bytes(container.tile(number)) for number in range(header.tiles)]
    if header.remainder and rng.integers(2):
        return serialise(replace(header, remainder=mutated(header.remainder, rng)), tiles)
    if rng.integers(3):
        number = int(rng.integers(len(tiles)))
        tiles[number] = mutated(tiles[number], rng)
        return serialise(header, tiles)
    plain = serialise(header, tiles)
    end = len(plain) - sum(map(len, tiles)) - 4
    head = bytearray(mutated(plain[6:end], rng))
    if len(head) > 127:
        return plain[:5] + bytes(mutated(plain[5:], rng))
    start = plain[:5] + bytes([len(head)]) + bytes(head)
    return start + zlib.crc32(start).to_bytes(4, "little") + b"".join(tiles)


def fuzz(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Try so many mutations; what came of them by the names of the errors, and everything that should not have come."""
    rng = np.random.default_rng(seed)
    images, packed = image_files(), packed_files()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for _ in range(count):
        image = bool(rng.integers(2))
        seeds = images if image else packed
        chosen = seeds[int(rng.integers(len(seeds)))]
        data = mutated(chosen, rng) if image else resealed(chosen, rng)
        try:
            if image:
                take_in(data, strip=False, max_pixels=LIMIT).with_pixels()
                if data[:3] == b"\xff\xd8\xff" and densezip.export(densezip.compress(data, effort=1)).data != data:
                    raise AssertionError("a JPEG file that does not come back")
            else:
                densezip.export(data, max_pixels=LIMIT, threads=1)
                densezip.decompress(data, max_pixels=LIMIT, threads=1)
            outcomes["no error"] += 1
        except densezip.DensezipError as error:
            outcomes[type(error).__name__] += 1
        except Exception:
            outcomes["WRONG"] += 1
            wrong.append(f"{data.hex()}\n{traceback.format_exc()}")
    return outcomes, wrong


def main() -> None:
    """Prints what came of it; ends with 1 if that was anything but named errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    outcomes, wrong = fuzz(options.count, options.seed)
    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(dict(outcomes.most_common()), f"{time.perf_counter() - started:.0f} s, peak {peak // 1024} MiB")
    for text in wrong[:20]:
        print(text)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
