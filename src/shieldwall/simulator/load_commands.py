"""``shieldwall-sim load``: let devices come to a server that runs, and show what it made of them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from shieldwall.agent.service.package_file import read_package
from shieldwall.agent.service.transport import parse_server_url, tls_context
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration import settings as server_settings
from shieldwall.server.system import SystemClock
from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.core_commands import JsonOption, SeedOption
from shieldwall.simulator.load.client import Client
from shieldwall.simulator.load.devices import LoadDevice
from shieldwall.simulator.load.driving import Drive, Manner, Tally
from shieldwall.simulator.load.enrolling import InTables, by_api
from shieldwall.simulator.load.processes import cpu_seconds

_SHARE: dict[str, Any] = {"min": 0.0, "max": 1.0}


class NoServerNamedError(ShieldwallError):
    """Nothing says which server is meant, or two things do."""

    code = "noServerNamed"
    remedy = "Name the data directory of a test server with --data, or an onboarding package with --package."


def load(
    *,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data directory of a test server: devices are written into its tables."),
    ] = None,
    package: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Onboarding package: devices are onboarded as agents do it.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many there are.")] = 1_000,
    rate: Annotated[float, typer.Option(min=0.01, help="Check-ins a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long; of a herd: at most so long.")] = 30.0,
    herd: Annotated[
        bool, typer.Option("--herd", help="All come at once, and come again until each is served.")
    ] = False,
    within: Annotated[float, typer.Option(min=0, help="Seconds within which a herd comes.")] = 10.0,
    at_once: Annotated[int, typer.Option(min=1, max=4_096, help="Most connections at one time.")] = 256,
    reports: Annotated[float, typer.Option(**_SHARE, help="Share of check-ins that bring a report.")] = 0.05,
    deaf: Annotated[float, typer.Option(**_SHARE, help="Share of answers that nobody hears.")] = 0.0,
    repeated: Annotated[float, typer.Option(**_SHARE, help="Share of requests that are sent twice.")] = 0.0,
    pid: Annotated[
        int | None, typer.Option(help="Process of the server: its processor time and its children's is measured.")
    ] = None,
    seed: SeedOption = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the server is filled with devices.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let simulated devices check in at a server that runs, each time over a fresh TLS connection.

    Devices stay in its directory, under the tag `simulated` where they were written into the tables: use a server that
    is there for trying. It ends with 1 where an acknowledged report is not there afterwards, or the server answered
    5xx other than 503.
    """
    with speaking_plainly("let devices come", as_json=as_json):
        if not yes:
            typer.confirm(f"Fill the server with {devices:,} simulated devices?", abort=True, err=True)
        with _shown(quiet=as_json) as show:
            fleet, client, authority, tables = _prepared(data, package, devices, seed, show)
            drive = Drive(
                client=client,
                authority=authority,
                chance=chance_of(seed, "load"),
                manner=Manner(reports=reports, deaf=deaf, repeated=repeated),
                wall=time.time,  # noqa: TID251 - signatures hold the true time
                most_at_once=at_once,
            )
            before = None if pid is None else cpu_seconds(pid)
            begun, own = time.monotonic(), time.process_time()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_driven(drive, fleet, show, rate=rate, seconds=seconds, within=within if herd else None))
            took, own = time.monotonic() - begun, time.process_time() - own
            used = None if pid is None or before is None else cpu_seconds(pid) - before
        lost = None if tables is None else tables.lost(fleet)
    found = in_json(drive.tally, fleet, took=took, own=own, used=used, lost=lost, is_herd=herd)
    if as_json:
        show_json(found)
    else:
        _show(found)
    if lost or drive.tally.errors():
        raise typer.Exit(1)


def in_json(
    tally: Tally,
    fleet: list[LoadDevice],
    *,
    took: float,
    own: float,
    used: float | None,
    lost: int | None,
    is_herd: bool,
) -> dict[str, Any]:
    """Write what came of it for programs."""
    taken = len(tally.seconds)
    return {
        "devices": len(fleet),
        "devicesServed": len(tally.served),
        "seconds": round(took, 2),
        "answers": dict(sorted(tally.answers.items())),
        "servedPerSecond": round(taken / took, 1),
        "waitMilliseconds": {
            name: round(tally.wait(share) * 1000, 1) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        "herd": {
            "allServed": len(tally.served) == len(fleet),
            "longestFromFirstTrySeconds": round(tally.longest_from_first_try, 1),
        }
        if is_herd
        else None,
        "reportsAcknowledged": tally.reports,
        "reportsLost": lost,
        "serverMicrosecondsPerCheckIn": None if used is None or not taken else round(used / taken * 1e6),
        "ownMicrosecondsPerRequest": round(own / max(1, sum(tally.answers.values())) * 1e6),
    }


def _show(found: dict[str, Any]) -> None:
    show_table(("Answer", "Times"), [(name, f"{count:,}") for name, count in found["answers"].items()])
    typer.echo()
    waits = found["waitMilliseconds"]
    facts: list[tuple[str, object]] = [
        ("Devices served", f"{found['devicesServed']:,} of {found['devices']:,}"),
        ("Served a second", f"{found['servedPerSecond']:,} for {found['seconds']} s"),
        ("Answered within", f"{waits['p50']} ms (half), {waits['p95']} ms (95 %), {waits['p99']} ms (99 %)"),
        ("Reports", f"{found['reportsAcknowledged']:,} acknowledged, {_or_unknown(found['reportsLost'])} lost"),
        ("Server", f"{_or_unknown(found['serverMicrosecondsPerCheckIn'])} µs CPU a check-in"),
        ("This program", f"{found['ownMicrosecondsPerRequest']} µs CPU a request"),
    ]
    if found["herd"] is not None:
        longest = found["herd"]["longestFromFirstTrySeconds"]
        facts.append(
            (
                "Herd",
                f"{'all' if found['herd']['allServed'] else 'not all'} served, at most {longest} s after the first try",
            )
        )
    show_facts(facts)


def _or_unknown(value: object) -> object:
    return "not measured:" if value is None else value


def _prepared(
    data: Path | None, package: Path | None, count: int, seed: int, show: Callable[[str], None]
) -> tuple[list[LoadDevice], Client, str, InTables | None]:
    """Enrol the devices. Raises: ShieldwallError."""
    if (data is None) == (package is None):
        raise NoServerNamedError("Neither or both of --data and --package were given.")
    if data is not None:
        settings = server_settings.load(data)
        tables = InTables(settings, f"{settings.tenant_id}/{seed}")
        fleet = tables.enrol(count, lambda made: show(f"{made:,} of {count:,} devices are enrolled"))
        return (
            fleet,
            _client(settings.gateway_url, tls_context([settings.tls_authority.read_text()])),
            server_settings.authority_of(settings.gateway_url),
            tables,
        )
    assert package is not None
    opened = read_package(package, _now())
    fleet = []
    for device in by_api(opened, count, SystemClock()):
        fleet.append(device)
        show(f"{len(fleet):,} of {count:,} devices are enrolled")
    url = opened.server_urls[0]
    return fleet, _client(url, tls_context(opened.tls_roots)), parse_server_url(url).netloc.lower(), None


def _client(url: str, tls: ssl.SSLContext) -> Client:
    parsed = parse_server_url(url)
    assert parsed.hostname is not None
    return Client(host=parsed.hostname, port=parsed.port or 443, server_name=parsed.hostname, tls=tls)


def _now() -> datetime:
    return SystemClock().now()


async def _driven(
    drive: Drive,
    fleet: list[LoadDevice],
    show: Callable[[str], None],
    *,
    rate: float,
    seconds: float,
    within: float | None,
) -> None:
    telling = asyncio.create_task(_tell(drive.tally, len(fleet), show))
    try:
        if within is None:
            await drive.evenly(fleet, per_second=rate, seconds=seconds)
        else:
            await drive.herd(fleet, within=within, most_seconds=seconds)
    finally:
        telling.cancel()


async def _tell(tally: Tally, devices: int, show: Callable[[str], None]) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(0.5)
        answers = ", ".join(f"{name}: {count:,}" for name, count in sorted(tally.answers.items()))
        per_second = len(tally.seconds) / (time.monotonic() - begun)
        show(
            f"{len(tally.served):,} of {devices:,} devices served · {per_second:,.0f} a second · "
            f"{tally.under_way} under way · {answers}"
        )


@contextlib.contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show at a terminal what is going on."""
    from rich.console import Console  # noqa: PLC0415 - takes longer to import than --help to print

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _text: None
        return
    with console.status("Beginning") as status:
        yield status.update
