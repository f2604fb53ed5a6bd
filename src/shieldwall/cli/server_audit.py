"""``shieldwall server audit``: the audit trail on the server's own console, for people, programs and SIEMs."""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shieldwall.cli.moments import parsed_moment
from shieldwall.cli.presentation import printable, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    from shieldwall.contract.ids import TenantId
    from shieldwall.server.admin.services import AdminServices
    from shieldwall.server.storage.engine.database import Database
    from shieldwall.server.storage.engine.outbox import Event

_EVERY_SECONDS: Final = 1.0
_AT_ONCE: Final = 500
_OF_A_TENANT: Final = 100
"""Read at once of one tenant, while as much of every other one waits for its turn."""


def show_audit(
    data: Annotated[Path, typer.Option("--data", help="The server's data directory.", file_okay=False)],
    *,
    since: Annotated[str, typer.Option("--since", help="From when on: 24h, 7d, or a moment.")] = "24h",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_syslog: Annotated[bool, typer.Option("--syslog", help="One message of RFC 5424 a line.")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Domain or id of the only tenant shown.")] = None,
) -> None:
    """Show what happened, the oldest first: in all tenants, or in one.

    Example: shieldwall server audit --data /var/lib/shieldwall --since 2h --follow --json
    """
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("show the audit trail", as_json=as_json):
        if as_json and as_syslog:
            raise ShieldwallError("A line has one form.", remedy="Give --json or --syslog, not both.")
        with main.open_services(settings.load(data), tenant) as services:
            write = _writer(services, as_json=as_json, as_syslog=as_syslog)
            for event in _events(services, parsed_moment(since, services.clock.now()), tenant, follow=follow):
                typer.echo(write(event))
                sys.stdout.flush()


def _events(services: AdminServices, since: datetime, tenant: str | None, *, follow: bool) -> Iterator[Event]:
    """Read the trail as far as the outbox does not reach back, then the outbox, which has the order of commits.

    No transaction is open while somebody reads what was read. That may take its time, with a pager for one: SQLite's
    log would grow as long, and PostgreSQL would end the transaction.
    """
    from shieldwall.server.storage.engine import outbox  # noqa: PLC0415 - see above
    from shieldwall.server.storage.tenants import tenants  # noqa: PLC0415 - see above

    wanted = None if tenant is None else services.tenant.id
    with services.database.read() as connection:
        kept = outbox.read(connection, 0, 1, tenant_id=wanted)
        until = kept[0].at if kept else services.clock.now() + timedelta(days=1)
        of = [each.id for each in tenants.list_tenants(connection)] if wanted is None else [wanted]
    trails = [_trail(services.database, each, since, until) for each in of]
    yield from heapq.merge(*trails, key=lambda event: (event.at, event.id))
    cursor = 0
    while True:
        with services.database.read() as connection:
            found = outbox.read(connection, cursor, _AT_ONCE, tenant_id=wanted)
        yield from (event for event in found if event.at >= since)
        if found:
            cursor = found[-1].sequence
        elif not follow:
            return
        else:
            time.sleep(_EVERY_SECONDS)


def _trail(database: Database, tenant_id: TenantId, since: datetime, until: datetime) -> Iterator[Event]:
    from shieldwall.server.storage.events import audit  # noqa: PLC0415 - see above

    found: Sequence[Event] = ()
    while True:
        with database.read() as connection:
            last = found[-1] if found else None
            found = audit.told_between(connection, tenant_id, since, until, _OF_A_TENANT, after=last)
        yield from found
        if len(found) < _OF_A_TENANT:
            return


def _writer(services: AdminServices, *, as_json: bool, as_syslog: bool) -> Callable[[Event], str]:
    from shieldwall.contract import strict_json  # noqa: PLC0415 - see above
    from shieldwall.server.configuration.settings import host_of  # noqa: PLC0415 - see above
    from shieldwall.server.events.payloads import payload  # noqa: PLC0415 - see above
    from shieldwall.server.events.streams.syslog import syslog_message  # noqa: PLC0415 - see above

    if as_json:
        return lambda event: strict_json.encode(payload(event)).decode()
    if as_syslog:
        host = host_of(services.settings.public_url)
        return lambda event: syslog_message(event, host).decode()

    def line(event: Event) -> str:
        told = payload(event)
        about = told["data"]["object"]
        words = (told["time"], told["data"]["actor"], event.kind, about["kind"], about["id"])
        return "  ".join(map(printable, words))

    return line
