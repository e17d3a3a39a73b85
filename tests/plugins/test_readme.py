"""Every example of the plugins' README runs as it stands."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import densezip
import pytest

for library in ("torch", "fsspec", "imageio", "zarr", "numcodecs", "pydicom"):
    pytest.importorskip(library)

README = Path(densezip.__file__).parent / "plugins" / "README.md"
EXAMPLES = re.findall(r"## ([^\n]*)\n(?:(?!## ).)*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_there_is_an_example_for_each_library() -> None:
    assert len(EXAMPLES) == 7


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_runs(name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in re.findall(r"^(?:from|import) (cv2|skimage)", example, re.MULTILINE):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, name, "exec"), {"__name__": "example"})


def test_workers_that_are_spawned_read_files_too(tmp_path: Path) -> None:
    example = dict(EXAMPLES)["torch"]
    head, begin, tail = example.partition('Path("photographs")')
    spawned = (begin + tail).replace('"fork"', '"spawn"')
    assert begin
    assert spawned != begin + tail
    script = tmp_path / "example.py"
    script.write_text(f'{head}if __name__ == "__main__":\n{textwrap.indent(spawned, "    ")}    print("read")\n')
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "read\n"
