"""Bringing to what changed the devices that do not come by themselves, so that lists, figures and histories converge.

The server brings a tenant's devices up to date a portion at a time, those that are furthest behind first. An index
holds who is behind, so nobody else is looked at. It looks without holding anything up, and then does with the portion
what a check-in does (``catching_up``). What changes meanwhile is taken up as well; a change is forgotten when no device
is behind it any more. A round is only who is at it and how much is left: whoever goes on after a crash finds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, islice
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.recoding import decided_otherwise
from shieldwall.server.manager.catching_up import Unmoved, catch_up, decide_anew, not_known
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies import aims, rounds
from shieldwall.server.storage.policies.rounds import Round

PORTION: Final = 500
"""Devices that are brought up to date in one transaction: some tens of milliseconds, in which nobody else writes."""
_SILENCE: Final = timedelta(seconds=15)
"""So long after its last portion nobody else takes the round over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a portion shall do: whom it brings up to date, and of which round."""

    before: Round | None
    """The round as it was found."""
    at: Round
    """The same, begun anew where something changed since."""
    device_ids: tuple[DeviceId, ...]
    is_last: bool = False
    """Nobody is behind any more, and it was looked whether all are as the scope says."""
    undecided: tuple[DeviceId, ...] = ()
    """Some that are not: a program of the release before brought them up to date."""


def look(connection: Connection, tenant_id: TenantId, portion: int = PORTION) -> Looked | None:
    """Find out what is to be done next for a tenant, ``None`` where nobody is behind. Reading is enough for it."""
    if not aims.is_open(connection, tenant_id):
        return None
    newest = aims.version(connection, tenant_id)
    before = rounds.find(connection, tenant_id)
    present = before
    if present is None or present.version < newest:
        present = _started(present, newest, aims.count_behind(connection, tenant_id, newest))
    found = aims.first_behind(connection, tenant_id, present.version, portion)
    if found or not aims.is_scope_open(connection, tenant_id):
        return Looked(before=before, at=present, device_ids=found)
    others = chain.from_iterable(decided_otherwise(connection, tenant_id).values())
    return Looked(before=before, at=present, device_ids=(), is_last=True, undecided=tuple(islice(others, portion)))


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
    if looked.undecided:
        decide_anew(connection, acting, looked.undecided)
    caught = catch_up(connection, acting, looked.device_ids, unmoved)
    newest = aims.version(connection, acting.tenant_id)
    is_decided = (looked.is_last and not looked.undecided) or not aims.is_scope_open(connection, acting.tenant_id)
    if is_decided and not aims.first_behind(connection, acting.tenant_id, newest, 1):
        aims.forget_changes(connection, acting.tenant_id, newest)
        rounds.remove(connection, acting.tenant_id)
        return caught.reached
    behind = None if looked.at.behind is None else max(0, looked.at.behind - len(caught.reached))
    held_until = acting.clock.now() + _SILENCE
    rounds.put(connection, acting.tenant_id, replace(looked.at, behind=behind, holder=holder, held_until=held_until))
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
    """Begin a round, by whoever was at the last one."""
    if present is None:
        return Round(version=newest, behind=behind)
    return replace(present, version=newest, behind=behind)


def _is_held_by_another(present: Round | None, holder: str, acting: Acting) -> bool:
    if present is None or present.holder in {None, holder} or present.held_until is None:
        return False
    return acting.clock.now() < present.held_until
