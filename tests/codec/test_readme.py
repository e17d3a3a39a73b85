"""Every example of the READMEs of codec and models runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import densezip.codec
import densezip.models
import pytest

README, OTHER = (Path(str(room.__file__)).with_name("README.md") for room in (densezip.codec, densezip.models))


@pytest.mark.parametrize("readme", [README, OTHER])
def test_the_examples_run_in_order(readme: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 4
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(readme), "exec"), names)


def test_the_vae_takes_fewer_than_thirty_lines() -> None:
    vae = README.read_text(encoding="utf-8").split("## Bits-back")[1]
    found = re.search(r"```python\n(.*?)\nfrom densezip.codec import Calibration", vae, re.DOTALL)
    assert found is not None
    assert len([line for line in found.group(1).splitlines() if line.strip()]) < 30
