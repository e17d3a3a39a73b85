"""Every example of the plugins' README runs as it stands."""

import re
from pathlib import Path

import densezip
import pytest

for library in ("torch", "fsspec", "imageio", "zarr", "numcodecs", "pydicom"):
    pytest.importorskip(library)

README = Path(densezip.__file__).parent / "plugins" / "README.md"
EXAMPLES = re.findall(r"## ([^\n]*)\n(?:(?!## ).)*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_is_an_example_for_each_library() -> None:
    assert len(EXAMPLES) == 6


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_runs(name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, name, "exec"), {"__name__": "example"})
