"""What somebody asks of the audit log: read from the address of the page, and written into it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Connection

from shieldwall.server.portal.forms import InvalidFormError
from shieldwall.server.storage.events.audit_search import AuditSearch
from shieldwall.server.storage.identity import apps, people
from shieldwall.server.storage.records import Page, Tenant

FIELDS: Final = ("who", "what", "object", "text", "from", "to")
_LONGEST: Final = 256
_MOST_NAMED: Final = 20
"""People whose name holds what was typed; where there are more, it has to be said more exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands in the fields of the page."""

    typed: Mapping[str, str]

    @property
    def is_anything(self) -> bool:
        """Whether anything is asked for."""
        return any(self.typed.values())

    def query(self, **more: str) -> str:
        """Write it as the query of an address."""
        return urlencode({name: value for name, value in {**self.typed, **more}.items() if value})


def asked_in(given: Mapping[str, str]) -> Asked:
    """Read the fields."""
    return Asked(typed={name: str(given.get(name, "")).strip()[:_LONGEST] for name in FIELDS})


def search_of(connection: Connection, tenant: Tenant, asked: Asked) -> AuditSearch:
    """Turn it into a search: a person or an app is found by part of its name too. Raises: InvalidFormError."""
    typed = asked.typed
    since, until = _day(typed["from"], "From"), _day(typed["to"], "To")
    actors = _actors(connection, tenant, typed["who"]) if typed["who"] else ()
    return AuditSearch(
        actors=actors,
        actor_like="" if actors else typed["who"],
        activity=typed["what"],
        object_id=typed["object"],
        text=typed["text"],
        since=since,
        until=None if until is None else until + timedelta(days=1),
    )


def _actors(connection: Connection, tenant: Tenant, who: str) -> tuple[str, ...]:
    """Return the names under which the trail may know somebody; none where no person or app is called so."""
    alike = people.list_people(connection, tenant.id, Page(size=_MOST_NAMED, where=(people.called_like(who),)))
    programs = apps.list_apps(connection, tenant.id, Page(size=_MOST_NAMED, where=(apps.called_like(who),)))
    found = {f"person:{each.principal_name(tenant.domain)}"[:_LONGEST] for each in alike}
    found |= {f"app:{each.display_name}"[:_LONGEST] for each in programs}
    return tuple(sorted(found | {who})) if found or ":" in who else ()


def _day(text: str, label: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        raise InvalidFormError(f"{label}: a day such as 2026-03-31 stands here.") from None
