"""A target has one form, whatever objects it is made of."""

from __future__ import annotations

import pytest

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.messages import UNPROTECTED, Protection
from shieldwall.contract.target import ORDER_TO_LEAVE, read_target, target_digest, write_target

RULES = {ConflictFamily.ANTIVIRUS: ConflictRule.PRIORITY}


@pytest.mark.parametrize("rules", [{}, RULES])
@pytest.mark.parametrize("offboard", [False, True])
@pytest.mark.parametrize("protection", [UNPROTECTED, Protection(), Protection(tamper=True)])
def test_what_is_written_is_what_is_read_and_has_one_name(
    rules: dict[ConflictFamily, ConflictRule], offboard: bool, protection: Protection
) -> None:
    body = write_target((), rules, protection, offboard=offboard)
    target = read_target(body)

    assert (target.conflict_rules, target.protection, target.offboard) == (rules, protection, offboard)
    assert write_target(target.items, target.conflict_rules, target.protection, offboard=target.offboard) == body


def test_an_equal_protection_makes_the_same_target() -> None:
    assert write_target((), RULES, Protection()) == write_target((), RULES, UNPROTECTED)
    assert target_digest((), {}, Protection(), offboard=True) == ORDER_TO_LEAVE


@pytest.mark.parametrize("code", [1, EnrollmentCode.MANAGED])
def test_a_managed_device_has_the_target_it_always_had(code: int) -> None:
    assert write_target((), enrollment=code) == b"[]"
    assert b"enrollment" not in write_target((), RULES, enrollment=code)


@pytest.mark.parametrize("code", [0, 8, EnrollmentCode.TWO_MANAGERS, 255])
def test_whoever_is_not_managed_has_a_target_that_says_why(code: int) -> None:
    body = write_target((), enrollment=code)

    assert read_target(body).enrollment == code
    assert target_digest((), enrollment=code) not in {target_digest(()), target_digest((), enrollment=2)}
