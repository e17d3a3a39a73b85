"""The site builds without a warning, and every block of code on its pages runs as it stands."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import densezip
import numpy as np
import pytest
from jpegs import jpeg
from PIL import Image

for library in ("torch", "fsspec"):
    pytest.importorskip(library)

ROOT = Path(densezip.__file__).parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIRECTIVES = {"{include}", "{toctree}", "{eval-rst}"}


def blocks(page: str) -> Iterator[tuple[str, str]]:
    for language, code in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language not in DIRECTIVES:
            yield language, code


def picture(seed: int) -> Image.Image:
    y, x = np.mgrid[0:80, 0:96]
    noise = np.random.default_rng(seed).integers(0, 9, (80, 96, 3))
    return Image.fromarray((np.stack([x + y, 2 * x, 120 - y], axis=-1) + noise).astype(np.uint8))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages speak of: `photo.png`, an `album` with more, `jpegs`."""
    (tmp_path / "album" / "beach").mkdir(parents=True)
    (tmp_path / "jpegs").mkdir()
    for seed, name in enumerate(["photo.png", "album/photo.png", "album/beach/sunset.png"]):
        picture(seed).save(tmp_path / name)
    (tmp_path / "jpegs" / "one.jpg").write_bytes(jpeg(height=64, width=80))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENSEZIP", str(ROOT))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))])
def test_every_block_of_a_page_runs_in_order(page: str, desk: Path) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page, "exec"), names)
        else:
            assert language == "sh", f"{page}: blocks are python or sh, not {language!r}"
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True, timeout=240)


def test_the_thirty_lines_of_the_codec_are_thirty() -> None:
    first = next(code for language, code in blocks("tutorial/codec.md") if language == "python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 30


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        DOCS,
        tmp_path / "site",
    ]
    found = subprocess.run([*command, "-d", tmp_path / "cache"], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    pages = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.html")}
    assert {page.removesuffix(".md") + ".html" for page in PAGES} <= pages
    site = "".join((tmp_path / "site" / page).read_text(encoding="utf-8") for page in pages)
    assert not re.findall(r"""(?:src=|<link[^>]+href=)["'](?:https?:)?//""", site), "a page would fetch something"
    assert "densezip.compress" in site
