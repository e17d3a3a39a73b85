"""A bounded run of the fuzzer; `tests/helpers/fuzz.py` makes longer ones."""

from fuzz import fuzz


def test_of_mutated_files_comes_nothing_but_named_errors() -> None:
    outcomes, wrong = fuzz(4000, seed=20)
    assert not wrong, wrong[0]
    assert sum(outcomes.values()) == 4000
    assert len(outcomes) > 5  # they get past the first check
    assert outcomes["no error"] > 40
