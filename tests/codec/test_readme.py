"""Every example of the codec's README runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import densezip.codec

README = Path(densezip.codec.__file__).with_name("README.md")


def test_the_examples_run_in_order() -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 4
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(README), "exec"), names)


def test_the_vae_takes_fewer_than_thirty_lines() -> None:
    vae = README.read_text(encoding="utf-8").split("## Bits-back")[1]
    found = re.search(r"```python\n(.*?)\nfrom densezip.codec import Calibration", vae, re.DOTALL)
    assert found is not None
    assert len([line for line in found.group(1).splitlines() if line.strip()]) < 30
