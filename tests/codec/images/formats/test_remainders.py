"""What surrounds pixels in .dz files that exist must make the same files for ever: literal files and remainders."""

from types import ModuleType

import pytest
from densezip.codec.images.formats import bmp, gif, pnm, qoi, tga
from wholefile import LIMIT, bare

# name: (module, the file, its remainder)
KEPT: dict[str, tuple[ModuleType, str, str]] = {
    "BMP_24": (
        bmp,
        "424d460000000000000036000000280000000200000002000000010018000000000010000000130b0000130b0000000000000000"
        "0000000102030405060708090a0b0c0d0e0f7461696c",
        "0000022606130b0000130b00030602060706020e0f7461696c",
    ),
    "BMP_565": (
        bmp,
        "424d4a0000000000000042000000280000000300000001000000010010000300000008000000130b0000130b0000000000000000"
        "000000f80000e00700001f0000000001020304050607",
        "0600022606130b0000130b000206020607",
    ),
    "BMP_CORE": (
        bmp,
        "424d2700000000000000230000000c0000000300010001000100616263646566676170a0000000",
        "110c01002300021a096162636465666761700000",
    ),
    "PPM": (
        pnm,
        "50360a3220310a3235350a616263646566",
        "0200",
    ),
    "PGM_1000": (
        pnm,
        "50350a23206d6164650a3220310a313030300a000103e8",
        "7e0a50350a23206d6164650a0120060a313030300a00",
    ),
    "PGM_PLAIN": (
        pnm,
        "503220332032203235350a20203120203232203235350a20313020202030202020390a",
        "7e03503220012005203235350a03000120010a0103010a",
    ),
    "PBM": (
        pnm,
        "50340a3320310abf",
        "00020001bf",
    ),
    "PAM": (
        pnm,
        "50370a574944544820310a48454947485420310a444550544820340a4d415856414c203235350a5455504c54595045205247425f"
        "414c5048410a454e444844520a61626364",
        "2500",
    ),
    "TGA": (
        tga,
        "0400020000000000000000000200010018006e616d65616263646566000000000000000054525545564953494f4e2d5846494c452e00",
        "02180002000104046e616d65000001",
    ),
    "TGA_RUNS": (
        tga,
        "00000b0000000000000000000500010008008207016162",
        "0b0800000000000000",
    ),
    "TGA_LISTED": (
        tga,
        "00000b00000000000000000005000100080081078007016162",
        "0b080000000000040381800100",
    ),
    "QOI": (
        qoi,
        "716f696600000002000000010300fe6496c8c00000000000000001",
        "00",
    ),
    "GIF": (
        gif,
        "47494638396103000200f10000f8c2becf931aed15f5d3ef2d21fe0161002c000000000300020000020444223305003b",
        "0400f8c2becf931aed15f5d3ef2d0521fe016100000200003b",
    ),
    "GIF_LISTED": (
        gif,
        "47494638396103000200f10000f8c2becf931aed15f5d3ef2d2c000000000300020040020244180271630101003b",
        "0400f8c2becf931aed15f5d3ef2d00020901400202020001020202600102003b",
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_remainder_makes_the_same_file_as_ever(name: str) -> None:
    module, file, remainder = KEPT[name]
    picture = module.read(bytes.fromhex(file), LIMIT)
    assert module.join(bare(picture), bytes.fromhex(remainder)).hex() == file


@pytest.mark.parametrize("name", KEPT)
def test_a_file_leaves_the_same_remainder_as_ever(name: str) -> None:
    module, file, remainder = KEPT[name]
    data = bytes.fromhex(file)
    parts = module.split(data, module.read(data, LIMIT))
    assert parts is not None
    assert parts.remainder.hex() == remainder
