"""What a conversion does not hold is named: each byte outside a source's pixels is in the new file, or called lost."""

import struct
import zlib
from collections.abc import Callable, Iterator

import densezip
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import DensezipError, OutputFormatError
from densezip.codec.images.imagefile import read
from densezip.codec.images.imagewrite import convert, own_format
from densezip.codec.images.source import beyond, beyond_whole, take_apart
from PIL import Image
from samples import array, file_of, picture, raw_png
from tiffs import ASCII, LONG, RATIONAL, SHORT, UNDEFINED, build, directory

TARGETS = ("png", "webp", "tif", "bmp", "gif", "ppm", "pam", "qoi", "tga")
LIMIT = 10**6
HIDDEN = b"what nobody looks for"
BEHIND = "bytes behind the end"
IDLE = "bytes that no tag speaks for"
PADDING = "bits that belong to no channel"


def small(mode: str) -> Image.Image:
    made: Image.Image = picture(mode, 4, 5)
    return made


def saved(mode: str, kind: str, **options: object) -> bytes:
    """A small file that Pillow writes."""
    made: bytes = file_of(small(mode), kind, **options)
    return made


def webp(*chunks: tuple[bytes, bytes], tail: bytes = b"", mode: str = "RGB", **options: object) -> bytes:
    """A lossless WebP file with an extended header and further chunks."""
    plain = saved(mode, "WEBP", **({"lossless": True, "exact": True} | options))
    flags = sum({b"ICCP": 32, b"XMP ": 4}[name] for name in {name for name, _ in chunks} if name != b"abcd")
    body = b"VP8X" + struct.pack("<II", 10, flags) + b"\4\0\0\3\0\0" + plain[12:]
    for name, data in chunks:
        body += name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body + tail


def bmp(
    bits: int = 24, header: bytes = b"", gap: bytes = b"", fill: int = 0, tail: bytes = b"", **fields: int
) -> bytes:
    """A BMP file of 5x4 pixels; `header` is what follows the 40 usual bytes of it, `fill` the padding of the rows."""
    stride = (5 * bits + 31) // 32 * 4
    rows: npt.NDArray[np.uint8] = array(stride, height=4, width=1).reshape(4, stride).copy()
    rows[:, 5 * bits // 8 :] = fill
    rows[1, 1] |= 128
    offset = 54 + len(header) + len(gap)
    head = struct.pack("<2sIHHI", b"BM", offset + rows.size, fields.get("reserved", 0), 0, offset)
    across, down, important = (fields.get(name, 0) for name in ("across", "down", "important"))
    head += struct.pack("<IiiHHIIiiII", 40 + len(header), 5, 4, 1, bits, 0, rows.size, across, down, 0, important)
    return head + header + gap + rows.tobytes() + tail


def gif(before: bytes = b"", own: bytes = b"", tail: bytes = b"", background: int = 0, aspect: int = 0) -> bytes:
    """A GIF file with blocks before its picture, and colours of its own."""
    plain = saved("P", "GIF", optimize=False)
    size = 3 << (plain[10] & 7) + 1
    screen = plain[:11] + bytes([background, aspect]) + plain[13 : 13 + size]
    rest = plain[plain.index(b",", 13 + size) :]
    if own:
        rest = rest[:9] + bytes([0x80 | plain[10] & 7]) + own[:size] + rest[10:]
    return b"GIF89a" + screen[6:] + before + rest + tail


def application(name: bytes, data: bytes) -> bytes:
    return b"!\xff\x0b" + name.ljust(11) + bytes([len(data)]) + data + b"\0"


def tga(name: bytes = b"", area: bytes = b"", developer: bytes = b"", tail: bytes = b"", depth: int = 24) -> bytes:
    """A TGA file with an identification and what version 2 may have behind the pixels."""
    rows: bytes = array(depth // 8, height=4, width=5).tobytes()
    rows = rows[:1] + bytes([rows[1] ^ 128]) + rows[2:]
    data = struct.pack("<BBBHHBHHHHBB", len(name), 0, 2, 0, 0, 0, 0, 0, 5, 4, depth, 0x20) + name + rows
    if not area and not developer:
        return data + tail
    at = len(data) if area else 0
    data += area
    return data + developer + struct.pack("<II", at, len(data) if developer else 0) + b"TRUEVISION-XFILE.\0"


def extension(author: bytes = b"", comment: bytes = b"", software: bytes = b"") -> bytes:
    area = bytearray(495)
    area[:2] = struct.pack("<H", 495)
    for place, text in ((2, author), (43, comment), (426, software)):
        area[place : place + len(text)] = text
    return bytes(area)


def png(*chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in array(3, height=4, width=5))
    made: bytes = raw_png(5, 4, 8, 2, rows, tuple(chunks))
    return made + tail


def wrong_crc() -> bytes:
    data = bytearray(png((b"prVt", HIDDEN)))
    data[data.index(HIDDEN) + len(HIDDEN)] ^= 1
    return bytes(data)


def jpeg(segment: bytes = b"", tail: bytes = b"", **options: object) -> bytes:
    plain = saved("RGB", "JPEG", **options)
    return plain[:2] + segment + plain[2:] + tail


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def tiff(*tags: tuple[int, int, object], tail: bytes = b"", **options: object) -> bytes:
    made: bytes = build(array(3, height=4, width=5), tags=tags, **options)
    return made + tail


def gapped_tiff() -> bytes:
    """Bytes between the pixels and what follows them, which are moved along."""
    data = saved("RGB", "TIFF", compression="tiff_adobe_deflate")
    (at,) = struct.unpack_from("<I", data, 4)
    place = at + len(HIDDEN) + len(HIDDEN) % 2
    count = struct.unpack_from("<H", data, at)[0]
    out = bytearray(data[:at] + HIDDEN.ljust(place - at, b"!") + data[at:])
    struct.pack_into("<I", out, 4, place)
    for index in range(count):
        entry = place + 2 + 12 * index
        kind, number, value = struct.unpack_from("<HII", out, entry + 2)
        if number * {2: 1, 3: 2, 4: 4, 5: 8}[kind] > 4:
            struct.pack_into("<I", out, entry + 8, value + place - at)
    return bytes(out)


Build = Callable[[], bytes]
# What a file holds, by what it is called where that is lost.
EXTRAS: dict[str, tuple[Build, str]] = {
    "BMP, tail": (lambda: bmp(tail=HIDDEN), BEHIND),
    "BMP, gap": (lambda: bmp(gap=HIDDEN), "bytes before the pixels"),
    "BMP, padding": (lambda: bmp(fill=7), PADDING),
    "BMP, alpha of 1 bit": (lambda: bmp(bits=16), PADDING),
    "BMP, reserved": (lambda: bmp(reserved=7), "header fields"),
    "BMP, resolution": (lambda: bmp(across=3000, down=4000), "resolution"),
    "BMP, half a resolution": (lambda: bmp(across=3000), "resolution"),
    "BMP, gamma": (lambda: bmp(header=bytes(16) + bytes(36) + b"\1" * 12 + bytes(4)), "colour space"),
    "BMP, linked profile": (lambda: bmp(header=bytes(16) + b"KNIL" + bytes(64)), "colour space"),
    "BMP, intent": (lambda: bmp(header=bytes(68) + b"\2" + bytes(15)), "rendering intent"),
    "BMP, profile": (
        lambda: bmp(header=bytes(16) + b"DEBM" + bytes(52) + struct.pack("<III", 138 - 14 + 64, 21, 0), tail=HIDDEN),
        "ICC profile",
    ),
    "GIF, tail": (lambda: gif(tail=HIDDEN), BEHIND),
    "GIF, comment": (lambda: gif(b"!\xfe\x15" + HIDDEN + b"\0"), "text"),
    "GIF, application": (lambda: gif(application(b"NETSCAPE2.0", b"\1\0\0")), "application extension NETSCAPE"),
    "GIF, text": (lambda: gif(b"!\1\x0c" + bytes(12) + b"\x15" + HIDDEN + b"\0"), "text drawn over it"),
    "GIF, unknown": (lambda: gif(b"!\xaa\x15" + HIDDEN + b"\0"), "extension AA"),
    "GIF, delay": (lambda: gif(b"!\xf9\x04\0\x0a\0\0\0"), "display control"),
    "GIF, two palettes": (lambda: gif(own=bytes(range(250)) * 4), "second palette"),
    "GIF, background": (lambda: gif(background=3), "background colour"),
    "GIF, aspect": (lambda: gif(aspect=3), "pixel aspect ratio"),
    "GIF, profile": (lambda: gif(application(b"ICCRGBG1012", HIDDEN)), "ICC profile"),
    "PNM, comment": (lambda: b"P6\n# %s\n5 4\n255\n" % HIDDEN + array(3, height=4, width=5).tobytes(), "text"),
    "PNM, tail": (lambda: saved("RGB", "PPM") + HIDDEN, BEHIND),
    "PNM, padding": (lambda: b"P4\n5 4\n\xff\xfe\xfd\xfc", PADDING),
    "PNM, maximum": (lambda: b"P5\n5 4\n100\n" + bytes(range(20)), "maximum of 100"),
    "PNM, plain": (lambda: b"P3\n1 2\n255\n1 2 3\n4 5 6\n" + HIDDEN, BEHIND),
    "PNM, plain with a comment among its samples": (lambda: b"P2\n2 2\n255\n1 2\n#%s\n3 4\n" % HIDDEN, "text"),
    "PNM, PAM": (lambda: saved("L", "PPM").replace(b"P5\n5 4\n255\n", b"P7\nWIDTH 5\nHEIGHT 4\nDEPTH 1\n"
                 b"MAXVAL 255\n# %s\nENDHDR\n" % HIDDEN), "text"),
    "TGA, tail": (lambda: tga(tail=HIDDEN), BEHIND),
    "TGA, name": (lambda: tga(HIDDEN), "text"),
    "TGA, author": (lambda: tga(area=extension(author=HIDDEN)), "text"),
    "TGA, comment": (lambda: tga(area=extension(comment=HIDDEN)), "text"),
    "TGA, software": (lambda: tga(area=extension(software=HIDDEN)), "extension area"),
    "TGA, developer": (lambda: tga(developer=HIDDEN), "developer area"),
    "TGA, both": (lambda: tga(area=extension(), developer=HIDDEN), "developer area"),
    "TGA, between": (lambda: tga(area=extension() + HIDDEN), BEHIND),
    "TGA, attribute bit": (lambda: tga(depth=16), PADDING),
    "TGA, attribute bit of a palette": (
        lambda: struct.pack("<BBBHHBHHHHBB2H", 0, 1, 1, 0, 2, 16, 0, 0, 5, 4, 8, 0x20, 1, 0x8002) + b"\0\1" * 10,
        PADDING,
    ),
    "QOI, tail": (lambda: saved("RGB", "QOI", colorspace="sRGB") + HIDDEN, BEHIND),
    "QOI, linear": (lambda: saved("RGB", "QOI"), "colour space"),
    "WebP, tail": (lambda: webp(tail=HIDDEN), BEHIND),
    "WebP, chunk": (lambda: webp((b"abcd", HIDDEN)), "chunk abcd"),
    "WebP, profile": (lambda: webp((b"ICCP", HIDDEN)), "ICC profile"),
    "WebP, XMP": (lambda: webp((b"XMP ", HIDDEN)), "XMP"),
    "WebP, second XMP": (lambda: webp((b"XMP ", b"<x/>"), (b"XMP ", HIDDEN)), "chunk XMP"),
    "WebP, lossy": (lambda: webp((b"abcd", HIDDEN), lossless=False), "chunk abcd"),
    "PNG, tail": (lambda: png(tail=HIDDEN), BEHIND),
    "PNG, chunk": (lambda: png((b"prVt", HIDDEN)), "chunk prVt"),
    "PNG, chunk of a wrong CRC": (wrong_crc, "chunk prVt"),
    "PNG, text": (lambda: png((b"tEXt", b"Author\0" + HIDDEN)), "text"),
    "PNG, packed comment": (lambda: png((b"zTXt", b"Comment\0\0" + zlib.compress(HIDDEN))), "text"),
    "PNG, ratio": (lambda: png((b"pHYs", bytes([0, 0, 0, 1, 0, 0, 0, 2, 0]))), "resolution"),
    "PNG, resolution": (lambda: png((b"pHYs", struct.pack(">IIB", 3000, 4000, 1))), "resolution"),
    "PNG, time": (lambda: png((b"tIME", bytes([7, 228, 1, 1, 0, 0, 0]))), "time"),
    "PNG, EXIF": (lambda: png((b"eXIf", b"II*\0\x08\0\0\0" + directory([(270, ASCII, HIDDEN)], 8))), "EXIF"),
    "PNG, profile": (lambda: png((b"iCCP", b"name\0\0" + zlib.compress(HIDDEN))), "ICC profile"),
    "JPEG, tail": (lambda: jpeg(tail=HIDDEN), BEHIND),
    "JPEG, comment": (lambda: jpeg(comment=HIDDEN), "text"),
    "JPEG, IPTC": (lambda: jpeg(segment(0xED, HIDDEN)), "segment APP13"),
    "JPEG, rest of XMP": (lambda: jpeg(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0")), "segment APP1"),
    "JPEG, ratio": (lambda: jpeg().replace(b"JFIF\0\1\1\0\0\1\0\1", b"JFIF\0\1\1\0\0\1\0\2"), "pixel aspect ratio"),
    "TIFF, tail": (lambda: saved("RGB", "TIFF") + HIDDEN, IDLE),
    "TIFF, deflated, tail": (lambda: saved("RGB", "TIFF", compression="tiff_adobe_deflate") + HIDDEN, IDLE),
    "TIFF, LZMA, tail": (lambda: saved("RGB", "TIFF", compression="lzma") + HIDDEN, IDLE),
    "TIFF, gap": (gapped_tiff, IDLE),
    "TIFF, private tag": (lambda: tiff((65000, ASCII, HIDDEN + b"\0")), "TIFF tag 65000"),
    "TIFF, page name": (lambda: tiff((285, ASCII, HIDDEN + b"\0")), "TIFF tag 285"),
    "TIFF, resolution": (
        lambda: tiff((282, RATIONAL, [72, 1]), (283, RATIONAL, [72, 1]), (296, SHORT, [2])), "resolution"
    ),
    "TIFF, no unit": (
        lambda: tiff((282, RATIONAL, [72, 1]), (283, RATIONAL, [36, 1]), (296, SHORT, [1])), "TIFF tag 282"
    ),
    "TIFF, damaged EXIF": (lambda: tiff((34665, LONG, [7])), "TIFF tag 34665"),
    "TIFF, profile": (lambda: tiff((34675, UNDEFINED, HIDDEN)), "ICC profile"),
    "TIFF, description": (lambda: tiff((270, ASCII, HIDDEN + b"\0")), "EXIF"),
}  # fmt: skip
ALSO = {"TIFF, no unit": ["TIFF tag 283"], "WebP, second XMP": ["XMP"]}
# The same files without anything: nothing is said to be lost.
PLAIN: dict[str, Build] = {
    "BMP": bmp, "GIF": gif, "TGA": tga, "TGA with texts": lambda: tga(area=extension()), "WebP": webp, "PNG": png,
    "JPEG": jpeg, "TIFF": tiff, "PNM": lambda: saved("RGB", "PPM"),
    "QOI": lambda: saved("RGB", "QOI", colorspace="sRGB"), "plain PNM": lambda: b"P3\n1 1\n255\n1 2 3\n",
    "deflated TIFF": lambda: saved("RGB", "TIFF", compression="tiff_adobe_deflate"),
    "GIF by Pillow": lambda: saved("P", "GIF"),
    "TIFF by Pillow": lambda: saved("RGB", "TIFF"), "TGA by Pillow": lambda: saved("RGB", "TGA"),
    "WebP by Pillow": lambda: saved("RGB", "WEBP", lossless=True),
}  # fmt: skip


def is_held(data: bytes) -> bool:
    """Whether the hidden words are in a file, or in what is packed in it."""
    found = read(data, LIMIT).picture
    inside = [zlib.decompress(body.split(b"\0", 1)[1][1:]) for name, body in found.chunks if name in ("iCCP", "zTXt")]
    return any(HIDDEN in part for part in (data, *inside))


def conversions(data: bytes) -> Iterator[tuple[str, densezip.Exported]]:
    packed = densezip.compress(data, effort=1)
    assert densezip.export(packed).lost == ()
    own = densezip.info(packed).source_format
    for target in TARGETS:
        try:
            made = densezip.export(packed, target)
        except OutputFormatError:
            continue
        if own_format(target, own or ""):
            assert made.lost == ()
        else:
            yield target, made


@pytest.mark.parametrize("name", PLAIN)
def test_of_a_file_with_nothing_but_pixels_nothing_is_lost(name: str) -> None:
    made = list(conversions(PLAIN[name]()))
    assert made
    for target, exported in made:
        assert exported.lost == (), target


@pytest.mark.parametrize("stored", [False, True], ids=["taken apart", "kept whole"])
@pytest.mark.parametrize("name", EXTRAS)
def test_what_is_beside_the_pixels_is_held_or_named(name: str, stored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from densezip.codec.file import coding

    data = EXTRAS[name][0]()
    if not stored:  # files as small as these would be kept whole
        monkeypatch.setattr(coding, "store", lambda *_, **__: bytes(LIMIT))
        if name.startswith(("JPEG", "WebP, lossy")):
            return
    else:
        monkeypatch.setattr(coding, "encode_picture", lambda *_, **__: bytes(LIMIT))
    extra = EXTRAS[name][1]
    made = list(conversions(data))
    assert made
    for target, exported in made:
        held = extra not in exported.lost
        assert held or set(exported.lost) <= {extra, *ALSO.get(name, ())}, (target, exported.lost)
        if not held:
            continue
        assert extra in ("resolution", "time", "EXIF", "ICC profile", "XMP", "text", "chunk prVt"), target
        assert HIDDEN not in data or is_held(exported.data), target


def pixel_stream(name: str, data: bytes) -> range:
    """Where the pixels lie whose coding leaves a choice; in uncompressed formats no byte of theirs is free."""
    if name == "GIF":
        start = data.index(b",", 13) + 10
        return range(start, len(data) - 2)
    if name == "WebP":
        start = data.index(b"VP8L") + 8
        return range(start, start + struct.unpack_from("<I", data, start - 4)[0] + 1)
    return range(0)


def says_nothing(name: str, data: bytes, place: int) -> bool:
    """Whether a byte only repeats what others say, or is not used by its format."""
    if name == "BMP":
        # The length of the file and that of the pixels.
        return place in (*range(2, 6), *range(34, 38))
    if name == "PNM":
        return data[place : place + 1].isspace()
    if name == "GIF":
        return place == 10  # how many colours the artist's screen had
    if name == "WebP":
        return place == data.index(b"VP8X") + 8  # whether there is alpha: the pixels tell
    if name == "TIFF":
        (start,) = struct.unpack_from("<I", data, 4)
        entry, byte = divmod(place - start - 2, 12)
        if not 0 <= entry < struct.unpack_from("<H", data, start)[0]:
            return False
        tag, kind, count = struct.unpack_from("<HHI", data, place - byte)
        # What is left of an entry's room, and how the pixels lie.
        return (byte >= 10 and (kind, count) == (SHORT, 1)) or tag in (278, 279, 284)
    return False


def outcome(data: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    """The pixels of a file, what becomes of it in PNG, and what is lost there."""
    found = read(data, LIMIT)
    source = take_apart(data, found)
    more = beyond_whole(data)
    assert source is None or bool(beyond(source)) == bool(more)
    made = convert(found.picture, "png")
    return found.picture.mode.encode() + found.picture.pixels.tobytes(), made.data, made.lost + more


SWEPT: dict[str, Build] = {
    "BMP": bmp, "GIF": gif, "TGA": lambda: tga(HIDDEN), "QOI": PLAIN["QOI"], "WebP": webp, "PNG": png,
    "PNM": lambda: b"P5\n# %s\n5 4\n255\n" % HIDDEN + bytes(20), "TIFF": lambda: saved("RGB", "TIFF"),
}  # fmt: skip


@pytest.mark.parametrize("name", SWEPT)
def test_no_byte_outside_the_pixels_can_change_in_silence(name: str) -> None:
    data = SWEPT[name]()
    pixels, made, lost = outcome(data)
    assert lost == ()
    told = 0
    for place in range(len(data)):
        if place in pixel_stream(name, data) or says_nothing(name, data, place):
            continue
        changed = bytearray(data)
        changed[place] ^= 0x11
        try:
            others, other, missing = outcome(bytes(changed))
        except DensezipError:
            continue
        if others == pixels:
            assert missing or other != made, f"byte {place} of {len(data)}"
            told += 1
    # A change of these is noticed as damage, or as other pixels.
    assert told or name in ("PNG", "PNM")
