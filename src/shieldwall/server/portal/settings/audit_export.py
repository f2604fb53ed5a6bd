"""The audit log as a file: CSV for spreadsheets, JSON lines for programs, written in portions while somebody waits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from shieldwall.contract import strict_json
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.audit_trail import details_of, name_in
from shieldwall.server.inventory.machine_export import cell
from shieldwall.server.portal.work.progress import File, Progress, Run
from shieldwall.server.storage.events import audit_search
from shieldwall.server.storage.events.audit_search import AuditSearch
from shieldwall.server.storage.records import AuditEvent
from shieldwall.trust import moments

COLUMNS: Final = (
    "id",
    "time",
    "actor",
    "actorId",
    "ipAddress",
    "activity",
    "objectKind",
    "objectId",
    "objectName",
    "correlationId",
    "details",
)
_PORTION: Final = 1_000
_MARK: Final = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""


def exporting(services: AdminServices, wanted: AuditSearch, kind: str) -> Run:
    """Make the work that writes everything that a search finds."""
    written, media_type = KINDS[kind]

    def run(progress: Progress) -> File:
        file = progress.new_file(f"audit-log.{kind}", media_type)
        with file.open() as out:
            out.write(written.first)
            for event in _events(services, wanted, progress):
                out.write(written.row(_values(event)))
        return file

    return run


class _Writing:
    """How a file begins, and how a row is written."""

    def __init__(self, first: str, row: Callable[[Mapping[str, Any]], str]) -> None:
        self.first, self.row = first, row


def _events(services: AdminServices, wanted: AuditSearch, progress: Progress) -> Iterator[AuditEvent]:
    after: str | None = None
    while True:
        with services.database.read() as connection:
            found = audit_search.search(connection, services.tenant.id, wanted, size=_PORTION, after=after)
        yield from found.events
        progress.advance(len(found.events))
        if found.following is None:
            return
        after = found.following


def _values(event: AuditEvent) -> Mapping[str, Any]:
    details = details_of(event)
    values = (
        event.id,
        moments.write(event.at),
        event.actor,
        event.actor_id,
        event.ip_address,
        event.activity,
        event.object_kind,
        event.object_id,
        name_in(details),
        event.correlation_id,
        details,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _csv_row(values: Mapping[str, Any]) -> str:
    flat = {**values, "details": strict_json.encode(values["details"]).decode()}
    return _csv([cell(flat[name]) for name in COLUMNS])


def _csv(cells: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)
    return written.getvalue()


def _json_row(values: Mapping[str, Any]) -> str:
    return strict_json.encode(values).decode() + "\n"


KINDS: Final[Mapping[str, tuple[_Writing, str]]] = {
    "csv": (_Writing(_MARK + _csv(list(COLUMNS)), _csv_row), "text/csv; charset=utf-8"),
    "json": (_Writing("", _json_row), "application/x-ndjson"),
}
"""By the word in the address: how it is written, and its media type."""
