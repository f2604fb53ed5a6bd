"""``shieldwall report``: what devices reported about policies and settings, as tables and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.csv_files import write_csv
from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import EveryOption, ODataOption, OrderOption, TopOption, text_of
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import find_policy
from shieldwall.cli.options import DeviceArgument, DeviceOption, JsonOption, PolicyArgument, PolicyOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly
from shieldwall.cli.report_export import export_report
from shieldwall.cli.report_tables import Table, for_people, heading, read_report

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Reports: policy-devices, policy-summary, device-policies, settings, non-compliance, export.",
)
app.command("export")(export_report)

ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", help="A column to show; several times. Without, those that matter.")
]
SearchOption = Annotated[str | None, typer.Option("--search", help="A text that one of the columns contains.")]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", help="Write it to this file, which must not exist.", dir_okay=False)
]
_ROWS: Final = 1_000
_DEVICES: Final = ("DeviceName", "OS", "PolicyStatus", "PspdpuLastModifiedTimeUtc", "IntuneDeviceId")
_COUNTS: Final = tuple(f"NumberOf{each}Devices" for each in ("Succeeded", "Error", "Conflict", "Pending"))
_ALL_COUNTS: Final = (*_COUNTS, "NumberOfNotApplicableDevices", "NumberOfDevices")
_POLICIES: Final = ("PolicyName", "PolicyStatus", "PspdpuLastModifiedTimeUtc", "PolicyId")
_ON_DEVICE: Final = ("SettingName", "SettingStatus", "ErrorCode", "CurrentValue", "SettingId")


@app.command("policy-devices")
def policy_devices(
    policy: PolicyArgument,
    *,
    odata: ODataOption = None,
    search: SearchOption = None,
    order: OrderOption = None,
    column: ColumnOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """List the devices of a policy, with how each stands.

    Example: shieldwall report policy-devices Baseline --filter 'PolicyStatus eq 5' --csv errors.csv
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        asked = _asked([_is("PolicyId", find_policy(session, policy)), odata], column, search=search, order=order)
        found = read_report(session, "getConfigurationPolicyDevicesReport", asked, None if every else top)
        _show(found, column or _DEVICES, as_json=as_json, csv=csv)


@app.command("policy-summary")
def policy_summary(policy: PolicyArgument, *, as_json: JsonOption = False, csv: CsvOption = None) -> None:
    """Count the devices of a policy by how they stand.

    Example: shieldwall report policy-summary Baseline
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        asked = _asked([_is("PolicyId", find_policy(session, policy))], None)
        found = read_report(session, "getConfigurationPolicyDeviceSummaryReport", asked, None)
        _show(found, ("PolicyName", *_ALL_COUNTS), as_json=as_json, csv=csv)


@app.command("device-policies")
def device_policies(
    device: DeviceArgument,
    *,
    odata: ODataOption = None,
    search: SearchOption = None,
    order: OrderOption = None,
    column: ColumnOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """List the policies of a device, with how each stands there.

    Example: shieldwall report device-policies web-01
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        asked = _asked([_is("IntuneDeviceId", find_device(session, device)), odata], column, search=search, order=order)
        found = read_report(session, "getConfigurationPoliciesReportForDevice", asked, None if every else top)
        _show(found, column or _POLICIES, as_json=as_json, csv=csv)


@app.command("settings")
def settings(
    policy: PolicyArgument,
    *,
    device: DeviceOption = None,
    odata: ODataOption = None,
    search: SearchOption = None,
    order: OrderOption = None,
    column: ColumnOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """List the settings of a policy: on how many devices each stands how, or how it stands on one device.

    Example: shieldwall report settings Baseline --device web-01
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        wanted = [_is("PolicyId", find_policy(session, policy)), odata]
        if device is not None:
            wanted.append(_is("DeviceId", find_device(session, device)))
        asked = _asked(wanted, column, search=search, order=order)
        of_all, of_one = "getConfigurationPolicySettingsDeviceSummaryReport", "getConfigurationSettingsReport"
        found = read_report(session, of_all if device is None else of_one, asked, None if every else top)
        shown = ("SettingName", *_ALL_COUNTS) if device is None else _ON_DEVICE
        _show(found, column or shown, as_json=as_json, csv=csv)


@app.command("non-compliance")
def non_compliance(
    *,
    of_settings: Annotated[bool, typer.Option("--settings", help="The settings, and not the policies.")] = False,
    policy: PolicyOption = None,
    device: DeviceOption = None,
    odata: ODataOption = None,
    search: SearchOption = None,
    order: OrderOption = None,
    column: ColumnOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """List what fails or conflicts: policies, settings, or the settings of a policy on a device.

    Example: shieldwall report non-compliance --settings --policy Baseline
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        if device is not None and policy is None:
            raise typer.BadParameter("--device goes together with --policy.")
        action, shown = _troubled(of_settings=of_settings, of_device=device is not None)
        asked = _asked([*_about(session, policy, device), odata], column, search=search, order=order)
        found = read_report(session, action, asked, None if every else top)
        _show(found, column or shown, as_json=as_json, csv=csv)


def _troubled(*, of_settings: bool, of_device: bool) -> tuple[str, tuple[str, ...]]:
    """Say which report has what fails, and which of its columns matter."""
    if of_device:
        return "getConfigurationSettingNonComplianceReport", _ON_DEVICE
    if of_settings:
        return "getSettingNonComplianceReport", ("SettingName", "PolicyName", *_COUNTS)
    return "getConfigurationPolicyNonComplianceReport", ("PolicyName", *_COUNTS, "PolicyId")


def _about(session: GraphSession, policy: str | None, device: str | None) -> list[str]:
    wanted = [] if policy is None else [_is("PolicyId", find_policy(session, policy))]
    return wanted if device is None else [*wanted, _is("DeviceId", find_device(session, device))]


def _is(column: str, value: str) -> str:
    return f"{column} eq {text_of(value)}"


def _asked(
    conditions: list[str | None], columns: list[str] | None, *, search: str | None = None, order: str | None = None
) -> dict[str, Any]:
    """Write a question to a report."""
    return {
        "filter": " and ".join(f"({each})" for each in conditions if each),
        "select": columns or [],
        "search": search,
        "orderBy": order.split(",") if order else [],
    }


def _show(found: Table, shown: list[str] | tuple[str, ...], *, as_json: bool, csv: Path | None) -> None:
    """Show a report: every column to programs and in files, those that matter to people."""
    if csv is not None:
        write_csv(csv, found.columns, found.rows)
        typer.echo(f"Wrote {len(found.rows)} rows to {csv}.", err=as_json)
    if as_json:
        show_json(found.rows)
    elif csv is None:
        columns, now = for_people(found, shown), present()
        rows = [
            [moment_in_words(row[each], now) if each in found.moments else row[each] for each in columns]
            for row in found.rows
        ]
        show_table([heading(each) for each in columns], rows, empty="There is nothing to report.")
    if len(found.rows) < found.total:
        typer.echo(f"{len(found.rows)} of {found.total} rows; --all gives all of them.", err=True)
