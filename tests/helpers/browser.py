"""A page in headless Chromium, asked by the DevTools protocol over pipes: for the tests of the page in `web`.

Source: Chrome DevTools Protocol; `--remote-debugging-pipe` reads at descriptor 3, writes at 4, ends messages with a 0.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["CHROMIUM", "Browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
)
SECONDS = 120


class Browser:
    """One page.

    Args:
        profile: a folder for the browser's own files.
        dark: whether the page is told that the person likes it dark.
        size: width and height of the window, in pixels.
    """

    def __init__(self, profile: Path, *, dark: bool = False, size: tuple[int, int] = (1280, 800)) -> None:
        assert CHROMIUM is not None
        down, to_browser = os.pipe()
        from_browser, up = os.pipe()
        self._out, self._in, self._rest, self._number = to_browser, from_browser, b"", 0
        options = [
            *OPTIONS,
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            f"--window-size={size[0]},{size[1]}",
        ]
        # Numbers above those two, so that neither is overwritten before it is copied.
        command = f'exec "$@" 3<&{down} 4>&{up}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", CHROMIUM, *options, "about:blank"],
            pass_fds=(down, up),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down)
        os.close(up)
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        if dark:
            self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self._call(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._out)
        self._process.kill()
        self._process.wait()
        os.close(self._in)

    def _message(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self._in, 1 << 20) if ready else b""
            assert part, "the browser says nothing"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            answer = self._message(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, on the page; promises are waited for."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first value of an expression that is true, as JavaScript sees it."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if found := self.value(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"not before {SECONDS} s: {expression}\n{self.value('document.body.innerText')}")

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def screenshot(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
