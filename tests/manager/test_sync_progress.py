"""How far a policy sync is, from what the server holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.server.manager.sync_progress import SHOWN_FOR, SyncProgress, decide
from shieldwall.server.storage.device_records import CheckInState

MINUTE = timedelta(minutes=1)
ADA = (NOON, "person:ada")


def a_check_in(**changes: Any) -> CheckInState:
    known: dict[str, Any] = {
        "device_id": device_id(1),
        "tenant_id": TENANT_ID,
        "epoch": 1,
        "seq": 5,
        "request_digest": None,
        "last_check_in": None,
        "target_digest": None,
        "facts_digest": None,
        "status_digest": None,
        "status_at": None,
        "sync_requested_at": None,
        "protocol": 1,
        "aims_version": 0,
    }
    return CheckInState(**(known | changes))


def steps(found: SyncProgress | None) -> tuple[bool, bool, bool]:
    assert found is not None
    return found.has_checked_in, found.has_fetched, found.has_reported


def test_a_device_that_was_asked_and_has_not_come_is_at_the_first_step() -> None:
    found = decide(
        a_check_in(sync_requested_at=NOON, last_check_in=NOON - MINUTE),
        answered=None,
        asked=ADA,
        is_current=True,
        now=NOON + 5 * MINUTE,
    )

    assert steps(found) == (False, False, False)
    assert found is not None
    assert (found.asked_at, found.asked_by, found.is_over) == (NOON, "person:ada", False)


def test_it_came_fetched_and_reported_one_after_the_other() -> None:
    came = a_check_in(last_check_in=NOON + MINUTE, seq=5)
    later = a_check_in(last_check_in=NOON + MINUTE, seq=6)
    now = NOON + 2 * MINUTE

    assert steps(decide(came, answered=5, asked=ADA, is_current=False, now=now)) == (True, False, False)
    assert steps(decide(later, answered=5, asked=ADA, is_current=False, now=now)) == (True, True, False)
    assert steps(decide(later, answered=5, asked=ADA, is_current=True, now=now)) == (True, True, True)
    assert steps(decide(came, answered=None, asked=ADA, is_current=True, now=now)) == (True, True, True)


def test_a_change_of_policies_that_asked_later_is_told_of_instead() -> None:
    found = decide(
        a_check_in(sync_requested_at=NOON + MINUTE), answered=None, asked=ADA, is_current=False, now=NOON + 2 * MINUTE
    )

    assert found is not None
    assert (found.asked_at, found.asked_by) == (NOON + MINUTE, "")


def test_what_is_over_is_forgotten_and_what_waits_is_not() -> None:
    late = NOON + SHOWN_FOR + MINUTE
    came = a_check_in(last_check_in=NOON + MINUTE)
    waits = a_check_in(sync_requested_at=NOON)

    assert decide(came, answered=None, asked=ADA, is_current=True, now=late) is None
    assert steps(decide(waits, answered=None, asked=ADA, is_current=True, now=late)) == (False, False, False)
    assert decide(came, answered=None, asked=None, is_current=True, now=NOON) is None
