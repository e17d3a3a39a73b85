"""`densezip desktop-install`: what a freedesktop desktop has to know to show .dz files as pictures."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from .. import OutputError
from ..codec.file.container import MAGIC
from .console import Console, shown
from .sources import DENSEZIP_SUFFIX, Source
from .targets import Targets

__all__ = ["desktop_install", "entries"]

MIME = "image/x-densezip"
SYSTEM = "/usr/local/share"
UPDATE = "update-mime-database"

THUMBNAILER = """\
# Written by densezip desktop-install.
[Thumbnailer Entry]
TryExec={program}
Exec={command} thumbnail --size %s -- %i %o
MimeType={mime};
"""
# A file that is called so without being one, such as a dictionary of dictd, is told apart by its first bytes.
MIME_TYPE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Written by densezip desktop-install. -->
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{mime}">
    <comment>densezip image</comment>
    <magic priority="60">
      <match type="string" offset="0" value="{magic}"/>
    </magic>
    <glob pattern="*{suffix}"/>
  </mime-type>
</mime-info>
"""
SIGNED = "Written by densezip desktop-install."


def entries() -> dict[str, str]:
    """The files, by their names below a folder of shared data."""
    # A thumbnailer is started by the session, which knows nothing of an environment that a shell has activated.
    command = f"{shlex.quote(sys.executable)} -m densezip".replace("\\", "\\\\").replace("%", "%%")
    magic = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in MAGIC)
    return {
        "thumbnailers/densezip.thumbnailer": THUMBNAILER.format(program=sys.executable, command=command, mime=MIME),
        "mime/packages/densezip.xml": MIME_TYPE.format(mime=MIME, magic=magic, suffix=DENSEZIP_SUFFIX),
    }


@click.command(
    "desktop-install",
    epilog="""\b
Examples:
  densezip desktop-install
  densezip desktop-install --remove
  sudo densezip desktop-install --system
""",
)
@click.option(
    "--user/--system",
    default=True,
    help=f"For this user, below XDG_DATA_HOME or ~/.local/share (the default), or for all, below {SYSTEM}.",
)
@click.option("--remove", is_flag=True, help="Take the files away again.")
def desktop_install(*, user: bool, remove: bool) -> None:
    """Let file managers show .dz files as pictures: Nautilus, Thunar, Nemo, Caja and others.

    Writes a thumbnailer and a MIME type, and has the desktop's list of types made again. File managers that keep
    thumbnailers in a sandbox, as Nautilus does, find densezip only if it is installed below /usr.
    """
    console = Console()
    home = os.environ.get("XDG_DATA_HOME", "")
    # A relative path is to be ignored: XDG base directory specification.
    personal = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    root = personal if user else Path(SYSTEM)
    for name, content in entries().items():
        path = root / name
        if not remove:
            _write(path, content)
            console.status(f"wrote {shown(path)}")
        elif _is_ours(path):
            path.unlink()
            console.status(f"removed {shown(path)}")
        else:
            console.status(f"there is no {shown(path)} of densezip's")
    _update(root / "mime", console)


def _is_ours(path: Path) -> bool:
    try:
        return SIGNED in path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OutputError(f"cannot read {shown(path)}: {error.strerror or error}") from error


def _write(path: Path, content: str) -> None:
    if os.path.lexists(path) and not _is_ours(path):
        raise OutputError(f"{shown(path)} exists, and is not densezip's: remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {shown(path.parent)}: {error.strerror or error}") from error
    targets = Targets(os.fspath(path), None, force=True)
    try:
        targets.write(targets.claim(Source(None, Path(path.name)), path.name), content.encode(), None)
    finally:
        targets.partials.close()


def _update(folder: Path, console: Console) -> None:
    """Has the list of types made again; without that, types by suffix and content are found at the next one."""
    program = shutil.which(UPDATE)
    if program is None:
        console.status(f"{UPDATE} is missing: run it on {shown(folder)} where it is installed")
    elif (folder / "packages").is_dir():
        done = subprocess.run([program, os.fspath(folder)], capture_output=True, check=False)
        if done.returncode:
            raise OutputError(f"{UPDATE} {shown(folder)} ended with code {done.returncode}")
