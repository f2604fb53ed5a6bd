"""``shieldwall device events``: what happened on one device, as it told."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final

import typer

from shieldwall.cli import admission_commands
from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import DeviceArgument, JsonOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly

app: Final = admission_commands.app
EVENTS: Final = "/beta/security/deviceEvents"


@app.command("events")
def device_events(
    device: DeviceArgument,
    *,
    most: Annotated[int, typer.Option("--most", min=1, help="How many, the newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what happened on a device: malware, suspicious behaviour, engines that went blind.

    Example: shieldwall device events web-01 --most 20
    """
    with speaking_plainly("show the events", as_json=as_json), connected() as session:
        query = {
            "$filter": f"deviceId eq '{find_device(session, device)}'",
            "$orderby": "eventDateTime desc",
            "$top": str(min(most, 999)),
        }
        found = list(islice(session.pages(EVENTS, query=query), most))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            moment_in_words(each["eventDateTime"], now),
            each["severity"],
            each["category"],
            each["title"],
            each["subject"],
            each["details"].get("path") or each["details"].get("executable") or "",
            each["times"],
        )
        for each in found
    ]
    show_table(("When", "Severity", "What", "Event", "About", "Where", "Times"), rows, empty="Nothing was told.")
