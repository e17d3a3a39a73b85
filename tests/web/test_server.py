"""The server behind `densezip view`: for this machine, for this page, for these files."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import densezip
import pytest
from command_line import listing, run
from densezip.web import site
from densezip.web.server import Server, Shown
from PIL import Image


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.dz"
    path.write_bytes(densezip.compress(Image.new("L", (9, 7), 5)))
    return path


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    with Server([Shown(file.name, file)]) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(server: Server, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer; `path` is below the secret one unless it begins with a slash."""
    connection = http.client.HTTPConnection(server.host)
    connection.putrequest("GET", path if path.startswith("/") else f"/{server.secret}/{path}", skip_host=True)
    for name, value in {"Host": server.host, **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_every_file_of_the_page_is_served_and_typed(server: Server) -> None:
    for path in site.FILES:
        status, headers, body = ask(server, path)
        assert (status, body) == (200, site.read(path)), path
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, "")[1]["Content-Type"].startswith("text/html")
    assert ask(server, "core.wasm")[1]["Content-Type"] == "application/wasm"


def test_the_given_files_are_served_and_no_others(server: Server, file: Path) -> None:
    (entry,) = json.loads(ask(server, "files.json")[2])
    assert entry == {"name": file.name, "size": file.stat().st_size, "thumbnail": False}
    assert ask(server, "files/0")[2] == file.read_bytes()
    outside = ("files/1", "files/-1", "files/00000000000", "files/", "files/a", "files/../core.wasm", "files/%C2%B2")
    for path in (*outside, "../server.py", "server.py", "page/../server.py", "/etc/passwd", "thumbnails/0"):
        assert ask(server, path)[0] == 404, path
    file.unlink()
    assert ask(server, "files/0")[0] == 404


def test_nobody_gets_in_without_the_secret(server: Server) -> None:
    for path in ("/", "/index.html", f"/{server.secret[:-1]}/", f"/x{server.secret}/", f"/{server.secret}"):
        assert ask(server, path)[0] == 404, path


def test_other_hosts_and_other_sites_are_refused(server: Server) -> None:
    port = server.host.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", ""):
        assert ask(server, "", Host=host)[0] == 421, host
    assert ask(server, "", Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(server, "", Sec_Fetch_Site="same-origin")[0] == 200
    assert server.server_address[0] == "127.0.0.1"


def test_view_says_where_and_ends_with_ctrl_c(file: Path) -> None:
    command = [sys.executable, "-m", "densezip", "view", "--no-browser", str(file.parent)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    host, _, secret = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/{secret}files.json")
    assert json.loads(connection.getresponse().read())[0]["name"] == file.name
    connection.close()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_what_is_not_there_cannot_be_viewed(tmp_path: Path) -> None:
    assert run("view", "--no-browser", tmp_path / "none.dz").exit_code == densezip.InputError.exit_code
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("view", "--no-browser", empty)
    assert result.exit_code == densezip.InputError.exit_code
    assert "no .dz files" in result.stderr
    assert run("view", "-").exit_code == densezip.UsageError.exit_code


def test_the_page_is_written_for_a_web_server(tmp_path: Path) -> None:
    result = run("view", "--export", tmp_path / "public")
    assert result.exit_code == 0
    written = [path for path in listing(tmp_path / "public") if (tmp_path / "public" / path).is_file()]
    assert written == sorted([*site.FILES, "files.json"])
    assert json.loads((tmp_path / "public" / "files.json").read_text()) == []
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run("view", "--export", blocked / "public").exit_code == densezip.OutputError.exit_code
    assert run("view", "--export", tmp_path, "a.dz").exit_code == densezip.UsageError.exit_code


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.dz"
    os.mkfifo(pipe)
    assert run("view", "--no-browser", pipe).exit_code == densezip.InputError.exit_code
