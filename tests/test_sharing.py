"""Files of tests are shared so that one process waits while the others compute."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.sharing import WAITING, is_waiting, next_file

REPOSITORY = Path(__file__).parents[1]
COMPUTES, WAITS = "tests/policy/test_laws.py", "tests/machine/test_booting.py"


@pytest.mark.parametrize("beginning", WAITING)
def test_what_is_said_to_wait_is_there(beginning: str) -> None:
    assert list(REPOSITORY.glob(f"{beginning}*"))


@pytest.mark.parametrize("files", [(COMPUTES, WAITS), (WAITS, COMPUTES)])
def test_one_process_waits_and_the_others_compute(files: tuple[str, ...]) -> None:
    assert next_file(files, somebody_waits=False) == WAITS
    assert next_file(files, somebody_waits=True) == COMPUTES


def test_what_is_left_is_taken_in_its_order_whatever_it_is() -> None:
    assert next_file([COMPUTES, "tests/policy/test_order.py"], somebody_waits=False) == COMPUTES
    assert next_file([WAITS, "tests/life/test_years.py"], somebody_waits=True) == WAITS


def test_a_process_waits_until_all_of_its_tests_that_wait_are_done() -> None:
    assert is_waiting({COMPUTES: {"one": False}, WAITS: {"one": True, "other": False}})
    assert not is_waiting({COMPUTES: {"one": False}, WAITS: {"one": True, "other": True}})
    assert not is_waiting({})
