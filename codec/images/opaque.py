"""Formats that are recognised and kept whole, undecoded. Standard library only.

Their first bytes say what they are; that is no proof that they are sound, and need not be: the same bytes come back.
"""

import struct
from typing import NamedTuple

__all__ = ["OPAQUE", "Kind", "recognise"]


class Kind(NamedTuple):
    """What a file is, by its first bytes.

    Attributes:
        name: of the format.
        extensions: that such files carry; the first is the default.
        opaque: whether files of this format are never decoded, but kept whole.
        lossy: whether the format is a lossy one.
    """

    name: str
    extensions: tuple[str, ...]
    opaque: bool
    lossy: bool = False


RAW = "camera raw"
# name: the extensions; the first is the default.
OPAQUE = {
    "JPEG XL": ("jxl",),
    "AVIF": ("avif", "avifs"),
    "HEIF": ("heic", "heif", "heics", "heifs", "hif"),
    "JPEG 2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "jpm", "jph", "jhc"),
    "JPEG-LS": ("jls",),
    "JPEG XR": ("jxr", "wdp", "hdp"),
    "DICOM": ("dcm", "dicom"),
    RAW: (
        "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "orf", "rw2", "rwl", "pef", "raf", "x3f", "srw",
        "3fr", "iiq", "erf", "dcr", "kdc", "mef", "mos", "mrw",
    ),
    "Photoshop": ("psd", "psb"),
    "OpenEXR": ("exr",),
    "Radiance HDR": ("hdr", "rgbe"),
    "PFM": ("pfm",),
    "ICO": ("ico",),
    "CUR": ("cur",),
    "ICNS": ("icns",),
    "PCX": ("pcx",),
    "SGI": ("sgi", "rgb", "rgba", "bw"),
    "Sun raster": ("ras",),
    "FITS": ("fits", "fit", "fts"),
    "DDS": ("dds",),
    "DPX": ("dpx",),
    "XCF": ("xcf",),
    "FLIF": ("flif",),
    "BPG": ("bpg",),
    "XBM": ("xbm",),
    "XPM": ("xpm",),
    "DIB": (),  # `SHARED`
}  # fmt: skip
# Extensions that are those of another format, too.
SHARED = {"DIB": ("dib",)}
LOSSY = frozenset(["AVIF", "HEIF", "BPG"])
MAGIC = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS\0\1", "Photoshop"),
    (b"8BPS\0\2", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"icns", "ICNS"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"SIMPLE  =", "FITS"),
    (b"DDS ", "DDS"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"gimp xcf", "XCF"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"/* XPM */", "XPM"),
    # Raw files that are no TIFF files, or say at once that they are more than that.
    (b"II\x1a\0\0\0HEAPCCDR", "crw"),
    (b"IIRO", "orf"),
    (b"IIRS", "orf"),
    (b"MMOR", "orf"),
    (b"IIU\0", "rw2"),
    (b"FUJIFILMCCD-RAW", "raf"),
    (b"FOVb", "x3f"),
    (b"\0MRM", "mrw"),
)
BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"crx ": "cr3",
    b"heic": "HEIF", b"heix": "HEIF", b"heim": "HEIF", b"heis": "HEIF", b"hevc": "HEIF", b"hevx": "HEIF",
    b"mif1": "HEIF", b"msf1": "HEIF", b"mif2": "HEIF",
}  # fmt: skip
GENERIC_BRANDS = (b"mif1", b"msf1", b"mif2")
MAX_BRANDS = 64

TIFF_MAKE, TIFF_SUB_DIRECTORIES, TIFF_DNG_VERSION = 271, 330, 50706
MAKERS = {
    b"NIKON": "nef", b"SONY": "arw", b"PENTAX": "pef", b"RICOH": "pef", b"SAMSUNG": "srw", b"Hasselblad": "3fr",
    b"SEIKO EPSON": "erf", b"EASTMAN KODAK": "dcr", b"Mamiya": "mef", b"Leaf": "mos", b"Phase One": "iiq",
}  # fmt: skip
DIB_HEADERS, MOST_COMPRESSION = (40, 52, 56, 64, 108, 124), 6
PCX_VERSIONS, PCX_BITS = (0, 2, 3, 4, 5), (1, 2, 4, 8)
XBM_HEAD = 512


def recognise(data: bytes) -> Kind | None:
    """Which of the formats that are kept whole a file is; None for any other file."""
    name = _name(data)
    if name is None:
        return None
    if name not in OPAQUE:
        return Kind(RAW, (name, *(extension for extension in OPAQUE[RAW] if extension != name)), opaque=True)
    return Kind(name, OPAQUE[name] or SHARED[name], opaque=True, lossy=name in LOSSY)


def _name(data: bytes) -> str | None:
    """A key of `OPAQUE`, or the extension of a raw file."""
    for magic, name in MAGIC:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return _brand(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _raw_tiff(data)
    if data[128:132] == b"DICM":
        return "DICOM"
    if data[:2] == b"\x01\xda" and len(data) >= 512 and data[2] < 2 and data[3] in (1, 2):
        return "SGI"
    if len(data) >= 128 and data[0] == 0x0A and data[1] in PCX_VERSIONS and data[2] < 2 and data[3] in PCX_BITS:
        return "PCX"
    if data.startswith(b"#define ") and b"_width" in data[:XBM_HEAD] and b"_bits" in data[:XBM_HEAD]:
        return "XBM"
    return "DIB" if _is_dib(data) else _icon(data)


def _is_dib(data: bytes) -> bool:
    """A BMP file without its file header, as in clipboards and resources: it begins with the length of its header."""
    if len(data) < min(DIB_HEADERS) or int.from_bytes(data[:4], "little") not in DIB_HEADERS:
        return False
    width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, 4)
    row = -(-width * bits // 32) * 4
    return (
        planes == 1
        and bits in (1, 2, 4, 8, 16, 24, 32)
        and compression <= MOST_COMPRESSION
        and width > 0
        and height != 0
        and (compression not in (0, 3) or len(data) >= int.from_bytes(data[:4], "little") + row * abs(height))
    )


def _brand(data: bytes) -> str | None:
    """A file of ISO boxes: of a generic kind it is what its other brands say."""
    size = min(int.from_bytes(data[:4], "big"), len(data), 16 + 4 * MAX_BRANDS)
    brands = [data[8:12], *(data[place : place + 4] for place in range(16, size, 4))]
    known = [brand for brand in brands if brand in BRANDS]
    specific = [brand for brand in known if brand not in GENERIC_BRANDS]
    return BRANDS[(specific or known)[0]] if known else None


def _raw_tiff(data: bytes) -> str | None:
    """A TIFF file whose first directory says that it is a camera's raw file."""
    order = "<" if data[:2] == b"II" else ">"
    if data[8:10] == b"CR":
        return "cr2"
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        tags = {}
        for index in range(min(count, 4096)):
            tag, _, length, value = struct.unpack_from(order + "HHII", data, start + 2 + 12 * index)
            tags[tag] = (length, value)
    except struct.error:
        return None
    if TIFF_DNG_VERSION in tags:
        return "dng"
    length, place = tags.get(TIFF_MAKE, (0, 0))
    if TIFF_SUB_DIRECTORIES in tags and length > 4:
        for maker, extension in MAKERS.items():
            if data[place : place + length].startswith(maker):
                return extension
    return None


def _icon(data: bytes) -> str | None:
    """An icon or a cursor: its first entry has to point into the file, behind the list of entries."""
    if data[:4] not in (b"\0\0\1\0", b"\0\0\2\0") or len(data) < 22:
        return None
    (count,) = struct.unpack_from("<H", data, 4)
    size, offset = struct.unpack_from("<II", data, 14)
    if not count or not 6 + 16 * count <= offset < len(data) or not size:
        return None
    return "ICO" if data[2] == 1 else "CUR"
