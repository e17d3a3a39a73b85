"""What most JPEG files have in common outside their coefficients: the dictionary with which outlines are packed.

Source: ITU-T T.81, annex K: tables K.1 to K.6; JFIF 1.02.
"""

__all__ = ["CHROMA_STEPS", "DICTIONARY", "LUMA_STEPS", "standard_quality", "standard_steps"]

# Quantization steps of quality 50, in zigzag order.
LUMA_STEPS = bytes((
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
))  # fmt: skip
CHROMA_STEPS = bytes((17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, *[99] * 50))

_DC = bytes(range(12))
_LUMA_DC = bytes.fromhex("00010501010101010100000000000000") + _DC
_CHROMA_DC = bytes.fromhex("00030101010101010101010000000000") + _DC
_LUMA_AC = bytes.fromhex(
    "0002010303020403050504040000017d"
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738"
    "393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5"
    "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_CHROMA_AC = bytes.fromhex(
    "00020102040403040705040400010277"
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3"
    "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)


def _scaled(step: int, quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return min(255, max(1, (step * scale + 50) // 100))


def standard_steps(quality: int, *, chroma: bool) -> bytes:
    """The steps of luma or chroma as libjpeg scales them, in zigzag order."""
    return bytes(_scaled(step, quality) for step in (CHROMA_STEPS if chroma else LUMA_STEPS))


def standard_quality(steps: bytes, *, chroma: bool) -> int | None:
    """The lowest quality, 1 to 100, for which libjpeg has steps of luma or chroma, in zigzag order; None for none."""
    first = (CHROMA_STEPS if chroma else LUMA_STEPS)[0]
    alike = (each for each in range(1, 101) if _scaled(first, each) == steps[0])
    return next((each for each in alike if standard_steps(each, chroma=chroma) == steps), None)


def _head(quality: int) -> bytes:
    luma, chroma = standard_steps(quality, chroma=False), standard_steps(quality, chroma=True)
    return b"\xff\xdb\0\x43\0" + luma + b"\xff\xdb\0\x43\1" + chroma


def _tables(joined: bool) -> bytes:
    found = [b"\0" + _LUMA_DC, b"\x10" + _LUMA_AC, b"\1" + _CHROMA_DC, b"\x11" + _CHROMA_AC]
    if joined:
        found = [b"".join(found)]
    return b"".join(b"\xff\xc4" + (2 + len(table)).to_bytes(2, "big") + table for table in found)


# What is likeliest stands last, near to what it is compared with.
DICTIONARY = b"".join([
    b"http://ns.adobe.com/xap/1.0/\0<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>"
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/'></rdf:RDF></x:xmpmeta>",
    b"\xff\xed\0\0Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\xff\xe2\0\0MPF\0\xff\xe2\0\0ICC_PROFILE\0\1\1",
    b"\xff\xe1\0\0Exif\0\0MM\0*\0\0\0\x08\xff\xe1\0\0Exif\0\0II*\0\x08\0\0\0\xff\xee\0\x0eAdobe\0d\0\0\0\0\1",
    b"0221\x92\x86\x07\0R98\0\x02\0\x07\0\x04\0\0\x000100",
    *map(_head, (96, 50, 60, 70, 98, 100, 92, 94, 80, 93, 85, 75, 95, 90)),
    _tables(joined=True),
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\2\0\0\1\0\1\0\0\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\1\0\x48\0\x48\0\0",
    b"\xff\xc2\0\x11\x08\0\0\0\0\3\1\x22\0\2\x11\1\3\x11\1\xff\xda\0\x0c\3\1\0\2\x10\3\x10\0\0\x01",
    b"\xff\xdd\0\4\0\0\xff\xc0\0\x11\x08\0\0\0\0\3\1\x11\0\2\x11\1\3\x11\1",
    b"\xff\xc0\0\x11\x08\0\0\0\0\3\1\x21\0\2\x11\1\3\x11\1\xff\xc0\0\x11\x08\0\0\0\0\3\1\x22\0\2\x11\1\3\x11\1",
    _tables(joined=False),
    b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0\xff\xd9",
])  # fmt: skip
