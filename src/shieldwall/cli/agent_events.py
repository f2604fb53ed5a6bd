"""``shieldwall-agent events``: what happened on this device, whether or not the server knows it yet. For root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from shieldwall.agent.detections.spool import DIRECTORY
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.cli.agent_app import JsonOption, RootOption, StateOption, app, applier_of, places_of
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly

_APPLIER: Final = "applier"
"""Where an applier without a process of its own keeps its files, beside the agent's."""


@app.command()
def events(
    context: typer.Context,
    *,
    most: Annotated[int, typer.Option("--most", min=1, help="How many, the newest first.")] = 50,
    as_json: JsonOption = False,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Show what happened here: malware, suspicious behaviour, engines that went blind."""
    from shieldwall.agent.detections.handing import Handing  # noqa: PLC0415 - for this command alone

    with speaking_plainly("read the events", as_json=as_json, exit_code=exit_code):
        try:
            found = Handing(directory=_spool(context, root, state), new_name=str).newest(most)
        except OSError as error:
            raise HostError(
                f"The events cannot be read: {error.strerror or error}.", remedy="Run this as root."
            ) from error
    if as_json:
        show_json({"events": [msgspec.to_builtins(event) for event in found]})
        return
    show_table(
        ("When", "Severity", "What", "Event", "About", "Where", "Times"),
        [
            (
                event.at,
                event.severity.value,
                event.kind,
                printable(event.title),
                printable(event.subject),
                printable(event.details.get("path") or event.details.get("executable") or ""),
                str(event.times),
            )
            for event in found
        ],
        empty="Nothing happened.",
    )


def _spool(context: typer.Context, root: Path | None, state: Path | None) -> Path:
    wanted, kept = places_of(context, root, state)
    if applier_of(context, root) is None:
        return kept / _APPLIER / DIRECTORY.name
    return LocalHost(wanted).locate(DIRECTORY)
