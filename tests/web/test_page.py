"""The page in a real browser: what it shows is what Python decodes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import densezip
import numpy as np
import numpy.typing as npt
import pytest
from browser import CHROMIUM, Browser
from densezip.web.server import Server, Shown
from dzfiles import GOLDEN_FILES, animation, drawing, samples_of
from PIL import Image
from samples import file_of

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

SETTLED = "['shown', 'error', 'empty', 'list'].includes(document.body.dataset.state)"
STATE = "document.body.dataset.state"
CANVAS = """(() => {
    const canvas = document.getElementById("canvas");
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.width, canvas.height, btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""))];
})()"""
RGB = next(path for path in GOLDEN_FILES if path.name == "rgb-e1.dz")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@contextlib.contextmanager
def serving(paths: Sequence[Path]) -> Iterator[Server]:
    with Server([Shown(path.name, path) for path in paths]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def show(browser: Browser, server: Server, number: int | None = None) -> None:
    """The page with a file open, if it can be."""
    browser.open("about:blank")
    browser.open(server.address + ("" if number is None else f"#{number}"))
    browser.wait(f"document.readyState == 'complete' && {SETTLED}")


def test_every_golden_file_is_shown_with_the_same_samples(browser: Browser) -> None:
    with serving(GOLDEN_FILES) as server:
        show(browser, server)
        for number, path in enumerate(GOLDEN_FILES, 1):
            browser.click(f"#list li:nth-child({number}) button")
            browser.wait(SETTLED)
            assert browser.value("document.getElementById('title').textContent") == path.name
            if densezip.info(path).payload == "chained":
                assert browser.value(STATE) == "error", path
                assert "needs torch" in browser.value("document.getElementById('error-text').textContent")
                continue
            assert browser.value(STATE) == "shown", (path, browser.value("document.body.innerText"))
            found = browser.value("document.getElementById('sha256').textContent")
            assert found == hashlib.sha256(samples_of(path.read_bytes())).hexdigest(), path


def test_the_canvas_has_the_pixels(browser: Browser, tmp_path: Path) -> None:
    turned = tmp_path / "turned.dz"
    exif = Image.Exif()
    exif[0x112] = 6
    turned.write_bytes(densezip.compress(file_of(drawing(), "PNG", exif=exif)))
    with serving([RGB, turned]) as server:
        for number, path in enumerate([RGB, turned]):
            show(browser, server, number)
            width, height, data = browser.value(CANVAS)
            shown = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
            picture = densezip.decompress(path)
            assert isinstance(picture, Image.Image)
            wanted = np.asarray(picture.convert("RGB"))
            if path == turned:
                wanted = np.rot90(wanted, 3)
            np.testing.assert_array_equal(shown[:, :, :3], wanted)
            assert (shown[:, :, 3] == 255).all()


def test_a_preview_is_looked_at_first(browser: Browser) -> None:
    golden = RGB.with_name("tiny-preview.dz")
    with serving([golden, RGB]) as server:
        for number, path in enumerate([golden, RGB]):
            show(browser, server, number)
            image = "document.getElementById('preview')"
            small = densezip.preview(path)
            if small is None:
                assert browser.value(f"{image}.hidden && !{image}.src")
                continue
            browser.wait(f"{image}.naturalWidth > 0")
            assert browser.value(f"[{image}.naturalWidth, {image}.naturalHeight]") == [*small.size]
            assert not browser.value(f"{image}.hidden")
            assert f"Preview\n{densezip.info(path).preview} bytes" in browser.value("document.body.innerText")


def planes_of(kind: str) -> Any:
    """Three planes with numbers of two signs, one above all others, and what is no number."""
    y, x = np.mgrid[:20, :24]
    planes = np.stack([np.sin(x / 5 + y / 9 + phase) for phase in range(3)]).astype(np.float32)
    planes[1, 4, 5:8] = np.nan, np.inf, -np.inf
    planes[0, 0, 0] = 4
    return planes if kind == "planes" else planes.transpose(1, 2, 0).copy()


def shown_of(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """From the least that is finite, black, to the greatest, white."""
    finite = numbers[np.isfinite(numbers)].astype(np.float64)
    scaled = (np.nan_to_num(numbers.astype(np.float64), posinf=np.inf, neginf=-np.inf, nan=-np.inf) - finite.min()) * (
        255 / np.ptp(finite)
    )
    rounded: npt.NDArray[np.int64] = np.rint(scaled.clip(0, 255)).astype(np.int64)
    return rounded


@pytest.mark.parametrize("kind", ["planes", "colours"])
def test_an_array_is_shown_plane_by_plane(browser: Browser, tmp_path: Path, kind: str) -> None:
    array = planes_of(kind)
    file = tmp_path / "array.npy.dz"
    file.write_bytes(densezip.compress(array, effort=1))
    wanted = shown_of(array)
    if kind == "planes":
        grey = np.zeros((40, 48), np.int64)  # two beside one another, then the third
        grey[:20, :24], grey[:20, 24:], grey[20:, :24] = wanted
        wanted = np.stack([grey] * 3, -1)
    with serving([file]) as server:
        show(browser, server)
        width, height, data = browser.value(CANVAS)
        shown = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
        assert (shown[:, :, 3] == 255).all()
        assert shown[:, :, :3].shape == wanted.shape
        assert abs(shown[:, :, :3].astype(np.int64) - wanted).max() <= 1
        text = browser.value("document.getElementById('details').innerText")
        for words in (
            "float32",
            " × ".join(map(str, array.shape)),
            "to 4",
            hashlib.sha256(array.tobytes()).hexdigest(),
        ):
            assert words in text, (words, text)
        assert "arRy" not in text
        with Image.open(BytesIO(saved(browser))) as image:
            assert image.mode == ("L" if kind == "planes" else "RGB")
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), shown[:, :, :3])
            assert not image.info
        browser.click("#heat")
        browser.wait("document.getElementById('heat').getAttribute('aria-pressed') == 'true'")
        assert browser.value(CANVAS)[:2] == [width, height]


def test_the_heat_map_tells_where_the_bits_went(browser: Browser) -> None:
    with serving([RGB]) as server:
        show(browser, server)
        browser.click("#heat")
        browser.wait("document.getElementById('heat').getAttribute('aria-pressed') == 'true'")
        text = browser.value("document.getElementById('rates').innerText")
        each = densezip.heatmap(RGB, by_channel=True).mean(axis=(0, 1))
        for name, bits in zip(("red", "green", "blue"), each, strict=True):
            assert f"{name} {bits:.2f}" in text
        assert browser.value("document.querySelectorAll('#rates path').length") == 3
        first = browser.value(CANVAS)[2]
        browser.value("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'h', bubbles: true}))")
        browser.wait("document.getElementById('heat').getAttribute('aria-pressed') == 'false'")
        assert browser.value(CANVAS)[2] != first


def saved(browser: Browser) -> bytes:
    """The file that the page saves."""
    browser.value("""(() => {
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => {
            blob.arrayBuffer().then((data) => (window.saved = Array.from(new Uint8Array(data))));
            return make(blob);
        };
    })()""")
    browser.click("#save")
    return bytes(browser.wait("window.saved"))


def test_a_png_file_of_the_same_pixels_is_saved(browser: Browser) -> None:
    with serving([RGB]) as server:
        show(browser, server)
        with Image.open(BytesIO(saved(browser))) as image:
            assert image.mode == "RGB"
            assert image.tobytes() == densezip.decompress(RGB).tobytes()


def test_files_are_listed_and_opened_and_failures_are_told(browser: Browser, tmp_path: Path) -> None:
    hurt = tmp_path / "hurt.dz"
    hurt.write_bytes(RGB.read_bytes()[:-1] + b"\0")
    kept = tmp_path / "kept.gif.dz"
    kept.write_bytes(densezip.compress(animation()))
    with serving([RGB, hurt, kept]) as server:
        show(browser, server)
        assert browser.value(STATE) == "list"
        assert browser.value("document.querySelectorAll('#list .name').length") == 3
        browser.click("#list li:nth-child(2) button")
        browser.wait(f"{STATE} == 'error'")
        assert "damaged" in browser.value("document.getElementById('error-text').textContent")
        browser.click("#home")
        browser.wait(f"{STATE} == 'list'")
        browser.click("#list li:nth-child(3) button")
        browser.wait(f"{STATE} == 'shown'")
        assert "kept whole" in browser.value("document.getElementById('details').innerText")
        assert browser.value("document.getElementById('canvas').width") == drawing().width
        assert browser.value("document.getElementById('save').textContent") == "Save .gif"


def test_a_dropped_file_is_opened_and_work_can_be_cancelled(browser: Browser) -> None:
    with serving([]) as server:
        show(browser, server)
        assert browser.value(STATE) == "empty"
        data = json.dumps(list(RGB.read_bytes()))
        drop = """(data) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(data)], "mine.png.dz"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
            return document.body.dataset.state;
        }"""
        assert browser.value(f"({drop})({data})") == "busy"
        browser.click("#cancel")
        assert browser.value(STATE) == "empty"
        browser.value(f"({drop})({data})")
        browser.wait(f"{STATE} == 'shown'")
        assert browser.value("document.getElementById('title').textContent") == "mine.png.dz"
