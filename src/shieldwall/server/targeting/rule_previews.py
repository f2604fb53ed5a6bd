"""Previews of rules by the index: exactly what the database would say, or nothing.

The asker takes the place up to which the index is right, and looks in the feed for the devices that changed behind it:
of these the database says what the rule makes of them, of all others the index does. Then it looks once more: had
another device changed meanwhile, or what policies are aimed at, the index may have spoken of another moment, and is
not believed. Nor is it while devices are behind a change: they belong to what they belonged to, whatever rules say.

A preview decides nothing. Whoever saves a rule has the database say whom it moves, inside the transaction, and nothing
is saved that was shown otherwise: an index that is wrong costs a second look.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.strict_json import encode
from shieldwall.policy.membership import parse_rule
from shieldwall.policy.rule_tokens import InvalidRuleError
from shieldwall.server.directory.group_rules import Moves, preview_among
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.fleets.fleet_feed import Place, What
from shieldwall.server.storage.policies import aims
from shieldwall.server.targeting.index_figures import NAMED_IN
from shieldwall.server.targeting.rule_questions import MOST_UNSURE, RuleQuestion, read_answer
from shieldwall.server.targeting.shared import BoardReader

SECONDS: Final = 2.0
"""So long the index may take; the database would take longer in a fleet that is worth asking it for."""
_DECIDES: Final = What.DEVICE | What.GROUPS


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePreviews:
    """Asks the index of this machine, if there is one."""

    database: Database
    place: Callable[[], Place | None]
    """Up to which change the index is right, ``None`` where it is not there or not believed."""
    ask: Callable[[bytes], bytes]
    """Hands it a question, and returns what it says; nothing where it says nothing."""

    @classmethod
    def of(cls, database: Database, run: Path, path: Path, monotonic: Callable[[], float]) -> RulePreviews:
        """Ask the index of this machine: ``run`` is the directory of the running server, ``path`` its socket."""
        return cls(database=database, place=BoardReader(run / NAMED_IN, monotonic).place, ask=asking(path))

    def moves(self, tenant_id: TenantId, group_id: GroupId, text: str) -> Moves | None:
        """Say which devices a group would gain and lose by a rule, ``None``: ask the database.

        Whoever asks holds no connection.
        """
        place = self.place()
        if place is None:
            return None
        try:
            rule = parse_rule(text)
        except InvalidRuleError:
            return None
        with self.database.read() as connection:
            unsure = _changed(connection, place, tenant_id)
            if unsure is None or aims.is_open(connection, tenant_id):
                return None
            few = preview_among(connection, tenant_id, group_id, rule, unsure)
        question = RuleQuestion(tenant_id=tenant_id, group_id=group_id, rule=text, unsure=tuple(sorted(unsure)))
        said = read_answer(self.ask(encode(question)))
        if said is None or not self._is_still_all(place, tenant_id, unsure):
            return None
        return Moves(gained=said.gained | few.gained, lost=said.lost | few.lost, members=said.members + few.members)

    def _is_still_all(self, place: Place, tenant_id: TenantId, unsure: frozenset[DeviceId]) -> bool:
        with self.database.read() as connection:
            later = _changed(connection, place, tenant_id)
        return later is not None and later <= unsure


def asking(path: Path, seconds: float = SECONDS) -> Callable[[bytes], bytes]:
    """Return what asks a socket."""

    def ask(question: bytes) -> bytes:
        said: list[bytes] = []
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(seconds)
            connected.connect(str(path))
            connected.sendall(question)
            connected.shutdown(socket.SHUT_WR)
            while portion := connected.recv(1 << 20):
                said.append(portion)
        return b"".join(said)

    return ask


def _changed(connection: Connection, place: Place, tenant_id: TenantId) -> frozenset[DeviceId] | None:
    """Return the devices of a tenant that changed behind a place, ``None`` where more than devices did, or too many."""
    news = fleet_feed.read(connection, place, MOST_UNSURE)
    theirs = [change for change in news.changes if change.tenant_id == tenant_id]
    if not news.is_all or any(change.what & What.AIMS for change in theirs):
        return None
    return frozenset(change.device_id for change in theirs if change.what & _DECIDES)
