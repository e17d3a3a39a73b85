"""GIF files of one picture: the blocks around the codes always come back, and the codes of every greedy encoder."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from densezip.codec.errors import CorruptPayloadError, LimitError, UnreadableImageError, UnsupportedImageError
from densezip.codec.images.formats import gif
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import file_of, picture
from wholefile import LIMIT, bare, check_mutations, comes_back, picture_comes_back

Indices = npt.NDArray[np.uint8]

# After each code: (number of the next string of the table, codes since the table was cleared) -> whether to clear it.
Policy = Callable[[int, int], bool]
POLICIES: dict[str, Policy] = {
    "as soon as the last string is taken": lambda free, _: free >= 4096,
    "one code early": lambda free, _: free >= 4095,
    "never": lambda free, _: False,
    "every 300 codes": lambda _, codes: codes == 300,
    "a while after the table is full": lambda _, codes: codes == 5000,
}


def codes_of(
    indices: Indices, bits: int, policy: Policy, *, start: bool = True, before_end: bool = False, longest: int = 10**9
) -> bytes:
    """LZW codes written the slow way: a dictionary of strings, and the width that a decoder expects."""
    clear = 1 << bits
    written: list[tuple[int, int]] = []
    table: dict[bytes, int] = {}
    codes, width, free = 0, bits + 1, 0

    def reset() -> None:
        nonlocal table, codes, width, free
        free = clear + 2
        table = {bytes([index]): index for index in range(clear)}
        codes, width = 0, bits + 1

    def emit(code: int) -> None:
        nonlocal codes, width
        written.append((code, width))
        codes += 1
        if clear + 2 + codes - 1 == 1 << width and width < 12:
            width += 1

    reset()
    if start:
        written.append((clear, width))
    data = indices.tobytes()
    position = 0
    while position < len(data):
        length = 1
        while position + length < len(data) and length < longest and data[position : position + length + 1] in table:
            length += 1
        emit(table[data[position : position + length]])
        position += length
        if position < len(data) and free < 4096:
            table.setdefault(data[position - length : position + 1], free)
            free += 1
        if policy(free, codes) or (before_end and position == len(data)):
            written.append((clear, width))
            reset()
    written.append((clear + 1, width))
    number = bits_used = 0
    out = bytearray()
    for code, size in written:
        number |= code << bits_used
        bits_used += size
        while bits_used >= 8:
            out.append(number & 255)
            number >>= 8
            bits_used -= 8
    return bytes(out) + (bytes([number]) if bits_used else b"")


def blocks(data: bytes, size: int = 255) -> bytes:
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def gif_file(
    width: int,
    height: int,
    codes: bytes,
    *,
    bits: int = 8,
    before: bytes = b"",
    after: bytes = b";",
    interlaced: bool = False,
    own: bool = False,
    block: int = 255,
    box: tuple[int, int] = (0, 0),
) -> bytes:
    """A GIF file laid out by hand."""
    table = np.random.default_rng(3).bytes(3 * 2**bits)
    screen = struct.pack(
        "<6sHHBBB", b"GIF89a", width + box[0], height + box[1], 0x70 | (0 if own else 0x80 | bits - 1), 0, 0
    )
    flags = (0x80 | bits - 1 if own else 0) | (0x40 if interlaced else 0)
    descriptor = struct.pack("<BHHHHB", 0x2C, *box, width, height, flags)
    parts = [screen, b"" if own else table, before, descriptor, table if own else b"", bytes([max(2, bits)])]
    return b"".join([*parts, blocks(codes, block), after])


def smooth(width: int, height: int, bits: int = 8, seed: int = 0) -> Indices:
    rng = np.random.default_rng(seed)
    steps = rng.choice([0, 0, 0, 0, 1, -1], (height, width))
    out: Indices = (np.cumsum(steps, axis=1) % 2**bits).astype(np.uint8)
    return out


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_codes_of_a_greedy_encoder_come_back_whenever_it_clears_its_table(policy: str, bits: int) -> None:
    indices = smooth(200, 150, bits)
    if policy == "a while after the table is full":
        indices = np.random.default_rng(0).integers(0, 2**bits, (150, 200), dtype=np.uint8)
    data = gif_file(200, 150, codes_of(indices, max(2, bits), POLICIES[policy]), bits=bits)
    found, remainder = comes_back(gif, data)
    assert np.array_equal(found.pixels[:, :, 0], indices)
    assert len(remainder) < 3 * 2**bits + 40


def test_a_first_clear_code_may_be_missing_and_a_last_one_may_be_there() -> None:
    indices = smooth(50, 40)
    for start, before_end in ((False, False), (True, True), (False, True)):
        codes = codes_of(indices, 8, POLICIES["never"], start=start, before_end=before_end)
        comes_back(gif, gif_file(50, 40, codes))


@pytest.mark.parametrize("block", [1, 100, 254, 255])
def test_blocks_of_any_constant_size_come_back(block: int) -> None:
    codes = codes_of(smooth(60, 50), 8, POLICIES["as soon as the last string is taken"])
    _, remainder = comes_back(gif, gif_file(60, 50, codes, block=block))
    assert len(remainder) < 800


def test_blocks_of_different_sizes_and_bytes_behind_the_codes_come_back() -> None:
    codes = codes_of(smooth(60, 50), 8, POLICIES["never"])
    data = gif_file(60, 50, codes)
    start = data.index(blocks(codes))
    ragged = bytes([7]) + codes[:7] + bytes([3]) + codes[7:10] + blocks(codes[10:] + b"more codes")
    comes_back(gif, data[:start] + ragged + b";")
    unended = codes_of(smooth(60, 50), 8, POLICIES["never"])[:-1]
    whole, _, bits = gif._decode(codes, 8, 3000)
    if bits <= 8 * len(unended):
        comes_back(gif, gif_file(60, 50, unended))
    assert np.array_equal(whole, smooth(60, 50).reshape(-1))


def test_the_codes_of_an_encoder_that_does_not_compress_come_back() -> None:
    codes = codes_of(smooth(60, 50), 8, lambda _, codes: codes == 254, longest=1)
    _, remainder = comes_back(gif, gif_file(60, 50, codes))
    assert len(remainder) < 800
    comes_back(gif, gif_file(60, 50, codes + b"more"))


def test_the_codes_of_an_encoder_that_is_not_greedy_come_back_as_a_picture() -> None:
    indices = smooth(60, 50)
    data = gif_file(60, 50, codes_of(indices, 8, POLICIES["never"], longest=3), before=b"\x21\xfe\5hello\0")
    found, remainder = picture_comes_back(gif, data)
    parts = gif.split(data, found)
    assert parts is not None
    assert not parts.exact
    assert np.array_equal(found.pixels[:, :, 0], indices)
    assert b"hello" in gif.join(bare(found), remainder)


@given(
    width=st.integers(1, 40), height=st.integers(1, 40), bits=st.integers(1, 8), interlaced=st.booleans(),
    own=st.booleans(), before=st.sampled_from([b"", b"\x21\xf9\4\1\0\0\2\0", b"\x21\xfe\3abc\0"]),
    after=st.sampled_from([b";", b"", b";junk", b"\x21\xfe\3end\0;"]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_layout_comes_back(
    width: int, height: int, bits: int, interlaced: bool, own: bool, before: bytes, after: bytes, seed: int
) -> None:
    indices = smooth(width, height, bits, seed)
    data = gif_file(
        width, height, codes_of(indices, max(2, bits), POLICIES["never"]), bits=bits, interlaced=interlaced, own=own,
        before=before, after=after,
    )  # fmt: skip
    found, _ = comes_back(gif, data)
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), found.pixels[:, :, 0])


@pytest.mark.parametrize("options", [{}, {"interlace": 0}, {"interlace": 1}, {"optimize": True}])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_what_pillow_writes_comes_back(mode: str, options: dict[str, int]) -> None:
    image = picture(mode, 150, 200)
    found, remainder = comes_back(gif, file_of(image, "GIF", **options))
    ramp = np.arange(256, dtype=np.uint8).repeat(3).tobytes()
    table = np.frombuffer(dict(found.chunks).get("PLTE", ramp), np.uint8).reshape(-1, 3)
    assert np.array_equal(table[found.pixels[:, :, 0]], np.asarray(image.convert("RGB")))
    assert found.mode == "P" or mode != "P"
    assert len(remainder) < 820


def test_what_giflib_writes_comes_back() -> None:
    indices = smooth(300, 200)
    data = bytes(imagecodecs.gif_encode(indices))
    found, remainder = comes_back(gif, data)
    assert np.array_equal(found.pixels[:, :, 0], indices)
    assert len(remainder) < 820


def test_comments_profiles_and_xmp_are_metadata_of_the_picture() -> None:
    profile, packet = bytes(range(200)) * 3, b"<?xpacket begin='' id=''?><x:xmpmeta/><?xpacket end='w'?>"
    magic = b"\1" + bytes(range(255, -1, -1))
    before = b"\x21\xff\x0bICCRGBG1012" + blocks(profile) + b"\x21\xff\x0bXMP DataXMP" + packet + magic + b"\0"
    data = gif_file(
        20, 10, codes_of(smooth(20, 10), 8, POLICIES["never"]), before=before + b"\x21\xfe\5first\0",
        after=b"\x21\xfe\6second\0;",
    )  # fmt: skip
    found, _ = comes_back(gif, data)
    kept = dict(found.chunks)
    assert zlib.decompress(kept["iCCP"].removeprefix(b"ICC Profile\0\0")) == profile
    assert kept["iTXt"].endswith(b"\0" + packet)
    assert [body for name, body in found.chunks if name == "tEXt"] == [b"Comment\0first", b"Comment\0second"]


def test_the_transparent_index_is_kept() -> None:
    control = b"\x21\xf9\4\1\0\0\5\0"
    data = gif_file(20, 10, codes_of(smooth(20, 10), 8, POLICIES["never"]), before=control)
    assert dict(comes_back(gif, data)[0].chunks)["tRNS"] == b"\xff" * 5 + b"\0"


def test_indices_without_a_colour_have_black_ones() -> None:
    codes = codes_of(smooth(20, 10, 2), 4, POLICIES["never"])
    data = gif_file(20, 10, codes, bits=2).replace(b"\0\2" + blocks(codes), b"\0\4" + blocks(codes))
    assert len(dict(comes_back(gif, data)[0].chunks)["PLTE"]) == 48


@pytest.mark.parametrize("box", [(1, 0), (0, 1)])
def test_a_picture_that_does_not_fill_the_screen_is_not_coded(box: tuple[int, int]) -> None:
    with pytest.raises(UnsupportedImageError, match="does not fill"):
        gif.read(gif_file(20, 10, codes_of(smooth(20, 10), 8, POLICIES["never"]), box=box), LIMIT)


def test_two_frames_are_an_animation() -> None:
    frames = [picture("P", seed=seed) for seed in range(2)]
    with pytest.raises(UnsupportedImageError, match="animations"):
        gif.read(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), LIMIT)


def test_too_few_and_too_many_indices_are_refused() -> None:
    codes = codes_of(smooth(20, 10), 8, POLICIES["never"])
    with pytest.raises(UnreadableImageError, match="cut short"):
        gif.read(gif_file(20, 11, codes), LIMIT)
    with pytest.raises(UnsupportedImageError, match="more indices"):
        gif.read(gif_file(2, 1, codes_of(np.zeros((9, 9), np.uint8), 8, POLICIES["never"])), LIMIT)


def test_the_limit_is_applied_to_the_header() -> None:
    with pytest.raises(LimitError):
        gif.read(gif_file(60000, 60000, b"\0\1\2"), LIMIT)


def test_a_remainder_of_another_picture_is_refused() -> None:
    found, remainder = comes_back(gif, file_of(picture("P"), "GIF"))
    high = bare(found)
    high.pixels[0, 0] = 255
    for damaged in (b"", remainder[:20], remainder[:1] + b"\xff" * 20 + remainder[1:]):
        with pytest.raises(CorruptPayloadError):
            gif.join(bare(found), damaged)
    with pytest.raises(CorruptPayloadError):
        gif.join(high, comes_back(gif, gif_file(31, 23, codes_of(smooth(31, 23, 2), 2, POLICIES["never"]), bits=2))[1])


SEEDS: dict[str, bytes] = {
    "Pillow": file_of(picture("P"), "GIF"),
    "listed": gif_file(30, 40, codes_of(smooth(30, 40, 4), 4, POLICIES["every 300 codes"]), bits=4, interlaced=True),
    "not greedy": gif_file(20, 20, codes_of(smooth(20, 20), 8, POLICIES["never"], longest=2), own=True, after=b""),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_or_comes_back(name: str) -> None:
    check_mutations(gif, SEEDS[name], 300)
