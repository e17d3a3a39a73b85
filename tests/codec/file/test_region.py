"""A part of an image: what a crop of the whole would give, from the tiles that it lies in."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import pytest
from command_line import run
from densezip.codec.file import coding
from densezip.codec.file.container import Container, Header, Payload, parse, serialise
from densezip.codec.file.payload import Coder
from densezip.codec.file.region import Region
from densezip.codec.images.crop import exif_of_part
from densezip.codec.images.picture import checksum
from PIL import Image
from samples import array, file_of, model_only, picture

REGIONS = [(0, 0, 31, 23), (0, 0, 1, 1), (30, 22, 1, 1), (7, 3, 11, 13), (0, 22, 31, 1)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_a_region_is_what_cropping_the_whole_gives(mode: str) -> None:
    data = densezip.compress(picture(mode), effort=1)
    whole = densezip.decompress(data)
    assert isinstance(whole, Image.Image)
    for x, y, width, height in REGIONS:
        part = densezip.decompress(data, region=(x, y, width, height))
        assert isinstance(part, Image.Image)
        wanted = whole.crop((x, y, x + width, y + height))
        assert (part.mode, part.size, part.tobytes()) == (wanted.mode, wanted.size, wanted.tobytes())
        assert part.getpalette() == wanted.getpalette()


@pytest.mark.parametrize(("channels", "dtype"), [(1, "u1"), (3, "u1"), (4, "u2")])
def test_a_region_of_a_model_coded_array_is_a_slice(channels: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model_only(monkeypatch)
    samples = array(channels, dtype)
    part = densezip.decompress(densezip.compress(samples, effort=1), region=(7, 3, 11, 13))
    assert isinstance(part, np.ndarray)
    assert np.array_equal(part, samples[3:16, 7:18])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_a_region_of_a_file_is_a_part_of_what_the_whole_decodes_to(kind: str) -> None:
    data = densezip.compress(file_of(picture("P" if kind == "GIF" else "RGB"), kind), effort=1)
    whole, part = densezip.decompress(data), densezip.decompress(data, region=(7, 3, 11, 13))
    assert isinstance(whole, Image.Image)
    assert isinstance(part, Image.Image)
    assert part.convert("RGB").tobytes() == whole.crop((7, 3, 18, 16)).convert("RGB").tobytes()
    assert densezip.export(data, region=(7, 3, 11, 13)).extension in (kind.lower()[:3], kind.lower(), "png")


def tiled() -> tuple[np.ndarray[Any, Any], bytes, Coder, list[bytes]]:
    """A file of 5 x 4 tiles, whose coder writes down samples and notes which tiles it is asked for."""
    pixels = array(3)
    asked: list[bytes] = []

    def decode(data: bytes, shape: tuple[int, int, int], _: object) -> Any:
        asked.append(data)
        return np.frombuffer(data, np.uint8).reshape(shape)

    header = Header(Payload.MODEL, "RGB", 31, 23, checksum(pixels), 8, 5, 8, model="plain", digest=bytes(4))
    tiles = [pixels[a:c, b:d].tobytes() for a, b, c, d in header.boxes()]
    coder = Coder(Payload.MODEL, 5, 8, lambda tile, _: tile.tobytes(), decode)
    return pixels, serialise(header, tiles), coder, asked


def part_of(container: Container, coder: Coder, region: tuple[int, int, int, int], threads: int = 1) -> Any:
    return coding.decode_picture(container, lambda _: coder, threads, None, Region(*region)).pixels


@pytest.mark.parametrize("threads", [1, 3])
def test_every_region_of_a_tiled_image_is_that_part(threads: int) -> None:
    pixels, data, coder, _ = tiled()
    rng = np.random.default_rng(0)
    for _ in range(60):
        (x, end), (y, low) = np.sort(rng.permutation(32)[:2]), np.sort(rng.permutation(24)[:2])
        part = part_of(parse(data), coder, (int(x), int(y), int(end - x), int(low - y)), threads)
        assert np.array_equal(part, pixels[y:low, x:end])


def test_only_the_tiles_of_the_region_are_decoded() -> None:
    _, data, coder, asked = tiled()
    part_of(parse(data), coder, (8, 5, 8, 5))
    assert len(asked) == 1
    asked.clear()
    part_of(parse(data), coder, (7, 4, 2, 2))
    assert len(asked) == 4


def test_a_damaged_tile_is_noticed_by_the_regions_in_it_alone() -> None:
    pixels, data, coder, _ = tiled()
    damaged = bytearray(data)
    damaged[-1] ^= 1
    assert np.array_equal(part_of(parse(damaged), coder, (0, 0, 9, 9)), pixels[:9, :9])
    with pytest.raises(densezip.ChecksumError, match="tile 20 of 20"):
        part_of(parse(damaged), coder, (30, 22, 1, 1))


def test_a_region_that_needs_every_tile_is_checked_as_the_whole_is() -> None:
    pixels, data, coder, _ = tiled()
    header = parse(data).header
    tiles = [(pixels[a:c, b:d] ^ 1).tobytes() for a, b, c, d in header.boxes()]
    wrong = serialise(header, tiles)
    assert part_of(parse(wrong), coder, (0, 0, 9, 9)).shape == (9, 9, 3)
    with pytest.raises(densezip.ChecksumError, match="the pixels are wrong"):
        part_of(parse(wrong), coder, (1, 1, 30, 22))


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((0, 0, 32, 1), r"32x1 pixels at \(0, 0\) is not inside of the image of 31x23"),
        ((31, 0, 1, 1), "is not inside"),
        ((-1, 0, 2, 2), r"at \(-1, 0\) is not inside"),
        ((0, 23, 1, 1), "is not inside"),
        ((0, 0, 0, 5), "0x5 pixels .* has no pixels"),
        ((0, 0, 5, -2), "has no pixels"),
        ((0, 0, 5), "four integers"),
        ((0, 0, 5.0, 5), "four integers"),
        ("1234", "four integers"),
        (7, "four integers"),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_region_that_there_is_not_is_a_usage_error(kind: str, region: Any, message: str) -> None:
    data = densezip.compress(file_of(picture("RGB"), kind), effort=1)
    with pytest.raises(densezip.UsageError, match=message):
        densezip.decompress(data, region=region)


def exif(order: str) -> bytes:
    """A block as cameras write it: sizes in two directories, and a thumbnail."""
    image = Image.Exif()
    image.endian = order
    image[256], image[257], image[274] = 31, 23, 6
    image.get_ifd(34665).update({40962: 31, 40963: 23, 37500: b"notes" * 9})
    block = image.tobytes()[6:]
    # The second directory, behind the end: a thumbnail of 20 bytes.
    (first,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, first)
    second, link = len(block), first + 2 + 12 * count
    entries = struct.pack(order + "HHHIIHHII", 2, 513, 4, 1, second + 30, 514, 4, 1, 20)
    return block[:link] + struct.pack(order + "I", second) + block[link + 4 :] + entries + bytes(4) + b"T" * 20


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_exif_has_the_size_of_the_part_and_no_thumbnail(order: str, prefix: bytes) -> None:
    block = exif(order)
    assert b"T" * 20 in block
    part = exif_of_part(prefix + block, 11, 13)
    assert len(part) == len(prefix + block)
    assert b"TT" not in part
    read = Image.Exif()
    read.load(part)
    fields = read.get_ifd(34665)
    assert (read[256], read[257], read[274]) == (11, 13, 6)
    assert (fields[40962], fields[40963], fields[37500]) == (11, 13, b"notes" * 9)
    assert not read.get_ifd(1)


def test_damaged_exif_is_no_error() -> None:
    block = exif("<")
    rng = np.random.default_rng(0)
    for _ in range(300):
        odd = bytearray(block[: rng.integers(0, len(block) + 1)])
        for at in rng.integers(0, max(1, len(odd)), 6):
            odd[at : at + 1] = rng.bytes(1)
        assert len(exif_of_part(bytes(odd), 11, 13)) == len(odd)


def test_a_part_keeps_the_profile_and_says_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    picture("RGB").save(path, exif=exif("<"), icc_profile=b"profile" * 20)
    path.with_name("photo.png.dz").write_bytes(densezip.compress(path, effort=1))
    args = ("decompress", "--region", "7,3,11,13", "photo.png.dz", "-o")
    for name in ("part.png", "part.webp"):
        assert run(*[tmp_path / a if a == "photo.png.dz" else a for a in args], tmp_path / name).exit_code == 0
        with Image.open(tmp_path / name) as part, Image.open(path) as whole:
            assert part.size == (11, 13)
            assert part.getexif().get_ifd(34665)[40962] == 11
            assert part.info["icc_profile"] == whole.info["icc_profile"]
            assert part.tobytes() == whole.crop((7, 3, 18, 16)).tobytes()


def test_the_command_refuses_what_is_no_region(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dz", tmp_path / "part.png"
    path.write_bytes(densezip.compress(picture("L"), effort=1))
    for text, message in (("30,0,2,1", "2x1 pixels at (30, 0) is not inside"), ("1,2,3", "is not x,y,width,height")):
        result = run("decompress", "--region", text, path, "-o", out)
        assert result.exit_code == 2
        assert message in result.stderr
    assert "--region needs -o" in run("decompress", "--region", "0,0,1,1", path).stderr
    assert run("decompress", "--region", "0,0,1,1", path, "-o", out, "--rm").exit_code == 2
    assert not out.exists()
    assert path.exists()


def test_a_part_does_not_pass_for_another(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dz", tmp_path / "part.png"
    path.write_bytes(densezip.compress(picture("L"), effort=1))
    assert run("decompress", "--region", "0,0,9,9", path, "-o", out).exit_code == 0
    result = run("decompress", "--region", "5,5,9,9", path, "-o", out)
    assert result.exit_code == 5
    assert "exists" in result.stderr


def test_a_part_of_a_lossy_file_is_a_png() -> None:
    data = densezip.compress(file_of(picture("RGB"), "JPEG"))
    found = densezip.export(data, region=(7, 3, 11, 13))
    assert found.extension == "png"
    with Image.open(BytesIO(found.data)) as part:
        assert part.size == (11, 13)
