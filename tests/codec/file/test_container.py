"""The container: parse inverts serialise, and no damage goes unnoticed."""

import zlib

import pytest
from densezip.codec.errors import (
    BadMagicError,
    ChecksumError,
    FormatError,
    HeaderError,
    LimitError,
    TrailingDataError,
    TruncatedError,
    UnsupportedVersionError,
)
from densezip.codec.fields import varint
from densezip.codec.file.container import FLAG_METADATA, Header, Payload, parse, serialise
from densezip.codec.file.metadata import MAX_METADATA
from densezip.codec.file.packing import METHODS
from densezip.codec.images.modes import MODES, NATURAL_BITS
from hypothesis import given
from hypothesis import strategies as st

CHUNKS = (("iCCP", b"profile" * 30), ("tEXt", b"Author\0me"), ("tEXt", b"Title\0it"), ("tRNS", b""))


def header(**changes: object) -> Header:
    fields: dict[str, object] = {
        "payload": Payload.MODEL,
        "mode": "RGB",
        "width": 64,
        "height": 64,
        "checksum": bytes(range(8)),
        "tile_width": 64,
        "tile_height": 64,
        "bits": 8,
        "model": "photo-5",
        "digest": b"\1\2\3\4",
    }
    return Header(**(fields | changes))  # type: ignore[arg-type]


def resealed(data: bytes, body: bytes) -> bytes:
    """The file with another header body, under a CRC that agrees with it."""
    assert len(body) < 128
    head = data[:5] + bytes([len(body)]) + body
    return head + zlib.crc32(head).to_bytes(4, "little") + data[6 + data[5] + 4 :]


def body_of(data: bytes) -> bytes:
    assert data[5] < 128
    return data[6 : 6 + data[5]]


@given(
    width=st.integers(1, 2**20),
    height=st.integers(1, 2**20),
    columns=st.integers(1, 5),
    rows=st.integers(1, 5),
    mode=st.sampled_from(MODES),
    chunks=st.lists(st.tuples(st.from_regex("[a-z][A-Za-z]{3}", fullmatch=True), st.binary())).map(tuple),
)
def test_parse_inverts_serialise(
    width: int, height: int, columns: int, rows: int, mode: str, chunks: tuple[tuple[str, bytes], ...]
) -> None:
    made = header(
        width=width,
        height=height,
        tile_width=-(-width // columns),
        tile_height=-(-height // rows),
        mode=mode,
        bits=NATURAL_BITS.get(mode, 16),
        chunks=(("PLTE", b"\1\2\3"), *chunks) if mode == "P" else chunks,
    )
    tiles = [b"x" * number for number in range(made.tiles)]
    found = parse(serialise(made, tiles))
    assert found.header == made
    assert [bytes(found.tile(number)) for number in range(made.tiles)] == tiles


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": Payload.WEBP, "model": "", "digest": b""},
        {"payload": Payload.CHAINED, "source_format": "png", "remainder": b"x", "source_checksum": b"\1\2\3\4"},
        {"payload": Payload.PNG, "model": "", "digest": b"", "mode": "RGB;16", "bits": 16},
        {"payload": Payload.STORED, "model": "", "digest": b"", "stored_format": "jpg", "lossy": True},
        {"mode": "P", "bits": 2, "chunks": (("PLTE", b"\1\2\3"),)},
        {"mode": "L", "bits": 4},
        {"mode": "1", "bits": 1},
        {"array_ndim": 3},
        {"array_ndim": 2, "mode": "L"},
        {"chunks": CHUNKS},
        {"source_format": "png"},
        {"source_format": "tif", "remainder": b""},
        {"source_format": "qoi", "remainder": b"", "source_checksum": b"\1\2\3\4"},
        {"source_format": "bmp", "remainder": bytes(1000), "source_checksum": b"\1\2\3\4", "tile_width": 33},
        {"source_format": "gif", "remainder": b"palette", "mode": "P", "bits": 4},
        {"source_format": "png", "chunks": CHUNKS},
    ],
)
def test_every_field_survives(changes: dict[str, object]) -> None:
    made = header(**changes)
    assert parse(serialise(made, [b"tile"] * made.tiles)).header == made


@pytest.mark.parametrize("method", range(METHODS))
@pytest.mark.parametrize("lossy", [False, True])
def test_a_file_that_was_not_looked_into_survives(method: int, lossy: bool) -> None:
    made = Header(Payload.FILE, "", 0, 0, bytes(8), 0, 0, 0, lossy=lossy, stored_format="dcm", packing=(method, 123456))
    found = parse(serialise(made, [b"packed"]))
    assert (found.header, found.version, bytes(found.tile(0))) == (made, 4, b"packed")


def test_a_file_has_the_oldest_version_that_says_what_it_says() -> None:
    assert serialise(header(), [b"tile"])[4] == 2
    assert serialise(header(payload=Payload.BATCH), [b"tile"])[4] == 3
    assert serialise(header(source_format="png"), [b"tile"])[4] == 4
    deep = header(payload=Payload.PNG, model="", digest=b"", mode="I;16", bits=16)
    small = header(payload=Payload.PNG, model="", digest=b"")
    assert serialise(deep, [b"tile"])[4] == 2
    assert serialise(small, [b"tile"])[4] == 4
    assert parse(serialise(small, [b"tile"])).header == small


def test_what_is_beside_the_pixels_costs_few_bytes() -> None:
    plain = len(serialise(header(), [b"tile"]))
    kept = header(source_format="png", remainder=b"12345678", source_checksum=b"\1\2\3\4")
    assert len(serialise(kept, [b"tile"])) - plain <= 14


@pytest.mark.parametrize(
    ("position", "value"),
    [(2, 0x20), (2, 0x1F), (2, 0x80), (2, 0x21), (0, 0x03), (0, 0x44), (0, 0x07)],
)
def test_an_impossible_source_is_an_error(position: int, value: int) -> None:
    data = serialise(header(source_format="png"), [b"tile"])
    body = bytearray(body_of(data))
    assert body[2] == 1
    body[position] = value
    with pytest.raises(HeaderError):
        parse(resealed(data, bytes(body)))


def test_too_much_beside_the_pixels_is_refused_on_both_sides() -> None:
    with pytest.raises(LimitError, match="beside the pixels"):
        serialise(header(source_format="png", remainder=bytes(MAX_METADATA + 1)), [b"tile"])
    data = serialise(header(source_format="png", remainder=b"x"), [b"tile"])
    body = body_of(data)
    assert body[-2:] == b"\x04x"
    for bomb in (varint(MAX_METADATA + 1 << 2 | 1), varint(5 << 2 | 3), varint(5 << 2 | 1) + b"\x02x\0", b"\x08x"):
        with pytest.raises(HeaderError):
            parse(resealed(data, body[:-2] + bomb))


def test_boxes_cover_every_pixel_once() -> None:
    made = header(width=10, height=7, tile_width=4, tile_height=3)
    covered = [
        (y, x) for top, left, bottom, right in made.boxes() for y in range(top, bottom) for x in range(left, right)
    ]
    assert sorted(covered) == [(y, x) for y in range(7) for x in range(10)]
    assert len(made.boxes()) == made.tiles


def test_container_of_a_64x64_image_takes_at_most_40_bytes() -> None:
    assert len(serialise(header(), [b"x" * 4000])) - 4000 <= 40
    assert len(serialise(header(array_ndim=3), [b"x" * 4000])) - 4000 <= 40


@pytest.mark.parametrize("chunks", [(), CHUNKS])
def test_truncation_at_any_byte_is_truncation(chunks: tuple[tuple[str, bytes], ...]) -> None:
    data = serialise(header(tile_width=33, chunks=chunks), [b"first tile", b"second"])
    for length in range(len(data)):
        with pytest.raises(TruncatedError):
            parse(data[:length])


def test_any_flipped_bit_is_an_error() -> None:
    data = serialise(header(tile_width=33, chunks=CHUNKS), [b"first tile", b"second"])
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(FormatError):  # noqa: PT012
            found = parse(damaged)
            for number in range(found.header.tiles):
                found.tile(number)


def test_errors_are_named_and_say_the_numbers() -> None:
    data = serialise(header(), [b"tile"])
    with pytest.raises(BadMagicError, match="50 4b 03 04"):
        parse(b"PK\3\4" + data[4:])
    for version in (8, 10):
        with pytest.raises(UnsupportedVersionError, match=f"version {version}; .* versions 2 to 7 and 9"):
            parse(data[:4] + bytes([version]) + data[5:])
    with pytest.raises(TrailingDataError, match="3 bytes follow"):
        parse(data + b"abc")
    with pytest.raises(ChecksumError, match="header"):
        parse(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    with pytest.raises(ChecksumError, match="tile 1 of 1"):
        parse(data[:-1] + b"E").tile(0)
    with pytest.raises(TruncatedError, match="tile 1 of 1"):
        parse(data[:-1])


HEADS = {
    "payload kind": b"\x07\x03\x40\x40",
    "pixel mode": b"\x00\x0f\x40\x40",
    "bits per sample": b"\x00\x33\x40\x40",
    "no width": b"\x00\x03\x00\x40",
    "wide": b"\x00\x03\x80\x80\x80\x80\x80\x01\x40",
    "leading zeros": b"\x00\x03\xc0\x00\x40",
    "endless number": b"\x00\x03" + b"\xff" * 12,
    "lossy model": b"\x20\x03\x40\x40",
    "array of 4": b"\xc0\x03\x40\x40",
    "2-d RGB": b"\x40\x03\x40\x40",
    "tiled once": b"\x08\x03\x40\x40",
}


@pytest.mark.parametrize("name", HEADS)
def test_an_impossible_header_is_a_header_error(name: str) -> None:
    data = serialise(header(), [b"tile"])
    with pytest.raises(HeaderError):
        parse(resealed(data, HEADS[name] + body_of(data)[4:]))


def test_tiles_are_not_listed_before_they_are_known_to_be_there() -> None:
    data = serialise(header(width=2**31, height=2**31, tile_width=2**30, tile_height=2**31), [b"", b""])
    body = body_of(data)
    sides = body.index(b"\x80\x80\x80\x80\x04\x80\x80\x80\x80\x08")
    with pytest.raises(HeaderError, match="4611686018427387904 tiles"):
        parse(resealed(data, body[:sides] + b"\1\1" + body[sides + 10 :]))


def test_a_header_with_bytes_to_spare_is_a_header_error() -> None:
    data = serialise(header(), [b"tile"])
    with pytest.raises(HeaderError, match="1 bytes follow"):
        parse(resealed(data, body_of(data) + b"\0"))


def test_metadata_that_inflates_to_more_than_it_says_is_refused() -> None:
    bomb = zlib.compress(bytes(10**6), 9)
    data = serialise(header(), [b"tile"])
    body = bytearray(body_of(data))
    body[0] |= FLAG_METADATA
    fields = bytes(body) + b"\x15" + varint(len(bomb)) + bomb
    head = data[:5] + varint(len(fields)) + fields
    with pytest.raises(HeaderError, match="10 bytes announced"):
        parse(head + zlib.crc32(head).to_bytes(4, "little") + b"tile")


@pytest.mark.parametrize("name", ["IDAT", "IEND", "abc", "abcde", "ab1d", "ab d"])
def test_metadata_that_is_no_ancillary_chunk_is_a_header_error(name: str) -> None:
    with pytest.raises(HeaderError, match="metadata"):
        parse(serialise(header(chunks=((name, b""),)), [b"tile"]))


@pytest.mark.parametrize("palette", [(), (("PLTE", b""),), (("PLTE", bytes(4)),), (("PLTE", bytes(771)),)])
def test_a_palette_image_without_a_palette_is_a_header_error(palette: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(HeaderError, match="palette of"):
        parse(serialise(header(mode="P", chunks=palette), [b"tile"]))


def test_too_much_metadata_is_a_limit() -> None:
    with pytest.raises(LimitError, match="strip"):
        serialise(header(chunks=(("tEXt", bytes(MAX_METADATA)),)), [b"tile"])
