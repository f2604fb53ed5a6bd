"""``shieldwall device`` and ``shieldwall group``: who is managed, and what is in effect there."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.policy_commands import JsonOption
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Devices: list, show, what is in effect, policy sync.")
groups: Final = typer.Typer(no_args_is_help=True, help="Groups of devices.")

DEVICES: Final = "/beta/deviceManagement/managedDevices"
DeviceArgument = Annotated[str, typer.Argument(help="Id or exact name of the device.")]


@app.command("list")
def list_devices(*, as_json: JsonOption = False) -> None:
    """List the managed devices."""
    with speaking_plainly("list the devices"), connected() as session:
        found = list(session.pages(DEVICES))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["deviceName"],
            each["operatingSystem"],
            each["osVersion"],
            each["shieldwall"]["managedBy"],
            each["lastSyncDateTime"] or "never",
            "yes" if each["shieldwall"]["upToDate"] else "pending",
            each["id"],
        )
        for each in found
    ]
    show_table(("Device", "System", "Version", "Managed by", "Last check-in", "Up to date", "Id"), rows)


@app.command("show")
def show_device(device: DeviceArgument, *, as_json: JsonOption = False) -> None:
    """Show one device."""
    with speaking_plainly("show the device"), connected() as session:
        found = session.call("GET", f"{DEVICES}/{find_device(session, device)}")
    if as_json:
        show_json(found)
        return
    ours = found.pop("shieldwall")
    rows = [(name, value) for name, value in (found | ours).items() if not name.startswith("@") and value is not None]
    show_facts(rows)


@app.command("effective")
def effective_settings(device: DeviceArgument, *, as_json: JsonOption = False) -> None:
    """Show what is in effect on a device: value, state, who set it, why.

    Example: shieldwall device effective web-01
    """
    with speaking_plainly("show what is in effect"), connected() as session:
        found = list(session.pages(f"{DEVICES}/{find_device(session, device)}/effectiveSettings"))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["displayValue"],
            each["state"],
            each["provider"] or "",
            ", ".join(policy["name"] for policy in each["policies"]),
            each["explanation"],
        )
        for each in found
    ]
    show_table(("Setting", "Value", "State", "Provider", "Policy", "Why"), rows)


@app.command("sync")
def sync_device(device: DeviceArgument) -> None:
    """Ask a device to check in now (policy sync)."""
    with speaking_plainly("ask for a policy sync"), connected() as session:
        session.call("POST", f"{DEVICES}/{find_device(session, device)}/syncDevice")
    typer.echo("Asked. A connected device checks in within seconds, another one at its next check-in.")


@groups.command("list")
def list_groups(*, as_json: JsonOption = False) -> None:
    """List the groups of the tenant."""
    with speaking_plainly("list the groups"), connected() as session:
        found = list(session.pages("/v1.0/groups"))
    if as_json:
        show_json(found)
        return
    show_table(
        ("Name", "Membership rule", "Id"),
        [(each["displayName"], each["membershipRule"] or "assigned", each["id"]) for each in found],
    )


def find_device(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a device. Raises: ShieldwallError when none or several fit."""
    found: list[dict[str, Any]] = [
        each for each in session.pages(DEVICES) if wanted.lower() in {each["id"], each["deviceName"].lower()}
    ]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise ShieldwallError(f"There is no device {wanted!r}.", remedy="List them: shieldwall device list.")
    raise ShieldwallError(f"{len(found)} devices are named {wanted!r}.", remedy="Use the id instead.")
