"""``shieldwall device approve|reject|duplicates|delete``: who is let in, and who is gone for good."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from shieldwall.cli import device_actions
from shieldwall.cli.device_commands import DEVICES, find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import DeviceArgument, JsonOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly

app: Final = device_actions.app
"""The same group of commands, with these in it."""


@app.command("approve")
def approve_device(
    device: DeviceArgument,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of the device that this machine was before; that retires.")
    ] = False,
) -> None:
    """Let a device in that waits.

    Example: shieldwall device approve web-01
    """
    with speaking_plainly("approve the device"), connected() as session:
        found = session.call("POST", f"{DEVICES}/{find_device(session, device)}/approve", {"replace": replace})
    typer.echo(f"Approved {printable(found['deviceName'])}. It gets its certificate when it asks again, in a minute.")


@app.command("reject")
def reject_device(device: DeviceArgument) -> None:
    """Turn a device away that waits; its key is refused from now on.

    Example: shieldwall device reject web-01
    """
    device_actions.act_on(device, "reject", doing="reject the device")
    typer.echo(f"Rejected {printable(device)}.")


@app.command("duplicates")
def show_duplicates(device: DeviceArgument, *, as_json: JsonOption = False) -> None:
    """Show a device beside the others that named the same hardware. Nothing is merged by itself.

    Example: shieldwall device duplicates web-01
    """
    with speaking_plainly("show the duplicates", as_json=as_json), connected() as session:
        found = list(session.pages(f"{DEVICES}/{find_device(session, device)}/duplicates"))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["deviceName"],
            each["comparison"]["stateReason"] or each["comparison"]["state"],
            ", ".join(each["comparison"]["sameHardware"]),
            moment_in_words(each["comparison"]["registeredDateTime"], now),
            moment_in_words(each["lastSyncDateTime"], now) if each["lastSyncDateTime"] else "never",
            each["comparison"]["attestationLevel"],
            each["id"],
        )
        for each in found
    ]
    show_table(("Device", "State", "Same hardware", "Registered", "Last check-in", "Attestation", "Id"), rows)


@app.command("delete")
def delete_device(
    device: DeviceArgument, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a device: gone from every view and group, and never back with its old key. The audit trail stays.

    The device is not told, and goes on enforcing what it enforces; to have it restored, offboard it first.

    Example: shieldwall device delete web-01 --yes
    """
    if not yes:
        typer.confirm(f"Delete {device}? It cannot be undone.", abort=True)
    with speaking_plainly("delete the device"), connected() as session:
        session.call("DELETE", f"/v1.0/devices(deviceId='{find_device(session, device)}')")
    typer.echo(f"Deleted {printable(device)}.")
