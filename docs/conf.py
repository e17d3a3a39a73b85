"""The site, for Sphinx: `sphinx-build -W docs site` makes it, from this repository alone and without a network."""

from __future__ import annotations

import os.path
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "densezip"
author = "the founders of densezip"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "densezip"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page that is taken in begins where it begins

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "codec/FORMAT.md": "format.md",
    "codec/README.md": "coding-core.md",
    "codec/REMAINDERS.md": "remainders.md",
    "models/README.md": "weigh.md",
    "plugins/README.md": "libraries.md",
}
"""Files that stay beside the code that they speak of, and the pages that take them in. Links lead to the page."""

LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def relink(text: str, file: str, page: str) -> str:
    """Turns links between files of the repository into links between pages; what is no page is left as text.

    Args:
        text: Markdown.
        file: where it is in the repository.
        page: the page that it becomes a part of, in this folder.
    """

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found.groups()
        if ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        name = PAGES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if name is None and (ROOT / path).exists():
            return str(words)
        # What leads nowhere is left to Sphinx, which says so.
        return f"[{words}]({os.path.relpath(name or path, posixpath.dirname(page) or '.')}{anchor or ''})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""

    def read(app: Sphinx, page: str, content: list[str]) -> None:
        content[0] = relink(content[0], f"docs/{page}.md", f"{page}.md")

    def include(app: Sphinx, path: Path, page: str, content: list[str]) -> None:
        file = (Path(app.srcdir) / path).resolve().relative_to(ROOT.resolve()).as_posix()
        content[0] = relink(content[0], file, f"{page}.md")

    app.connect("source-read", read)
    app.connect("include-read", include)
