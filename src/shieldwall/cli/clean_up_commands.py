"""``shieldwall clean-up``: when silent devices retire, and how long what is left of devices is kept."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_facts, show_json, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="Cleaning up devices: rules, and what they would do.")

RULES: Final = "/beta/deviceManagement/managedDeviceCleanupRules"

InactiveOption = Annotated[
    int | None, typer.Option("--inactive-days", min=0, max=270, help="Retire after so many days of silence; 0: never.")
]
RetiredOption = Annotated[
    int | None, typer.Option("--retired-days", min=180, max=730, help="Forget retired devices after so many days.")
]
HistoryOption = Annotated[
    int | None, typer.Option("--history-days", min=30, max=3650, help="Keep memberships and closed alerts so long.")
]
ReplaceOption = Annotated[
    bool | None,
    typer.Option("--auto-replace/--no-auto-replace", help="Same TPM, 30 days of silence: replace the former device."),
]


@app.command("show")
def show_rules(*, as_json: JsonOption = False) -> None:
    """Show the rules.

    Example: shieldwall clean-up show
    """
    with speaking_plainly("show the rules", as_json=as_json), connected() as session:
        (rule,) = session.pages(RULES)
    show_json(rule) if as_json else _show(rule)


@app.command("set")
def set_rules(
    *,
    inactive_days: InactiveOption = None,
    retired_days: RetiredOption = None,
    history_days: HistoryOption = None,
    auto_replace: ReplaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the rules named; the server follows them once an hour.

    Example: shieldwall clean-up set --inactive-days 90
    """
    with speaking_plainly("change the rules", as_json=as_json), connected() as session:
        (before,) = session.pages(RULES)
        body = _body(inactive_days, retired_days, history_days, auto_replace)
        rule = session.call("PATCH", f"{RULES}/{before['id']}", body)
    show_json(rule) if as_json else _show(rule)


@app.command("preview")
def preview(
    *,
    inactive_days: InactiveOption = None,
    retired_days: RetiredOption = None,
    history_days: HistoryOption = None,
    auto_replace: ReplaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how much the rules, with these changes, would clean up now.

    Example: shieldwall clean-up preview --inactive-days 90
    """
    with speaking_plainly("preview the clean-up", as_json=as_json), connected() as session:
        body = _body(inactive_days, retired_days, history_days, auto_replace)
        effect = session.call("POST", f"{RULES}/preview", body)
    if as_json:
        show_json(effect)
        return
    show_facts(
        [
            ("Devices replaced", effect["devicesReplaced"]),
            ("Devices retired", effect["devicesRetired"]),
            ("Devices removed", effect["devicesRemoved"]),
            *((f"Rows of {table}", count) for table, count in effect["rowsRemoved"].items() if count),
        ]
    )


def _body(inactive: int | None, retired: int | None, history: int | None, replace: bool | None) -> dict[str, Any]:
    ours = {"removeRetiredAfterDays": retired, "historyDays": history, "autoReplace": replace}
    body: dict[str, Any] = {"shieldwall": {name: value for name, value in ours.items() if value is not None}}
    if inactive is not None:
        body["deviceInactivityBeforeRetirementInDays"] = inactive
    return body


def _show(rule: dict[str, Any]) -> None:
    days, ours = rule["deviceInactivityBeforeRetirementInDays"], rule["shieldwall"]
    show_facts(
        [
            ("Retire silent devices", f"after {days} days" if days else "never"),
            ("Forget retired devices", f"after {ours['removeRetiredAfterDays']} days"),
            ("Keep history", f"{ours['historyDays']} days"),
            ("Replace by the same TPM", "yes" if ours["autoReplace"] else "no"),
        ]
    )
