"""``shieldwall connector``: the one that there is, Defender for Endpoint; its switches are those of this channel."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import show_facts, show_json, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="The connector to Defender for Endpoint: show, set.")

CONNECTORS: Final = "/beta/deviceManagement/mobileThreatDefenseConnectors"
_ENFORCES: Final = "microsoftDefenderForEndpointAttachEnabled"


@app.command("show")
def show_connector(*, as_json: JsonOption = False) -> None:
    """Show how the connector is, and what is switched on.

    Example: shieldwall connector show
    """
    with speaking_plainly("show the connector", as_json=as_json), connected() as session:
        found = _connector(session)
    _show(found, as_json=as_json)


@app.command("set")
def set_connector(
    *,
    enforce: Annotated[
        bool | None, typer.Option("--enforce/--no-enforce", help="Enforce settings in this tenant, or nothing.")
    ] = None,
    windows: Annotated[
        bool | None, typer.Option("--windows/--no-windows", help="Windows and Windows Server: tagged devices.")
    ] = None,
    mac: Annotated[bool | None, typer.Option("--mac/--no-mac", help="macOS: tagged devices.")] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Switch this channel on or off, as a whole or for a platform; devices are taken and released at once.

    A platform that is switched on takes tagged devices; 'shieldwall scope set' takes all.

    Example: shieldwall connector set --enforce --windows
    """
    asked = {_ENFORCES: enforce, "windowsEnabled": windows, "macEnabled": mac}
    body = {name: value for name, value in asked.items() if value is not None}
    with speaking_plainly("set the connector", as_json=as_json), connected() as session:
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Give --enforce, --windows or --mac.")
        if not all(body.values()) and not yes:
            typer.confirm("Devices are released at once. Switch it off?", abort=True, err=as_json)
        changed = session.call("PATCH", f"{CONNECTORS}/{_connector(session)['id']}", body)
    _show(changed, as_json=as_json)


def _connector(session: GraphSession) -> dict[str, Any]:
    """Return the connector: there is one."""
    found: dict[str, Any] = next(iter(session.pages(CONNECTORS)))
    return found


def _show(connector: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(connector)
        return
    show_facts(
        [
            ("State", connector["partnerState"]),
            ("Enforces settings", _on(connector[_ENFORCES])),
            ("Windows", _on(connector["windowsEnabled"])),
            ("macOS", _on(connector["macEnabled"])),
            ("Last heard of a device", moment_in_words(connector["lastHeartbeatDateTime"], present())),
            ("Unresponsive after", f"{connector['partnerUnresponsivenessThresholdInDays']} days"),
            ("Id", connector["id"]),
        ]
    )


def _on(switch: bool) -> str:
    return "on" if switch else "off"
