"""The `densezip` command: what it is called with, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from .. import DensezipError, OutputError
from .batch import BROKEN_PIPE, HANGUP, INTERRUPTED, TERMINATED
from .console import Console
from .output import closed_streams_fail, silence
from .sources import DENSEZIP_SUFFIX
from .version import version_option

__all__ = ["app", "main"]

# Of each command its module and its name there, those for files first. A module is loaded when its command is wanted.
COMMANDS = {
    "compress": ("commands", "compress"),
    "decompress": ("commands", "decompress"),
    "info": ("commands", "info"),
    "test": ("commands", "test"),
    "report": ("reporting", "report"),
    "train": ("train", "train"),
    "eval": ("evaluate", "evaluate"),
    "models": ("evaluate", "models"),
    "sample": ("sample", "sample"),
    "inpaint": ("sample", "inpaint"),
    "denoise": ("sample", "denoise"),
    "batch": ("shards", "batch"),
    "view": ("view", "view"),
    "thumbnail": ("thumbnail", "thumbnail"),
    "desktop-install": ("desktop", "desktop_install"),
}


class App(click.Group):
    """A group that says every error in one line, and knows what `densezip photo.png` was meant to be."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Runs the command line and exits with its code; what click would print of an error is said here instead."""
        console = Console()
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False}) or 0
        except click.UsageError as error:
            console.error(None, _with_help(error))
            code = error.exit_code
        except click.ClickException as error:
            console.error(None, error.format_message())
            code = error.exit_code
        except DensezipError as error:
            console.error(None, error)
            code = error.exit_code
        except click.Abort:
            code = INTERRUPTED
        except OSError as error:
            silence()
            name = "standard output" if error.filename is None else click.format_filename(error.filename)
            console.error(None, f"cannot write {name}: {error.strerror or error}")
            code = OutputError.exit_code
        sys.exit(code)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Ends in the same way as `invoke` when the help or the version finds no reader."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:
            silence()
            sys.exit(BROKEN_PIPE)

    def invoke(self, ctx: click.Context) -> Any:
        """Ends without a word, and with a shell's code for it, when the reader of standard output has gone."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            silence()
            ctx.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            # The terminal has shown ^C, and the prompt belongs on the next line.
            if sys.stderr is not None and sys.stderr.isatty():
                click.echo(err=True)
            ctx.exit(INTERRUPTED)
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those for files first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{module}", __package__), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says what the words were probably meant to be."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(self._guess(ctx, name))
        return super().resolve_command(ctx, args)

    def _guess(self, ctx: click.Context, name: str) -> str:
        shown = click.format_filename(name)
        if os.path.lexists(name) or Path(name).suffix:
            command = "decompress" if name.lower().endswith(DENSEZIP_SUFFIX) else "compress"
            return f"'{shown}' is not a command; did you mean: densezip {command} {shown}"
        import difflib

        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
        return f"no command '{shown}'" + (f"; did you mean: densezip {close[0]}" if close else "")


def _with_help(error: click.UsageError) -> str:
    """The message, and where to read on, in one line."""
    command = error.ctx.command_path if error.ctx is not None else "densezip"
    return f"{error.format_message().rstrip('.')} (see {command} --help)"


@click.group(
    cls=App,
    name="densezip",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
    epilog="""\b
Examples:
  densezip compress photo.png               write photo.png.dz, keep photo.png
  densezip compress -e 9 --rm *.png         smallest; remove each source once
                                            its .dz was decoded and checked
  densezip compress -r album --output-dir packed
  densezip decompress photo.png.dz          write photo.png
  densezip decompress photo.png.dz -o photo.webp
  densezip info photo.png.dz                size, model, metadata
  densezip test -r packed                   decode and check, write nothing
  densezip view photo.png.dz                look at it in a browser
  densezip report photo.png -o report.html  sizes, times, where the bits went
  cat photo.png | densezip compress - > photo.png.dz

\b
Completion of commands, options and files by the tab key:
  eval "$(_DENSEZIP_COMPLETE=bash_source densezip)"     in ~/.bashrc
  eval "$(_DENSEZIP_COMPLETE=zsh_source densezip)"      in ~/.zshrc
  _DENSEZIP_COMPLETE=fish_source densezip | source      in config.fish

\b
Exit codes:
  0    all is well
  1    a fault of densezip; figures of `eval` that do not agree
  2    wrong command line
  3    input missing, unreadable or damaged
  4    larger than --max-pixels, or than the memory allows
  5    output not written
  6    several files, and they did not all end alike: some failed
  7    a file of densezip itself (weights, compiled core) is missing or damaged
  129  ended by a closed terminal (SIGHUP)
  130  ended by Ctrl-C (SIGINT)
  141  ended by a closed pipe: nobody reads standard output any more
  143  ended by a request (SIGTERM)
""",
)
@click.pass_context
def app(ctx: click.Context, /) -> None:
    """Lossless image compression: smaller files, and the same files back.

    `densezip COMMAND --help` has the options of a command, and examples.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(click.UsageError.exit_code)


version_option(app)


def main() -> NoReturn:
    """Runs `densezip` as a program of its own."""
    # numpy comes later, and would start a thread for every processor, which nothing here has work for.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
    if hasattr(signal, "SIGHUP"):
        codes[signal.SIGHUP] = HANGUP

    def end(signum: int, frame: object) -> NoReturn:
        # What is left to do is quick, and goes before a second signal.
        for number in codes:
            signal.signal(number, signal.SIG_IGN)
        if signum == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(codes[signal.Signals(signum)])

    code: Any = INTERRUPTED
    with contextlib.suppress(KeyboardInterrupt):
        # No partial file stays behind; what nohup or a shell's & ignores is still ignored.
        for number in codes:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, end)
        code = _exit_code()
    # What comes now comes too late, and must not interrupt the interpreter's own end, which would say so at length.
    for number in codes:
        signal.signal(number, signal.SIG_IGN)
    if code in (BROKEN_PIPE, HANGUP, INTERRUPTED, TERMINATED):
        # Threads may still be in compiled code, and the interpreter would wait for them at a normal exit.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    # The interpreter would look for garbage in all that there is, a moment before everything ends.
    gc.freeze()
    sys.exit(code)


def _exit_code() -> Any:
    closed_streams_fail()
    if not sys.warnoptions:
        # What libraries think of an input is for programmers, who can ask for it with -W.
        warnings.simplefilter("ignore")
    try:
        app.main(prog_name="densezip")
    except SystemExit as ending:
        return ending.code
