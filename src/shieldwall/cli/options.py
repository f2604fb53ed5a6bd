"""Arguments and options that many commands have, each with the same words."""

from __future__ import annotations

from typing import Annotated

import typer

from shieldwall.cli.completion import complete_device, complete_filter, complete_group, complete_policy

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept in the history.")]

PolicyArgument = Annotated[str, typer.Argument(help="Id or exact name of the policy.", autocompletion=complete_policy)]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", help="Id or exact name of a policy.", autocompletion=complete_policy)
]
FilterArgument = Annotated[str, typer.Argument(help="Id or exact name of the filter.", autocompletion=complete_filter)]
GroupArgument = Annotated[str, typer.Argument(help="Id or exact name of the group.", autocompletion=complete_group)]
DeviceArgument = Annotated[str, typer.Argument(help="Id or exact name of the device.", autocompletion=complete_device)]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Id or exact name of a device.", autocompletion=complete_device)
]
ReusableArgument = Annotated[str, typer.Argument(help="Id or exact name of the reusable setting.")]

GroupOption = Annotated[
    list[str] | None,
    typer.Option("--group", help="Id or name of a group that gets it.", autocompletion=complete_group),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Id or name of a group left out.", autocompletion=complete_group),
]
AllDevicesOption = Annotated[bool, typer.Option("--all-devices", help="Every device gets it.")]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--filter",
        help="Id or name of a filter: of those, only devices that match get it.",
        autocompletion=complete_filter,
    ),
]
ExceptOption = Annotated[
    str | None,
    typer.Option(
        "--exclude-filter",
        help="Id or name of a filter: devices that match do not get it.",
        autocompletion=complete_filter,
    ),
]
