"""The command line: parses, prints and calls; the work itself is the public API's.

The entry point is `densezip.cli.main:main`. Nothing in this package imports numpy, Pillow or torch when it is
imported, so that `densezip --version` and `densezip info` answer at once.
"""

__all__: list[str] = []
