"""``shieldwall device``: what is done to devices that are here: asked to come, tagged, silenced, merged, sent away."""

from __future__ import annotations

from typing import Annotated

import typer

from shieldwall.cli.device_commands import DEVICES, app, find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.options import DeviceArgument, YesOption
from shieldwall.cli.presentation import printable, show_facts, speaking_plainly

__all__ = ["act_on", "app"]


def act_on(device: str, action: str, *, doing: str) -> None:
    """Call an action of a device that takes nothing; ``doing`` says in plain words what failed where it does."""
    with speaking_plainly(doing), connected() as session:
        session.call("POST", f"{DEVICES}/{find_device(session, device)}/{action}")


@app.command("sync")
def sync_device(device: DeviceArgument) -> None:
    """Ask a device to check in now (policy sync).

    Example: shieldwall device sync web-01
    """
    act_on(device, "syncDevice", doing="ask for a policy sync")
    typer.echo("Asked. A connected device checks in within seconds, another one at its next check-in.")


@app.command("tag")
def tag_device(
    device: DeviceArgument,
    *,
    add: Annotated[list[str] | None, typer.Option("--add", help="A tag it gains; may be given several times.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A tag it loses; likewise.")] = None,
) -> None:
    """Give a device tags and take others away; dynamic groups follow at once.

    Example: shieldwall device tag web-01 --add edge --remove staging
    """
    with speaking_plainly("tag the device"), connected() as session:
        body = {"add": add or [], "remove": remove or []}
        found = session.call("POST", f"{DEVICES}/{find_device(session, device)}/changeTags", body)
    show_facts([("Device", found["deviceName"]), ("Tags", ", ".join(found["shieldwall"]["tags"]) or "none")])


@app.command("disable")
def disable_device(device: DeviceArgument) -> None:
    """Let a device speak no more, from its next request on. It keeps what it enforces.

    Example: shieldwall device disable web-01
    """
    act_on(device, "disable", doing="disable the device")
    typer.echo(f"Disabled {printable(device)}. It keeps what it enforces; let it back with: shieldwall device enable")


@app.command("enable")
def enable_device(device: DeviceArgument) -> None:
    """Let a disabled device speak again; one that was in quarantine goes back there.

    Example: shieldwall device enable web-01
    """
    act_on(device, "enable", doing="enable the device")
    typer.echo(f"Enabled {printable(device)}. It is let in at its next check-in.")


@app.command("release")
def release_device(device: DeviceArgument) -> None:
    """Release a device from quarantine, after its copy was onboarded anew or is gone.

    Example: shieldwall device release web-01
    """
    act_on(device, "releaseFromQuarantine", doing="release the device")
    typer.echo(f"Released {printable(device)}. It counts its requests anew and gets every policy at its next check-in.")


@app.command("offboard")
def offboard_device(
    device: DeviceArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for the device: refuse its key from now on.")
    ] = False,
) -> None:
    """Tell a device to leave management: it restores its state from before with its next check-in, and is then retired.

    Until it comes it is shown as leaving. The machine can onboard again, as a new device.

    Example: shieldwall device offboard web-01 --yes
    """
    if not yes:
        typer.confirm(f"Offboard {device}? It cannot be undone.", abort=True)
    with speaking_plainly("offboard the device"), connected() as session:
        session.call("DELETE", f"{DEVICES}/{find_device(session, device)}{'?force=true' if force else ''}")
    if force:
        typer.echo(f"Retired {printable(device)}. On the device itself: shieldwall-agent offboard --without-server")
    else:
        typer.echo(f"Told {printable(device)} to leave. It does with its next check-in.")


@app.command("merge")
def merge_devices(
    device: Annotated[str, typer.Argument(help="Id or exact name of the device that goes.")],
    into: Annotated[str, typer.Argument(help="Id of the device that stays.")],
    *,
    yes: YesOption = False,
) -> None:
    """Let one device take the place of another: tags, assigned groups and notes go over, and the other one retires.

    Example: shieldwall device merge 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f 5a1d2c3b-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    if not yes:
        typer.confirm(f"Retire {printable(device)} in favour of {printable(into)}? It cannot be undone.", abort=True)
    with speaking_plainly("merge the devices"), connected() as session:
        stays = find_device(session, into)
        found = session.call("POST", f"{DEVICES}/{find_device(session, device)}/merge", {"into": stays})
    show_facts([("Device", found["deviceName"]), ("Tags", ", ".join(found["shieldwall"]["tags"]) or "none")])
