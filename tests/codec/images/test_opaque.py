"""What is not decoded is recognised by its first bytes; damaged is told apart from not coded."""

import re
import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest
from densezip.codec.errors import InputError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images import jpegscan, opaque
from densezip.codec.images.imagefile import FORMATS, extensions, read, recognise
from PIL import Image
from samples import array, file_of, picture

LIMIT = 2**20


def tiff_of(*tags: tuple[int, int, int, int], tail: bytes = b"", order: str = "<", head: bytes = b"") -> bytes:
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(head)) + head
    entries = b"".join(struct.pack(order + "HHII", *tag) for tag in tags)
    return start + struct.pack(order + "H", len(tags)) + entries + bytes(4) + tail


def boxes(major: bytes, *others: bytes) -> bytes:
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + major + bytes(4) + b"".join(others) + bytes(40)


ICON = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 40, 22) + bytes(40)
MAKE = b"NIKON CORPORATION\0"
FILES: dict[str, tuple[bytes, str]] = {
    "JPEG XL": (b"\xff\x0a" + bytes(20), "jxl"),
    "JPEG XL in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "jxl"),
    "AVIF": (boxes(b"avif", b"mif1"), "avif"),
    "AVIF of a generic brand": (boxes(b"mif1", b"mif1", b"avif"), "avif"),
    "HEIF": (boxes(b"heic", b"mif1"), "heic"),
    "HEIF of a generic brand": (boxes(b"mif1"), "heic"),
    "CR3": (boxes(b"crx ", b"isom"), "cr3"),
    "JPEG 2000": (file_of(picture("RGB"), "JPEG2000"), "jp2"),
    "JPEG 2000 codestream": (b"\xff\x4f\xff\x51" + bytes(20), "jp2"),
    "JPEG-LS": (bytes(imagecodecs.jpegls_encode(array(3))), "jls"),
    "DICOM": (bytes(128) + b"DICM" + bytes(20), "dcm"),
    "CR2": (tiff_of((256, 4, 1, 1), head=b"CR\2\0" + bytes(4)), "cr2"),
    "DNG": (tiff_of((50706, 1, 4, 0x401)), "dng"),
    "big-endian DNG": (tiff_of((50706, 1, 4, 0x401), order=">"), "dng"),
    "NEF": (tiff_of((271, 2, len(MAKE), 38), (330, 4, 1, 8), tail=MAKE), "nef"),
    "ORF": (b"IIRO\x08\0\0\0" + bytes(20), "orf"),
    "RW2": (b"IIU\0\x18\0\0\0" + bytes(20), "rw2"),
    "RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(20), "raf"),
    "X3F": (b"FOVb" + bytes(20), "x3f"),
    "PSD": (b"8BPS\0\1" + bytes(20), "psd"),
    "OpenEXR": (b"\x76\x2f\x31\x01" + bytes(20), "exr"),
    "Radiance": (b"#?RADIANCE\n" + bytes(20), "hdr"),
    "PFM": (b"PF\n3 2\n-1.0\n" + bytes(72), "pfm"),
    "ICO": (file_of(picture("RGBA", 16, 16), "ICO"), "ico"),
    "CUR": (ICON[:2] + b"\2" + ICON[3:], "cur"),
    "PCX": (file_of(picture("RGB"), "PCX"), "pcx"),
    "SGI": (file_of(picture("RGB"), "SGI"), "sgi"),
    "Sun raster": (b"\x59\xa6\x6a\x95" + bytes(28), "ras"),
    "FITS": (b"SIMPLE  =                    T" + bytes(50), "fits"),
    "DDS": (b"DDS " + bytes(124), "dds"),
    "XBM": (file_of(picture("1"), "XBM"), "xbm"),
    "DIB": (file_of(picture("RGB"), "BMP")[14:], "dib"),
    "DIB with a palette": (file_of(picture("P"), "BMP")[14:], "dib"),
    "XPM": (b"/* XPM */\nstatic char *a[] = {", "xpm"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_format_that_is_not_decoded_is_recognised_and_not_called_damaged(name: str) -> None:
    data, extension = FILES[name]
    kind = recognise(data)
    assert kind is not None
    assert kind.opaque
    assert kind.extensions[0] == extension
    with pytest.raises(UnsupportedImageError):
        read(data, LIMIT)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_is_decoded_is_recognised(name: str) -> None:
    pillow = FORMATS[name][0][0]
    kind = recognise(file_of(picture("RGB" if pillow not in ("GIF",) else "P"), pillow))
    assert kind is not None
    assert not kind.opaque
    assert (kind.name, kind.extensions) == (name, FORMATS[name][1])
    assert kind.lossy == (name == "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"hello", bytes(400), b"%PDF-1.4", b"%!PS-Adobe", boxes(b"isom", b"mp41"),
        b"\0\0\1\0\1\0" + bytes(16), b"\x0a\x05", b"\x01\xda",
        file_of(picture("RGB"), "BMP")[14:-1], b"\x28\0\0\0", b"\x28\0\0\0" + bytes(60),
    ],
)  # fmt: skip
def test_what_is_no_image_is_not_recognised(data: bytes) -> None:
    assert recognise(data) is None
    with pytest.raises(UnreadableImageError):
        read(data, LIMIT)


def test_folders_are_searched_for_every_extension_once() -> None:
    every = extensions()
    assert len(every) == len(set(every))
    assert {"dng", "jxl", "heic", "dcm", "exr", "pam", "jpg", "png", "cr3", "ico"} <= set(every)


def jpeg(**options: Any) -> bytes:
    return bytes(file_of(picture("RGB"), "JPEG", **options))


UNCOMMON: dict[str, tuple[bytes, str]] = {
    "CMYK": (file_of(picture("RGB").convert("CMYK"), "JPEG"), "CMYK"),
    "12 bits": (bytes(imagecodecs.jpeg_encode(array(1, "u2") >> 4, bitspersample=12)), "12 bits"),
    "lossless": (bytes(imagecodecs.ljpeg_encode(array(1)[:, :, 0])), "lossless"),
    "several pictures": (file_of(picture("RGB"), "MPO", save_all=True, append_images=[picture("RGB", seed=1)]), "MPO"),
    "arithmetic": (jpeg().replace(b"\xff\xc0", b"\xff\xc9", 1), "arithmetic"),
    "hierarchical": (jpeg().replace(b"\xff\xc0", b"\xff\xc5", 1), "hierarchical"),
    "two components": (jpeg().replace(b"\x03\x01\x22", b"\x02\x01\x22", 1), "2 components"),
}


@pytest.mark.parametrize("name", UNCOMMON)
def test_a_jpeg_file_of_another_kind_is_sound_but_not_decoded(name: str) -> None:
    data, reason = UNCOMMON[name]
    with pytest.raises(UnsupportedImageError, match=reason) as refusal:
        read(data, LIMIT)
    assert " at 0x" not in str(refusal.value)
    kind = recognise(data)
    assert kind is not None
    assert kind.lossy == (name != "lossless")


@pytest.mark.parametrize("name", [*UNCOMMON, "JPEG-LS"])
def test_a_jpeg_file_that_is_cut_short_is_damaged_whatever_its_kind(name: str) -> None:
    data = UNCOMMON[name][0] if name in UNCOMMON else FILES[name][0]
    end = jpegscan.scan(data).end
    for length in {*range(4, end, 97), end - 1, end - 2}:
        with pytest.raises(UnreadableImageError):
            read(data[:length], LIMIT)


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    data = jpeg()
    filled = data[:-2] + b"\xff" * 5000 + data[-2:]
    assert jpegscan.scan(filled).end == len(filled)
    with pytest.raises(UnreadableImageError, match="cut short"):
        jpegscan.scan(data[:-2] + b"\xff" * 5000)


def test_a_whole_jpeg_file_that_pillow_does_not_decode_is_kept() -> None:
    data = bytearray(jpeg())
    data[data.index(b"\xff\xc4") + 4] = 0x77  # a Huffman table of a class that is not known
    with pytest.raises(UnsupportedImageError, match="Pillow"):
        read(bytes(data), LIMIT)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xd9"}])
def test_ordinary_jpeg_files_are_decoded_and_may_have_a_tail(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    assert jpegscan.scan(data + b"tail").end == len(data)
    assert read(data + b"tail", LIMIT).lossy


def test_no_message_holds_an_address_or_a_bare_key() -> None:
    rng = np.random.default_rng(0)
    messages = []
    for name in ("GIF", "WebP", "PNG", "JPEG", "QOI"):
        data = file_of(picture("P" if name == "GIF" else "RGB"), FORMATS[name][0][0])
        for _ in range(200):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[rng.integers(len(damaged))] = rng.integers(256)
            try:
                read(bytes(damaged), 2**16)
            except (InputError, LimitError) as error:
                messages.append(str(error))
    assert len(messages) > 100
    assert not [message for message in messages if " at 0x" in message or re.search(r": '[^']*'$", message)]


def test_random_bytes_are_recognised_without_an_exception() -> None:
    rng = np.random.default_rng(1)
    starts = [magic for magic, _ in opaque.MAGIC] + [data[:32] for data, _ in FILES.values()]
    for start in starts:
        for length in (0, 1, 5, 30, 300):
            recognise(start[: max(1, length)] + rng.bytes(length))


def test_an_animation_is_not_coded() -> None:
    frames = [Image.fromarray(array(3, seed=seed)) for seed in range(2)]
    for name in ("GIF", "PNG", "WEBP"):
        with pytest.raises(UnsupportedImageError, match=r"anim|frames"):
            read(file_of(frames[0], name, save_all=True, append_images=frames[1:]), LIMIT)
