"""What is written down after an attempt, in one transaction: the verdict, the cursor, the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events.judging import (
    Attempt,
    Delivered,
    Draw,
    LeaveOut,
    SwitchOff,
    TryAgain,
    Verdict,
    in_words,
    judge,
)
from shieldwall.server.events.parcels import Parcel
from shieldwall.server.storage.engine.outbox import Event
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.alerts import Alert, Severity, raise_alert
from shieldwall.server.storage.events.receivers import Delivery, DeliveryState, Receiver, Sort

SWITCHED_OFF_KIND: Final = "receiverSwitchedOff"
"""The kind of the alert about a receiver that nothing is sent to any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An attempt and its time."""

    attempt: Attempt
    begun_at: datetime
    took: timedelta


def settle(connection: Connection, acting: Acting, parcel: Parcel, sent: Sent, draw: Draw) -> Verdict | None:
    """Write down what came of a parcel; ``None``: the receiver is gone, or somebody took it elsewhere meanwhile."""
    present = receivers.find_any(connection, parcel.receiver.id)
    if present is None or present.cursor != parcel.receiver.cursor:
        return None
    now = acting.clock.now()
    verdict = judge(sent.attempt, failures=present.failures, failing_since=present.failing_since, now=now, draw=draw)
    match verdict:
        case Delivered():
            _succeed(connection, parcel, now)
        case TryAgain(at=at):
            _fail(connection, present, sent, now, failures=present.failures + 1, next_attempt_at=at)
        case LeaveOut():
            _fail(connection, present, sent, now, failures=0, next_attempt_at=None, cursor=parcel.up_to)
        case SwitchOff(because=because):
            _fail(connection, present, sent, now, failures=present.failures + 1, next_attempt_at=None)
            if present.enabled:
                _switch_off(connection, acting, present, because)
        case _:
            assert_never(verdict)
    for event in parcel.events:
        if event.sequence:
            receivers.keep_delivery(connection, delivery_of(present, event, sent, _STATE_OF[type(verdict)]))
    return verdict


_STATE_OF: Final[Mapping[type[Verdict], DeliveryState]] = {
    Delivered: DeliveryState.SUCCEEDED,
    TryAgain: DeliveryState.WAITING,
    LeaveOut: DeliveryState.FAILED,
    SwitchOff: DeliveryState.FAILED,
}


def delivery_of(receiver: Receiver, event: Event, sent: Sent, state: DeliveryState) -> Delivery:
    """Describe an attempt at an event for the history."""
    return Delivery(
        receiver_id=receiver.id,
        event_id=event.id,
        tenant_id=receiver.tenant_id,
        sequence=event.sequence,
        event_kind=event.kind,
        state=state,
        attempts=1,
        status=sent.attempt.status,
        cause=in_words(sent.attempt),
        first_at=sent.begun_at,
        last_at=sent.begun_at,
        milliseconds=sent.took // timedelta(milliseconds=1),
    )


def _succeed(connection: Connection, parcel: Parcel, now: datetime) -> None:
    missed = {"missed": 0} if parcel.tells_missed else {}
    receivers.change(
        connection,
        parcel.receiver.id,
        cursor=parcel.up_to,
        failures=0,
        failing_since=None,
        next_attempt_at=None,
        last_success_at=now,
        **missed,
    )


def _fail(
    connection: Connection,
    receiver: Receiver,
    sent: Sent,
    now: datetime,
    *,
    failures: int,
    next_attempt_at: datetime | None,
    cursor: int | None = None,
) -> None:
    receivers.change(
        connection,
        receiver.id,
        failures=failures,
        failing_since=receiver.failing_since or now,
        next_attempt_at=next_attempt_at,
        last_failure_at=now,
        last_failure=in_words(sent.attempt)[:1_024],
        cursor=receiver.cursor if cursor is None else cursor,
    )


def _switch_off(connection: Connection, acting: Acting, receiver: Receiver, because: str) -> None:
    receivers.change(connection, receiver.id, enabled=False, switched_off_because=because)
    word = "Webhook" if receiver.sort is Sort.WEBHOOK else "Subscription"
    acting.record(connection, f"{receiver.sort.value}.switchedOff", receiver.sort.value, receiver.id, because=because)
    now = acting.clock.now()
    raise_alert(
        connection,
        Alert(
            id=acting.new_id(),
            tenant_id=receiver.tenant_id,
            device_id=None,
            kind=SWITCHED_OFF_KIND,
            severity=Severity.MEDIUM,
            title=f"{word} {receiver.display_name} was switched off"[:256],
            details=strict_json.encode({"receiver": receiver.id, "because": because}).decode(),
            first_at=now,
            last_at=now,
        ),
    )
