"""``shieldwall report history``: what a fleet, a policy, its settings and a device were, day by day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import typer

from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import EveryOption, ODataOption, OrderOption, TopOption
from shieldwall.cli.names import find_policy
from shieldwall.cli.options import DeviceArgument, JsonOption, PolicyArgument
from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.report_questions import ALL_COUNTS, CsvOption, is_one, question, show_report
from shieldwall.cli.report_tables import read_report

app: Final = typer.Typer(
    no_args_is_help=True,
    help="What a fleet was, day by day: fleet, policy, settings, device. The server has to keep it.",
)
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", formats=["%Y-%m-%d"], help="From this day on; without, of the last 31 days."),
]
_ROWS: Final = 1_000
_FLEET: Final = ("Day", "Property", "Value", "NumberOfDevices")
_DEVICE: Final = (
    "Day",
    "DeviceState",
    "PolicyState",
    "OSVersion",
    "AgentVersion",
    "ManagedBy",
    "RepairedSettings",
    "DriftedSettings",
)


@app.command("fleet")
def fleet(
    *,
    since: SinceOption = None,
    odata: ODataOption = None,
    order: OrderOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Count the devices of each day by what they were.

    Example: shieldwall report history fleet --since 2026-11-01 --filter "Property eq 'policyState'"
    """
    with speaking_plainly("read the history", as_json=as_json), connected() as session:
        asked = question([_since(since), odata], None, order=order)
        found = read_report(session, "getFleetHistoryReport", asked, None if every else top)
        show_report(found, _FLEET, as_json=as_json, csv=csv)


@app.command("policy")
def policy_days(
    policy: PolicyArgument,
    *,
    since: SinceOption = None,
    odata: ODataOption = None,
    order: OrderOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Count the devices of a policy by how they stood on each day.

    Example: shieldwall report history policy Baseline --since 2026-11-01 --json
    """
    with speaking_plainly("read the history", as_json=as_json), connected() as session:
        asked = question([is_one("PolicyId", find_policy(session, policy)), _since(since), odata], None, order=order)
        found = read_report(session, "getPolicyHistoryReport", asked, None if every else top)
        show_report(found, ("Day", "PolicyName", *ALL_COUNTS), as_json=as_json, csv=csv)


@app.command("settings")
def settings(
    policy: PolicyArgument,
    *,
    since: SinceOption = None,
    odata: ODataOption = None,
    order: OrderOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Count the devices of each setting of a policy by how they stood on each day.

    Example: shieldwall report history settings Baseline --filter 'NumberOfErrorDevices gt 0' --csv errors.csv
    """
    with speaking_plainly("read the history", as_json=as_json), connected() as session:
        asked = question([is_one("PolicyId", find_policy(session, policy)), _since(since), odata], None, order=order)
        found = read_report(session, "getSettingHistoryReport", asked, None if every else top)
        show_report(found, ("Day", "SettingName", *ALL_COUNTS), as_json=as_json, csv=csv)


@app.command("device")
def device_days(
    device: DeviceArgument,
    *,
    since: SinceOption = None,
    odata: ODataOption = None,
    order: OrderOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Show what a device was on each day.

    Example: shieldwall report history device web-01 --since 2026-11-01
    """
    with speaking_plainly("read the history", as_json=as_json), connected() as session:
        found_device = is_one("IntuneDeviceId", find_device(session, device))
        asked = question([found_device, _since(since), odata], None, order=order)
        found = read_report(session, "getDeviceHistoryReport", asked, None if every else top)
        show_report(found, _DEVICE, as_json=as_json, csv=csv)


def _since(since: datetime | None) -> str | None:
    return None if since is None else f"Day ge '{since.date().isoformat()}'"
