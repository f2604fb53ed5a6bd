"""Devices beside what they reported, a report at a time: a fleet in which no two say the same needs no more memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.status import StatusReport
from shieldwall.server.storage.check_ins import statuses


class Reporting(Protocol):
    """A device, or devices that are alike."""

    @property
    def status(self) -> Digest | None:
        """The name of the report; ``None`` where there is none."""


R = TypeVar("R", bound=Reporting)


def with_reports(
    connection: Connection, tenant_id: TenantId, reporting: Iterable[R]
) -> Iterator[tuple[R, StatusReport | None]]:
    """Yield each of these with its report, in no order."""
    by_report: defaultdict[Digest, list[R]] = defaultdict(list)
    for each in reporting:
        if each.status is None:
            yield each, None
        else:
            by_report[each.status].append(each)
    for digest, report in statuses.read_each(connection, tenant_id, tuple(by_report)):
        for each in by_report.pop(digest):
            yield each, report
    for left in by_report.values():
        for each in left:
            yield each, None
