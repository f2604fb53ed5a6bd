"""Bringing to what changed the devices that do not come by themselves, so that lists, figures and histories converge.

The server goes round a tenant's devices in the order of their ids, a portion at a time. It looks without holding
anything up, then brings the portion up to date like a check-in does (``catching_up``), and keeps where it is in the
same transaction: after a crash somebody goes on from there. What changes during a round is one more round, from where
it is then; a change is forgotten when no device can be behind it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.catching_up import Unmoved, catch_up, not_known
from shieldwall.server.storage import aims, rounds, targets
from shieldwall.server.storage.rounds import Round

PORTION: Final = 500
"""Devices that are brought up to date in one transaction: some tens of milliseconds, in which nobody else writes."""
_LOOKED_AT: Final = 4 * PORTION
"""Rows that are looked at for them; most may be up to date already."""
_SILENCE: Final = timedelta(seconds=15)
"""So long after its last portion nobody else takes the round over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a portion shall do: whom it brings up to date, and where the round is then."""

    before: Round | None
    """The round as it was found."""
    at: Round
    """The same, begun anew where something changed since."""
    device_ids: tuple[DeviceId, ...]
    after: Round
    is_done: bool
    """Whether the round ends with this portion."""


def look(connection: Connection, tenant_id: TenantId, portion: int = PORTION) -> Looked | None:
    """Find out what is to be done next for a tenant, ``None`` where nobody is behind. Reading is enough for it."""
    if not aims.is_open(connection, tenant_id):
        return None
    newest = aims.version(connection, tenant_id)
    before = rounds.find(connection, tenant_id)
    present = before
    if present is None or present.version < newest:
        counted = aims.count_behind(connection, tenant_id, newest)
        present = _started(present, newest, counted)
    return _next(connection, tenant_id, before, present, portion)


def sweep(
    connection: Connection, acting: Acting, looked: Looked, holder: str, unmoved: Unmoved = not_known
) -> frozenset[DeviceId] | None:
    """Bring a portion up to date; return whom it brought there, ``None`` where it is another process's round.

    ``holder`` is the id of this process, ``unmoved`` says whose target need not be computed.
    """
    targets.lock(connection)
    present = rounds.find(connection, acting.tenant_id)
    if present != looked.before or _is_held_by_another(present, holder, acting):
        return None
    caught = catch_up(connection, acting, looked.device_ids, unmoved)
    newest = aims.version(connection, acting.tenant_id)
    after = looked.after
    if caught.left:  # somebody else holds their rows for a moment: the same portion once more
        after = looked.at
    elif looked.is_done and newest == after.version:
        aims.forget_changes(connection, acting.tenant_id, newest)
        rounds.remove(connection, acting.tenant_id)
        return caught.reached
    behind = None if looked.after.behind is None else max(0, looked.after.behind - len(caught.reached))
    held_until = acting.clock.now() + _SILENCE
    rounds.put(connection, acting.tenant_id, replace(after, behind=behind, holder=holder, held_until=held_until))
    return caught.reached


def still_to_come(connection: Connection, tenant_id: TenantId) -> int | None:
    """Return how many devices of a tenant have not taken up yet what changed, at most; 0 where all have.

    ``None`` where nobody has counted them yet.
    """
    if not aims.is_open(connection, tenant_id):
        return 0
    present = rounds.find(connection, tenant_id)
    return None if present is None or present.version < aims.version(connection, tenant_id) else present.behind


def _started(present: Round | None, newest: int, behind: int) -> Round:
    """Begin a round where the last one is; whoever it passed has to be passed again."""
    place = "" if present is None else present.place
    return Round(
        version=newest,
        place=place,
        start=place,
        behind=behind,
        holder=None if present is None else present.holder,
        held_until=None if present is None else present.held_until,
    )


def _next(connection: Connection, tenant_id: TenantId, before: Round | None, present: Round, portion: int) -> Looked:
    rows = aims.walk(connection, tenant_id, present.place, _LOOKED_AT)
    is_end = len(rows) < _LOOKED_AT
    if present.is_second_half:
        is_end = is_end or rows[-1][0] >= present.start
        rows = [row for row in rows if row[0] <= present.start]
    behind = [device_id for device_id, reached in rows if reached < present.version]
    chosen = tuple(behind[:portion])
    if len(behind) > portion:
        return Looked(
            before=before, at=present, device_ids=chosen, after=replace(present, place=chosen[-1]), is_done=False
        )
    if not is_end:
        return Looked(
            before=before, at=present, device_ids=chosen, after=replace(present, place=rows[-1][0]), is_done=False
        )
    if present.is_second_half or not present.start:
        place = rows[-1][0] if rows else present.place
        return Looked(before=before, at=present, device_ids=chosen, after=replace(present, place=place), is_done=True)
    after = replace(present, place="", is_second_half=True)
    return Looked(before=before, at=present, device_ids=chosen, after=after, is_done=False)


def _is_held_by_another(present: Round | None, holder: str, acting: Acting) -> bool:
    if present is None or present.holder in {None, holder} or present.held_until is None:
        return False
    return acting.clock.now() < present.held_until
