"""``shieldwall alert``: what somebody should look at."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="Alerts: list, resolve.")

ALERTS: Final = "/beta/security/alerts_v2"


@app.command("list")
def list_alerts(
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that are resolved as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the open alerts.

    Example: shieldwall alert list --all
    """
    query = None if every else {"$filter": "status eq 'new'"}
    with speaking_plainly("list the alerts", as_json=as_json), connected() as session:
        found = list(session.pages(ALERTS, query=query))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["title"],
            each["severity"],
            _device(each),
            each["shieldwall"]["times"],
            moment_in_words(each["lastActivityDateTime"], now),
            each["status"],
            each["id"],
        )
        for each in found
    ]
    show_table(
        ("Alert", "Severity", "Device", "Times", "Last", "Status", "Id"), rows, empty="Nothing needs to be looked at."
    )


@app.command("resolve")
def resolve_alert(alert: Annotated[str, typer.Argument(help="Id of the alert.")]) -> None:
    """Close an alert. What happens again is a new one.

    Example: shieldwall alert resolve 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("resolve the alert"), connected() as session:
        session.call("PATCH", f"{ALERTS}/{alert}", {"status": "resolved"})
    typer.echo("Resolved.")


def _device(alert: dict[str, Any]) -> str:
    names = [each["deviceDnsName"] or each["mdeDeviceId"] for each in alert["evidence"]]
    return ", ".join(names)
