"""A server for one person on this machine: the page, and the files that were asked for, nothing else.

It listens on the loopback interface only, at a port that the system chooses. All paths begin with a secret; and since a
page of another site could have its own name lead here (DNS rebinding), requests for any other host are refused.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from . import site

__all__ = ["Server", "Shown"]

HOST = "127.0.0.1"
SECRET_BYTES = 16
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Shown(NamedTuple):
    """A file that the page may open: its name there, and where it is."""

    name: str
    path: Path


class Server(ThreadingHTTPServer):
    """The server; `serve_forever` and `shutdown` are those of the standard library.

    Args:
        files: those that the page offers.
        thumbnail: makes a small PNG of a .dz file; raises OSError or ValueError where that is not possible. None for a
            page without small pictures.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, files: Sequence[Shown], thumbnail: Callable[[Path], bytes] | None = None) -> None:
        self.files = tuple(files)
        self.secret = secrets.token_urlsafe(SECRET_BYTES)
        self.thumbnail = thumbnail
        # One at a time: each takes memory and a processor.
        self.at_work = threading.Lock()
        super().__init__((HOST, 0), _Handler)

    @property
    def host(self) -> str:
        """The only host and port that requests may name."""
        return f"{HOST}:{self.server_address[1]}"

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{self.host}/{self.secret}/"

    def listing(self) -> bytes:
        """The list of files for the page."""
        entries = []
        for name, path in self.files:
            size = path.stat().st_size if path.exists() else 0
            entries.append({"name": name, "size": size, "thumbnail": self.thumbnail is not None})
        return json.dumps(entries).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers hang up when they like."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "densezip"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """Answer with one of the page's files, or one of those that it shows."""
        if self.headers.get("Host") != self.server.host:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
            return
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        _, secret, *rest = self.path.partition("?")[0].split("/")
        if not hmac.compare_digest(secret.encode(), self.server.secret.encode()) or not rest:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        path = "/".join(rest) or "index.html"
        try:
            found = self._content(path)
        except OSError:
            found = None
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        kind, data = found
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _content(self, path: str) -> tuple[str, bytes] | None:
        if path in site.FILES:
            return site.TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"), site.read(path)
        if path == "files.json":
            return "application/json", self.server.listing()
        folder, _, number = path.partition("/")
        if not (number.isascii() and number.isdecimal() and len(number) < 10 and int(number) < len(self.server.files)):
            return None
        file = self.server.files[int(number)].path
        if folder == "files":
            return "application/octet-stream", file.read_bytes()
        if folder == "thumbnails" and self.server.thumbnail is not None:
            with self.server.at_work:
                try:
                    return "image/png", self.server.thumbnail(file)
                except (OSError, ValueError):
                    return site.TYPES[".svg"], site.read("icon.svg")
        return None

    def _refuse(self, status: HTTPStatus) -> None:
        # Without a body, and without the connection: what follows on it may be anything.
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class calls it so)
        """Says nothing: the terminal is the user's."""
