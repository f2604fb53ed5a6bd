"""The published enrollment codes, and what devices meet in their numbers."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated_documentation import error_classes

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode, status_in_words
from shieldwall.contract.enrollment_errors import MAPPED_ERRORS, code_of_error
from shieldwall.server.gateway.problems import STATUS_OF

PUBLISHED: Final = {*range(19), 20, *range(24, 34), 36, 37, 38, *range(40, 45)}


def test_the_codes_are_those_that_are_published() -> None:
    assert {int(code) for code in EnrollmentCode} == PUBLISHED
    assert set(STATUSES) == set(EnrollmentCode)


def test_a_code_stands_in_its_group_of_the_published_table() -> None:
    groups: dict[str, set[int]] = {}
    for code, status in STATUSES.items():
        groups.setdefault(status.published, set()).add(int(code))

    assert groups == {
        "Failed": {0},
        "Enrolled": {1},
        "Never enrolled": {2},
        "Managed by Intune": {3},
        "Managed by Configuration Manager": {4},
        "General error": {5, 6, 7, 9, 11, 12, *range(26, 34)},
        "Not allowed by the tenant": {8, 44},
        "Connectivity": {13, 14, 20, 24, 25},
        "Join failure": {10, 42},
        "Tenant mismatch": {15},
        "Service connection point": {16, 17},
        "Certificate error": {18},
        "Directory synchronisation": {36, 37},
        "DNS": {38, 41},
        "Clock": {40},
        "Two managers at once": {43},
    }


def test_every_code_says_why_and_what_to_do() -> None:
    for code, status in STATUSES.items():
        assert status.cause.endswith("."), code
        assert status.remedy.endswith("."), code


def test_only_errors_that_there_are_have_a_code() -> None:
    there = {kind.code for kind in error_classes()} | set(STATUS_OF)

    assert there >= MAPPED_ERRORS


def test_errors_get_only_codes_that_are_given() -> None:
    assert all(STATUSES[code_of_error(error)].given for error in MAPPED_ERRORS)


@given(error=st.text())
def test_whatever_a_device_meets_has_a_code(error: str) -> None:
    assert code_of_error(error) in STATUSES


def test_a_number_that_nobody_published_is_unknown() -> None:
    assert status_in_words(1) == "Enrolled"
    assert status_in_words(39) == "Unknown"
