"""Bounded runs of the fuzzers; `tests/helpers/fuzz.py` and `fuzz_jpeg.py` make longer ones."""

from fuzz import fuzz
from fuzz_jpeg import fuzz_jpeg, truncate


def test_of_mutated_files_comes_nothing_but_named_errors() -> None:
    outcomes, wrong = fuzz(4000, seed=20)
    assert not wrong, wrong[0]
    assert sum(outcomes.values()) == 4000
    assert len(outcomes) > 5  # they get past the first check
    assert outcomes["no error"] > 40


def test_jpeg_files_that_are_cut_short_come_back() -> None:
    outcomes, wrong = truncate(step=17)
    assert not wrong, wrong[0]
    assert outcomes["file"] > 100
    assert outcomes["jpeg"] > 10  # what was cut off is behind a picture


def test_mutated_jpeg_files_come_back_and_of_mutated_dz_files_come_errors_with_names() -> None:
    coded, decoded, wrong = fuzz_jpeg(400, seed=5)
    assert not wrong, wrong[0]
    assert sum(coded.values()) == sum(decoded.values()) == 400
    assert coded["jpeg"] > 40
    assert len(decoded) > 3
