"""Whatever is done with --rm, in whatever order, every picture is still in some file."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from command_line import pixels, run
from densezip import DensezipError, export
from PIL import Image

STEMS = ("p", "P", "q")
EXTENSIONS = ("png", "bmp", "tif")
# Without --rm, -f may overwrite what a user says that it may. With it, nothing is taken away that is not elsewhere.
COMPRESS = (
    ("--rm",),
    ("-f", "--rm"),
    ("--rm", "--skip-existing"),
    ("--rm", "-r"),
    ("-f", "--rm", "-r", "-T", "3"),
    ("-e", "1"),
    (),
)
DECOMPRESS = (("--rm",), ("-f", "--rm"), ("--rm", "-r"), ("-f", "--rm", "-r"), ("--rm", "--skip-existing"), ())


def found(folder: Path, scratch: Path) -> set[bytes]:
    """The samples of every picture that can be had from the files below a folder."""
    every = set()
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        data = path.read_bytes()
        with contextlib.suppress(DensezipError):  # of what is no .dz file
            data = export(data).data
        scratch.write_bytes(data)
        every.add(pixels(scratch)[2])
    return every


@pytest.mark.parametrize("seed", range(12))
def test_no_sequence_of_commands_with_rm_loses_a_picture(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    folder, other, scratch = tmp_path / "album", tmp_path / "other", tmp_path / "scratch"
    folder.mkdir()
    wanted: set[bytes] = set()
    for _ in range(10):
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path != scratch)
        packed = [path for path in files if path.suffix == ".dz"]
        plain = [path for path in files if path.suffix != ".dz"]
        step = rng.integers(0, 5)
        where = [] if rng.random() < 0.6 else ["--output-dir", other]
        if step == 0 or not files:
            # A new picture where there is room, often under the name of an older one that is packed now.
            target = folder / f"{rng.choice(STEMS)}.{rng.choice(EXTENSIONS)}"
            if not target.exists():
                samples = rng.integers(0, 4, (5, 6, 3), dtype=np.uint8)
                Image.fromarray(samples).save(target)
                wanted.add(samples.tobytes())
        elif step in (1, 2) and plain:
            options = list(COMPRESS[rng.integers(len(COMPRESS))])
            some = [plain[index] for index in rng.permutation(len(plain))[: rng.integers(1, 4)]]
            run("compress", "-q", *options, *where, *([folder] if "-r" in options else some))
        elif step == 3 and packed:
            options = list(DECOMPRESS[rng.integers(len(DECOMPRESS))])
            some = [packed[index] for index in rng.permutation(len(packed))[: rng.integers(1, 4)]]
            run("decompress", "-q", *options, *where, *([folder] if "-r" in options else some))
        elif packed:
            # A user who gives a file another name, as older versions did.
            path = packed[rng.integers(len(packed))]
            target = path.with_name(f"{rng.choice(STEMS)}.dz")
            if not target.exists():
                path.rename(target)
        assert wanted <= found(tmp_path, scratch), f"step {step} lost a picture"
        scratch.unlink(missing_ok=True)
    assert wanted
