"""Reports: one page that needs nothing else, whose figures are those of the files."""

import base64
import re
import shutil
import subprocess
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import densezip
import numpy as np
import pytest
from command_line import Paint, listing, run
from densezip.cli import comparison
from densezip.cli.comparison import PEERS, compare
from PIL import Image
from samples import MODES, array, file_of, model_only, picture, png16

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What is on a page; every element has to be closed, where it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    def images(self) -> list[Image.Image]:
        sources = [value for tag, name, value in self.attributes if (tag, name) == ("img", "src")]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        return [Image.open(BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


@pytest.fixture
def reported(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page on two images, one of them with a name that is no name."""
    model_only(monkeypatch)
    picture("RGB", 700, 40).save(tmp_path / "tall & <b>.png")
    out = tmp_path / "report.html"
    result = run("report", "-e", "1", paint("drawing.png"), tmp_path / "tall & <b>.png", "-o", out)
    assert result.exit_code == 0
    return out


def test_a_quiet_report_says_errors_only(paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_only(monkeypatch)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    picture = paint("drawing.png")
    for number, (files, code) in enumerate((((picture,), 0), ((picture, tmp_path / "broken.png"), 6))):
        result = run("report", "-q", "-e", "1", *files, "-o", tmp_path / f"{number}.html")
        assert result.exit_code == code
        assert result.stderr.count("\n") == len(files) - 1
        assert "drawing.png" in (tmp_path / f"{number}.html").read_text()


def test_a_page_is_whole_and_needs_nothing_else(reported: Path) -> None:
    html = reported.read_text()
    page = Page(html)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"https?:|url\(|@import|href=", html)
    assert page.tags.count("section") == 3
    assert "All together" in page.text
    assert "tall & <b>.png" in page.text
    assert "<b>" not in html
    for name in (*PEERS, "densezip (", "source file", "red", "green", "blue", "header and metadata"):
        assert name in page.text


def test_pictures_in_a_page_are_small_and_show_the_image(reported: Path) -> None:
    images = Page(reported.read_text()).images()
    assert len(images) == 4
    assert max(max(image.size) for image in images) <= 480
    assert images[0].size == images[1].size == (13, 7)
    assert images[2].size == images[3].size == (27, 480)
    with Image.open(reported.parent / "drawing.png") as drawing:
        assert images[0].tobytes() == drawing.convert("RGB").tobytes()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_the_page(reported: Path) -> None:
    shot = reported.with_suffix(".png")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1600")
    profile = f"--user-data-dir={reported.parent / 'profile'}"
    command = [str(CHROMIUM), *options, profile, f"--screenshot={shot}", reported.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as image:
        seen = image.convert("RGB")
    assert seen.size == (900, 1600)
    assert len(seen.getcolors(2**24) or []) > 200
    # Our bar, in the colour of the style sheet.
    assert any(pixel in (0xB5406F, 0xE0709A) for pixel in np.asarray(seen, np.uint32).reshape(-1, 3) @ [65536, 256, 1])


@pytest.mark.parametrize("mode", MODES)
def test_every_coder_takes_every_mode_that_it_can(mode: str) -> None:
    found = compare(file_of(picture(mode), "PNG"), "a.png", "a.png", 1, lambda _: None)
    sizes = {name: figure.size for name, figure in found.figures.items()}
    assert list(sizes)[1:] == list(PEERS)
    assert [name for name, size in sizes.items() if size is None] == (["WebP 4"] if mode == "I;16" else [])
    assert sizes[next(iter(sizes))] == found.info.size


def test_colours_of_16_bits_and_files_of_ours_are_compared() -> None:
    data = densezip.compress(png16(array(3, "u2")), effort=1)
    found = compare(data, "a.dz", "a.dz", 1, lambda _: None)
    label, figure = next(iter(found.figures.items()))
    assert (label.split()[0], figure.size, figure.encode) == ("densezip", len(data), None)
    assert found.figures["JPEG XL 7"].size
    assert np.array_equal(found.picture.pixels, array(3, "u2"))


def test_a_coder_that_gives_back_other_pixels_has_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture("RGB")
    other = np.asarray(image) ^ 1
    figure = comparison._timed(np.asarray(image), lambda: b"short", lambda _: other)
    assert figure.size is None


def test_what_is_no_image_is_left_out_and_said(paint: Paint, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    out = tmp_path / "report.html"
    result = run("report", "-e", "1", paint(), tmp_path / "text.png", "-o", out)
    assert result.exit_code == 6
    assert "text.png" in result.stderr
    assert Page(out.read_text()).tags.count("section") == 1
    assert run("report", tmp_path / "text.png", "-o", tmp_path / "none.html").exit_code == 3
    assert "none.html" not in listing(tmp_path)


def test_a_page_replaces_no_file_unless_told_to(paint: Paint, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine")
    assert run("report", "-e", "1", paint(), "-o", out).exit_code == 5
    assert out.read_text() == "mine"
    assert run("report", "-e", "1", "-f", paint(), "-o", out).exit_code == 0
    assert Page(out.read_text()).images()
