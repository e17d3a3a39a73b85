"""`densezip --version`: the first line for programs, the others for who reads a report of a fault."""

from __future__ import annotations

import click

from .. import DensezipError, __version__
from ..codec.file.container import FORMAT_VERSION, OLDEST_VERSION

__all__ = ["version_option"]

LIBRARIES = ("numpy", "pillow", "imagecodecs", "safetensors", "click", "torch")


def version_option(command: click.Command) -> click.Command:
    """Adds -V and --version to a command."""
    option = click.Option(
        ["-V", "--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print,
        help="Show the version, and what a report of a fault should say of this installation, and exit.",
    )
    command.params.insert(0, option)
    return command


def _print(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"densezip {__version__}\n" + "\n".join(_facts()))
        ctx.exit()


def _facts() -> list[str]:
    """What differs from one installation to another; none of the libraries is imported for it."""
    import platform

    from ..codec.native import LEVELS, level

    try:
        core = {number: name for name, number in LEVELS.items()}.get(level(), "for any processor")
    except DensezipError as error:
        core = str(error)
    return [
        f"files: versions {OLDEST_VERSION} to {FORMAT_VERSION} are read, up to {FORMAT_VERSION} written",
        f"core: {core}",
        f"system: {platform.python_implementation()} {platform.python_version()}, {platform.platform()}",
        "libraries: " + ", ".join(f"{name} {_installed(name)}" for name in LIBRARIES),
    ]


def _installed(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
