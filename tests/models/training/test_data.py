import gzip
import io
import pickle
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from densezip.codec.errors import UnreadableImageError, UsageError
from densezip.models.training.data import open_data
from densezip.models.training.leaves import SMALLEST, dead_leaves
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def pixels(count: int, channels: int, size: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), np.uint8)


def mosaic(images: Pixels, columns: int, path: Path) -> None:
    n, c, h, w = images.shape
    tiles = images.reshape(n // columns, columns, c, h, w).transpose(0, 3, 1, 4, 2).reshape(n // columns * h, -1, c)
    Image.fromarray(tiles[:, :, 0] if c == 1 else tiles).save(path)


def save(image: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(path)


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def python_batch(images: Pixels) -> bytes:
    """As the official files are: written by Python 2, keys of bytes."""
    rows = images.reshape(len(images), -1)
    # `protocol=2` writes arrays as `numpy._core.multiarray`; the official ones say `numpy.core.multiarray`.
    data = pickle.dumps({b"data": rows, b"labels": [0] * len(rows), b"batch_label": b"x"}, protocol=2)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def binary_batch(images: Pixels) -> bytes:
    return b"".join(b"\7" + image.tobytes() for image in images)


@pytest.fixture
def cifar(tmp_path: Path) -> tuple[Path, Pixels, Pixels]:
    """Every form of the same 20 + 4 images in one folder."""
    train, test = pixels(20, 3, 32), pixels(4, 3, 32, seed=1)
    forms: dict[str, dict[str, bytes]] = {
        "python": {f"data_batch_{i + 1}": python_batch(train[10 * i : 10 * i + 10]) for i in range(2)}
        | {"test_batch": python_batch(test), "batches.meta": b"", "readme.html": b""},
        "binary": {f"data_batch_{i + 1}.bin": binary_batch(train[10 * i : 10 * i + 10]) for i in range(2)}
        | {"test_batch.bin": binary_batch(test), "batches.meta.txt": b""},
    }
    for form, files in forms.items():
        with tarfile.open(tmp_path / f"cifar-10-{form}.tar.gz", "w:gz") as archive:
            for name, data in files.items():
                add(archive, f"cifar-10-batches/{name}", data)
        (tmp_path / form / "inner").mkdir(parents=True)
        for name, data in files.items():
            (tmp_path / form / "inner" / name).write_bytes(data)
    (tmp_path / "mosaics").mkdir()
    mosaic(train[:10], 5, tmp_path / "mosaics" / "train-0.png")
    mosaic(train[10:], 2, tmp_path / "mosaics" / "train-1.png")
    mosaic(test, 2, tmp_path / "mosaics" / "test.png")
    for i, image in enumerate(train):
        save(image, tmp_path / "folder" / "train" / "frog" / f"{i:02}.png")
    for i, image in enumerate(test):
        save(image, tmp_path / "folder" / "test" / f"{i}.png")
    return tmp_path, train, test


@pytest.mark.parametrize(
    "form", ["cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "python", "binary", "mosaics", "folder"]
)
def test_cifar_is_the_same_in_every_form(cifar: tuple[Path, Pixels, Pixels], form: str) -> None:
    path, train, test = cifar
    spec = f"cifar10:{path / form}"
    first, held, last = (open_data(spec, split) for split in ("train", "validation", "test"))
    assert np.array_equal(first.images, train[:-2])  # a tenth is kept apart
    assert np.array_equal(held.images, train[-2:])
    assert np.array_equal(last.images, test)
    assert first.images.flags.c_contiguous
    assert first.name == "cifar10"
    assert len({first.hash, held.hash, last.hash}) == 3
    assert first.hash == open_data(spec).hash


def test_cifar_from_one_mosaic_or_a_plain_folder(cifar: tuple[Path, Pixels, Pixels]) -> None:
    path, _, test = cifar
    for spec in (path / "mosaics" / "test.png", path / "folder" / "test"):
        assert np.array_equal(open_data(f"cifar10:{spec}", "test").images, test)


def test_the_last_thousand_are_kept_for_validation(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((10500, 1, 28, 28), np.uint8)))
    assert len(open_data(f"mnist:{tmp_path}", "train").images) == 9500
    assert len(open_data(f"mnist:{tmp_path}", "validation").images) == 1000


def idx(images: Pixels) -> bytes:
    shape = (len(images), *images.shape[2:])
    return b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in shape) + images.tobytes()


@pytest.mark.parametrize("form", ["idx", "gz", "mosaic"])
def test_mnist_is_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    train, test = pixels(10, 1, 28), pixels(4, 1, 28, seed=1)
    for name, other, images in (("train", "train", train), ("t10k", "test", test)):
        if form == "mosaic":
            mosaic(images, 2, tmp_path / f"{other}.png")
        elif form == "gz":
            (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        else:
            (tmp_path / f"{name}-images.idx3-ubyte").write_bytes(idx(images))
    assert np.array_equal(open_data(f"mnist:{tmp_path}").images, train[:-1])
    assert np.array_equal(open_data(f"mnist:{tmp_path}", "validation").images, train[-1:])
    assert np.array_equal(open_data(f"mnist:{tmp_path}", "test").images, test)


def test_binarized_digits_are_ones_as_often_as_they_are_bright_and_always_the_same(tmp_path: Path) -> None:
    shades = np.arange(0, 256, 51, dtype=np.uint8)
    for name, rows in (("train", 12), ("test", 6)):
        images = np.repeat(shades, rows // 6).reshape(-1, 1, 1, 1) * np.ones((1, 1, 28, 28), np.uint8)
        Image.fromarray(images[:, 0].reshape(-1, 28)).save(tmp_path / f"{name}.png")
    found = {split: open_data(f"binarized-mnist:{tmp_path}", split) for split in ("train", "validation", "test")}
    everything = np.concatenate([found["train"].images, found["validation"].images])
    means = everything.reshape(6, -1).mean(1)
    assert (means[0], means[-1]) == (0, 1)
    assert np.abs(means - shades / 255).max() < 0.05
    assert set(np.unique(everything)) == {0, 1}
    assert found["test"].name == "binarized-mnist"
    again = open_data(f"binarized-mnist:{tmp_path}", "test")
    assert again.hash == found["test"].hash
    assert not np.array_equal(found["test"].images, everything[::2])


def test_folders_give_crops_of_any_images_and_whole_ones_of_one_size(tmp_path: Path) -> None:
    big = pixels(1, 3, 40)[0]
    save(big, tmp_path / "many" / "a.png")
    save(pixels(1, 3, 17)[0], tmp_path / "many" / "sub" / "b.png")
    save(pixels(1, 3, 16)[0], tmp_path / "many" / "c.png")
    test = open_data(str(tmp_path / "many"), "test", patch=16).images
    assert test.shape == (6, 3, 16, 16)  # 4 of 40x40, 1 each of the others
    assert np.array_equal(test[0], big[:, :16, :16])
    assert np.array_equal(test[3], big[:, 16:32, 16:32])
    train = open_data(str(tmp_path / "many"), "train", patch=16, seed=1)
    assert train.images.shape == (5, 3, 16, 16)  # a file is kept for validation
    windows = np.lib.stride_tricks.sliding_window_view(big, (16, 16), (1, 2))
    assert all((windows == crop[:, None, None]).all((0, 3, 4)).any() for crop in train.images[:4])
    assert train.hash == open_data(str(tmp_path / "many"), "train", patch=16, seed=1).hash
    assert train.hash != open_data(str(tmp_path / "many"), "train", patch=16, seed=2).hash
    with pytest.raises(UsageError, match="set patch"):
        open_data(str(tmp_path / "many"), "test")
    for i in range(3):
        save(pixels(1, 1, 9, seed=i)[0], tmp_path / "grey" / f"{i}.png")
    assert open_data(f"folder:{tmp_path / 'grey'}", "test").images.shape == (3, 1, 9, 9)


def test_dead_leaves_are_those_of_their_seed_and_cover_everything() -> None:
    train, again = open_data("deadleaves:size=24,count=20"), open_data("deadleaves:size=24,count=20")
    assert train.images.shape == (20, 1, 24, 24)
    assert train.hash == again.hash
    test = open_data("deadleaves:size=24,count=20", "test").images
    assert test.shape == (2, 1, 24, 24)
    assert not (train.images[:2] == test).all()


def test_dead_leaves_have_noise_where_it_is_asked_for() -> None:
    plain, noisy = (dead_leaves(20, 32, 5, noise).astype(float) for noise in (0, 6))
    inside = (plain > 40) & (plain < 215)  # where nothing is cut off
    assert (noisy - plain)[inside].std() == pytest.approx(6, abs=0.3)
    assert (noisy - plain)[inside].mean() == pytest.approx(0, abs=0.3)
    assert (dead_leaves(20, 32, 5, 6) == noisy).all()


def test_points_and_pulses_are_drawn_anew_for_each_split() -> None:
    points = [open_data("swissroll:count=50", split).images for split in ("train", "test")]
    assert [part.shape for part in points] == [(50, 1, 1, 2), (5, 1, 1, 2)]
    assert not (points[0][:5] == points[1]).all()
    pulses = open_data("heartbeat:count=50").images.reshape(50, 20)
    assert (pulses.reshape(50, 4, 5).sum((1, 2)) == 4).all()
    assert (pulses[:, :5] == pulses[:, 15:]).all()
    assert len({tuple(row) for row in pulses.tolist()}) == 5


def test_dead_leaves_are_flat_discs_of_all_sizes() -> None:
    images = dead_leaves(40, 48, seed=3)[:, 0].astype(int)
    same = images[:, :, 1:] == images[:, :, :-1]
    assert 0.6 < same.mean() < 0.95  # flat inside, with edges
    # Of a scale-free pile the chance of one leaf at two places falls slowly: by less than halves over each octave.
    chances = [float((images[:, :, d:] == images[:, :, :-d]).mean()) for d in (1, 2, 4, 8)]
    assert all(0.5 < far / near < 0.98 for near, far in pairwise(chances))
    assert abs(images.mean() - 127.5) < 15
    assert SMALLEST > 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cifar10:/no/such/path", "no data at /no/such/path"),
        ("/no/such/path", "deadleaves, swissroll, heartbeat, digits or a folder"),
        ("deadleaves:colour=3", "size=N and count=N"),
        ("deadleaves:size=-3", "size=N and count=N"),
        ("swissroll:size=3", "takes count=N, such as swissroll:count=10000"),
        ("heartbeat:count=0", "takes count=N"),
    ],
)
def test_data_that_is_not_there_is_named(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(spec)


def damaged(path: Path, kind: str) -> str:
    if kind == "cut":
        path.write_bytes(b"\x1f\x8b\x08\x00 nothing")
        return "cifar-10-python"
    if kind == "empty":
        with tarfile.open(path, "w:gz") as archive:
            add(archive, "cifar/readme.html", b"")
        return "holds no batches"
    batch: dict[str, Any] = {"code": {b"data": Path("/")}, "shape": {b"data": np.zeros((2, 5), np.uint8)}}
    with tarfile.open(path, "w:gz") as archive:
        add(archive, "data_batch_1", pickle.dumps(batch[kind], protocol=2))
    return "has no place in CIFAR-10" if kind == "code" else "rows of 3072"


@pytest.mark.parametrize("kind", ["cut", "empty", "code", "shape"])
def test_damaged_archives_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    message = damaged(path, kind)
    with pytest.raises(UnreadableImageError, match=message):
        open_data(f"cifar10:{path}")


def test_damaged_files_and_wrong_sizes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "data_batch_1.bin").write_bytes(b"abc")
    with pytest.raises(UnreadableImageError, match="3 bytes"):
        open_data(f"cifar10:{tmp_path / 'bin'}")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pixels(2, 1, 28))[:-1])
    with pytest.raises(UnreadableImageError, match="cut short"):
        open_data(f"mnist:{tmp_path}")
    save(pixels(1, 3, 33)[0], tmp_path / "odd" / "a.png")
    save(pixels(1, 3, 33)[0], tmp_path / "odd" / "test.png")
    with pytest.raises(UsageError, match="33x33; these images are 32x32"):
        open_data(f"cifar10:{tmp_path / 'odd'}")
    with pytest.raises(UsageError, match="no mosaic of 32x32"):
        open_data(f"cifar10:{tmp_path / 'odd'}", "test")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(UnreadableImageError, match=r"a\.png"):
        open_data(str(tmp_path / "broken"), "test")
    with pytest.raises(UsageError, match="split"):
        open_data("deadleaves", "all")


def test_digits_have_their_classes_and_are_split_once() -> None:
    parts = [open_data("digits", split) for split in ("train", "validation", "test")]
    assert [len(part.images) for part in parts] == [1293, 144, 360]
    for part in parts:
        assert part.images.shape[1:] == (1, 8, 8)
        assert part.labels is not None
        assert part.labels.shape == (len(part.images),)
        assert set(part.labels.tolist()) == set(range(10))
    levels = sorted({int(value) for part in parts for value in part.images.ravel()})
    assert levels == list(range(0, 241, 15))
    # A 0 has a hole where a 1 has none.
    images = parts[0].images[:, 0, 3:5, 3:5].mean((1, 2))
    assert images[parts[0].labels == 0].mean() + 60 < images[parts[0].labels == 1].mean()
