"""The layout: what imports what, and where things may lie."""

from __future__ import annotations

import ast
from pathlib import Path

import densezip
import pytest

ROOT = Path(densezip.__file__).parent
FOLDERS = ("cli", "codec", "models", "plugins", "shards", "web")
# What each room may import, besides itself; a longer name goes before the room that it lies in.
ALLOWED = {
    "cli": ("", "models", "codec", "shards", "web"),
    "web": ("models", "codec"),
    "shards": ("",),
    "plugins": ("", "codec"),
    "pillow": ("plugins",),
    "": ("contents", "models", "codec"),
    "contents": ("models", "codec"),
    "models.photo": ("models.alphabets", "codec"),
    "models.rendered": ("models.indexed", "models.alphabets", "codec"),
    "models.autoregressive": ("models.shapes", "codec"),
    "models.latent": ("models.shapes", "models.likelihoods", "codec"),
    "models.flows": ("models.shapes", "codec"),
    "models.denoising": ("codec",),
    "models.ade": ("models.flows", "models.latent", "models.likelihoods", "codec"),
    "models.training": ("models.registry", "models.checkpoint", "models.shipped", "models.shapes", "codec"),
    "models": (
        "models.photo",
        "models.rendered",
        "models.autoregressive",
        "models.denoising",
        "models.latent",
        "models.flows",
        "codec",
    ),
    "codec.file": ("codec.entropy", "codec.images", "codec.errors", "codec.fields"),
    "codec.entropy": ("codec.errors", "codec.fields", "codec.native"),
    "codec.images": ("codec.errors", "codec.fields", "codec.native"),
}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below `densezip`; the package itself is ""."""
    paths = [
        ROOT / "__init__.py",
        ROOT / "contents.py",
        ROOT / "pillow.py",
        *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
    ]
    found = {}
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules that one names in an import, wherever it stands: at the top, in a function, for type checkers."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in known else ".".join(base))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.split(".")[0] == "densezip" for name in names), f"{path}: an absolute import"
    return found - {name}


def graph() -> dict[str, set[str]]:
    """What each module imports."""
    known = modules()
    return {name: imports(name, path, set(known)) for name, path in known.items()}


def circle(edges: dict[str, set[str]]) -> list[str] | None:
    """A way from a module back to itself, if there is one."""
    done: set[str] = set()

    def walk(way: list[str]) -> list[str] | None:
        for target in sorted(edges[way[-1]]):
            if target in way:
                return [*way[way.index(target) :], target]
            if target not in done:
                found = walk([*way, target])
                if found:
                    return found
        done.add(way[-1])
        return None

    for name in edges:
        if name not in done:
            found = walk([name])
            if found:
                return found
    return None


def room(name: str) -> str:
    """The longest entry of `ALLOWED` that a module lies in, or the folder where it lies outside of them all."""
    inside = [key for key in ALLOWED if key and (name == key or name.startswith(key + "."))]
    if inside:
        return max(inside, key=len)
    return "" if name == "" else name.split(".", maxsplit=1)[0]


def test_every_import_is_found() -> None:
    edges = graph()
    assert len(edges) > 60
    assert "codec.fields" in edges["codec.file.container"]
    assert "models.photo" in edges["models.coders"]  # in a function


def test_no_module_imports_itself_in_a_circle() -> None:
    way = circle(graph())
    assert way is None, " -> ".join(way or [])


def test_a_circle_is_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_arrows_between_rooms_never_run_back() -> None:
    wrong = []
    for name, targets in graph().items():
        here = room(name)
        if here == "codec":  # names of all rooms are offered by the package, errors and fields lie on the ground
            assert name == "codec" or targets <= {"codec.errors", "codec.fields"}, name
            continue
        for target in targets:
            there = room(target)
            allowed = ALLOWED[here]
            if there != here and not any(target == key or (key and target.startswith(key + ".")) for key in allowed):
                wrong.append(f"{name} -> {target}")
    assert not wrong, "\n".join(sorted(wrong))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_room_says_what_lives_in_it(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path
        assert len(text.splitlines()) <= 20, path


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")):
        name = ".".join(("densezip", *path.relative_to(ROOT).parent.parts))
        assert f'"{name}",' in listed, name
