"""``shieldwall report fleet``: any slice of the fleet, counted by devices, by policies or by settings."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from shieldwall.cli.completion import complete_group
from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import EveryOption, ODataOption, OrderOption, TopOption
from shieldwall.cli.names import find_group
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.report_questions import ALL_COUNTS, CsvOption, is_one, question, show_report
from shieldwall.cli.report_tables import read_report

_ROWS: Final = 1_000
_BY: Final = {
    "devices": ("getFleetDevicesReport", ("Property", "Value", "NumberOfDevices")),
    "policies": ("getFleetPoliciesReport", ("PolicyName", *ALL_COUNTS)),
    "settings": ("getFleetSettingsReport", ("SettingName", "PolicyName", *ALL_COUNTS)),
}


def fleet_report(
    *,
    by: Annotated[
        Literal["devices", "policies", "settings"], typer.Option("--by", help="What is counted.")
    ] = "devices",
    group: Annotated[
        str | None,
        typer.Option("--group", help="Devices of this group, by its id or name.", autocompletion=complete_group),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Devices with this tag.")] = None,
    system: Annotated[str | None, typer.Option("--os", help="Devices with this system, such as Linux.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Devices in this state, such as active.")] = None,
    odata: ODataOption = None,
    order: OrderOption = None,
    top: TopOption = _ROWS,
    every: EveryOption = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Count the devices of a slice of the fleet by what they are, or by how policies or settings stand on them.

    Example: shieldwall report fleet --by settings --group Servers --os Linux --filter 'NumberOfErrorDevices gt 0'
    """
    with speaking_plainly("make the report", as_json=as_json), connected() as session:
        action, shown = _BY[by]
        named = {
            "GroupId": None if group is None else find_group(session, group),
            "DeviceTag": tag,
            "OS": system,
            "DeviceState": state,
        }
        parts = [is_one(name, value) for name, value in named.items() if value is not None]
        asked = question([*parts, odata], None, order=order)
        found = read_report(session, action, asked, None if every else top)
        show_report(found, shown, as_json=as_json, csv=csv)
