"""The page that shows .dz files in a browser: what it consists of, and the small server behind `densezip view`.

`decoder` (in JavaScript) turns the bytes of a file into samples, by the C core compiled to `core.wasm` and by the
weights of the package: it runs in a worker of the page, and in Node. `page` is what one sees. `site.py` gathers all
files of the page; `tables.py` writes down for it what the Python modules know, so that there is no second list of
anything. Begin with `decoder/decode.js`. Imports models and codec.
"""

from __future__ import annotations

__all__: list[str] = []
