"""``shieldwall report``: what devices reported about policies and settings, as tables and files."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import EveryOption, ODataOption, OrderOption, TopOption
from shieldwall.cli.names import find_policy
from shieldwall.cli.options import DeviceArgument, DeviceOption, JsonOption, PolicyArgument, PolicyOption
from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.report_export import export_report
from shieldwall.cli.report_history import app as history_app
from shieldwall.cli.report_questions import ALL_COUNTS, COUNTS, CsvOption, is_one, question, show_report
from shieldwall.cli.report_slices import fleet_report
from shieldwall.cli.report_tables import read_report

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Reports: policy-devices, policy-summary, device-policies, settings, non-compliance, fleet, history, export.",
)
app.command("export")(export_report)
app.command("fleet")(fleet_report)
app.add_typer(history_app, name="history")

ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", help="A column to show; several times. Without, those that matter.")
]
SearchOption = Annotated[str | None, typer.Option("--search", help="A text that one of the columns contains.")]
_ROWS: Final = 1_000
_DEVICES: Final = ("DeviceName", "OS", "PolicyStatus", "PspdpuLastModifiedTimeUtc", "IntuneDeviceId")
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
        asked = question([is_one("PolicyId", find_policy(session, policy)), odata], column, search=search, order=order)
        found = read_report(session, "getConfigurationPolicyDevicesReport", asked, None if every else top)
        show_report(found, column or _DEVICES, as_json=as_json, csv=csv)


@app.command("policy-summary")
def policy_summary(policy: PolicyArgument, *, as_json: JsonOption = False, csv: CsvOption = None) -> None:
    """Count the devices of a policy by how they stand.

    Example: shieldwall report policy-summary Baseline
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        asked = question([is_one("PolicyId", find_policy(session, policy))], None)
        found = read_report(session, "getConfigurationPolicyDeviceSummaryReport", asked, None)
        show_report(found, ("PolicyName", *ALL_COUNTS), as_json=as_json, csv=csv)


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
        asked = question(
            [is_one("IntuneDeviceId", find_device(session, device)), odata], column, search=search, order=order
        )
        found = read_report(session, "getConfigurationPoliciesReportForDevice", asked, None if every else top)
        show_report(found, column or _POLICIES, as_json=as_json, csv=csv)


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
        wanted = [is_one("PolicyId", find_policy(session, policy)), odata]
        if device is not None:
            wanted.append(is_one("DeviceId", find_device(session, device)))
        asked = question(wanted, column, search=search, order=order)
        of_all, of_one = "getConfigurationPolicySettingsDeviceSummaryReport", "getConfigurationSettingsReport"
        found = read_report(session, of_all if device is None else of_one, asked, None if every else top)
        shown = ("SettingName", *ALL_COUNTS) if device is None else _ON_DEVICE
        show_report(found, column or shown, as_json=as_json, csv=csv)


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
        asked = question([*_about(session, policy, device), odata], column, search=search, order=order)
        found = read_report(session, action, asked, None if every else top)
        show_report(found, column or shown, as_json=as_json, csv=csv)


def _troubled(*, of_settings: bool, of_device: bool) -> tuple[str, tuple[str, ...]]:
    """Say which report has what fails, and which of its columns matter."""
    if of_device:
        return "getConfigurationSettingNonComplianceReport", _ON_DEVICE
    if of_settings:
        return "getSettingNonComplianceReport", ("SettingName", "PolicyName", *COUNTS)
    return "getConfigurationPolicyNonComplianceReport", ("PolicyName", *COUNTS, "PolicyId")


def _about(session: GraphSession, policy: str | None, device: str | None) -> list[str]:
    wanted = [] if policy is None else [is_one("PolicyId", find_policy(session, policy))]
    return wanted if device is None else [*wanted, is_one("DeviceId", find_device(session, device))]
