"""``shieldwall protection``: who is protected against tampering, and on which device somebody may work for a while."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.device_commands import DEVICES, find_device
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.names import find_group
from shieldwall.cli.options import DeviceArgument, JsonOption, YesOption
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Tamper protection: show, set, exclude, troubleshoot.")

PROTECTION: Final = "/beta/deviceManagement/tamperProtection"
_ON_OFF: Final = {"on": True, "off": False}


@app.command("show")
def show_protection(*, as_json: JsonOption = False) -> None:
    """Show who is protected, and how many devices that are.

    Example: shieldwall protection show
    """
    with speaking_plainly("show tamper protection", as_json=as_json), connected() as session:
        found = session.call("GET", PROTECTION)
    if as_json:
        show_json(found)
        return
    rows = [("The tenant", _word(found["enabled"]))]
    rows += [(f"Group {each['displayName']}", _word(each["enabled"])) for each in found["groups"]]
    rows += [(f"Device {each}", "excluded") for each in found["excludedDevices"]]
    show_table(("Who", "Protection"), rows)
    show_facts([("Protected", f"{found['effect']['protected']} of {found['effect']['devices']} devices")])


@app.command("set")
def set_protection(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="on|off", help="For the whole tenant.")] = None,
    *,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="GROUP=on|off|none", help="A group's own word; several times."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do to the devices.")] = False,
    yes: YesOption = False,
) -> None:
    """Protect devices, or no more; says first how many gain protection and how many lose it.

    A group's word is more specific than the tenant's. Where two groups of a device disagree, it is protected.

    Example: shieldwall protection set --tenant on --group Lab=off
    """
    with speaking_plainly("set tamper protection"), connected() as session:
        wanted = _wanted(session, tenant, group or [])
        effect = session.call("POST", f"{PROTECTION}/preview", wanted)
        _show_effect(effect)
        if dry_run:
            return
        if not yes:
            typer.confirm("Set this?", abort=True)
        session.call("PUT", PROTECTION, wanted)
    typer.echo("Set. Every device follows with its next check-in; connected ones within seconds.")


@app.command("exclude")
def exclude_device(
    device: DeviceArgument,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Protect it like the others again.")] = False,
) -> None:
    """Except a single device from tamper protection.

    Example: shieldwall protection exclude lab-7
    """
    with speaking_plainly("except the device"), connected() as session:
        path = f"{DEVICES}/{find_device(session, device)}/excludeFromTamperProtection"
        effect = session.call("POST", path, {"excluded": not undo})
    _show_effect(effect)


@app.command("troubleshoot")
def troubleshoot(
    device: DeviceArgument,
    *,
    hours: Annotated[int, typer.Option("--hours", min=1, max=24, help="For how long.")] = 4,
    stop: Annotated[bool, typer.Option("--stop", help="End it now.")] = False,
) -> None:
    """Let somebody work at a device for a while: nothing is put back until it is over, then everything is.

    Example: shieldwall protection troubleshoot web-01 --hours 2
    """
    with speaking_plainly("give time for troubleshooting"), connected() as session:
        path = f"{DEVICES}/{find_device(session, device)}"
        if stop:
            session.call("POST", f"{path}/stopTroubleshooting")
            typer.echo("Ended. The device puts everything back with its next check-in.")
            return
        found = session.call("POST", f"{path}/startTroubleshooting", {"durationMinutes": hours * 60})
    typer.echo(f"Until {found['troubleshootingEndDateTime']} changes on the device stay; then all goes back by itself.")


def _wanted(session: GraphSession, tenant: str | None, words: list[str]) -> dict[str, Any]:
    found = session.call("GET", PROTECTION)
    own = {each["groupId"]: each["enabled"] for each in found["groups"]}
    for text in words:
        name, equals, word = text.rpartition("=")
        if not (name and equals and word in {*_ON_OFF, "none"}):
            raise ShieldwallError(f"{text!r} is not GROUP=on, off or none.", remedy="Write, for one: --group Lab=off.")
        group = find_group(session, name)
        own.pop(group, None)
        if word != "none":
            own[group] = _ON_OFF[word]
    if tenant is not None and tenant not in _ON_OFF:
        raise ShieldwallError(f"{tenant!r} is neither on nor off.", remedy="Write --tenant on or --tenant off.")
    return {
        "enabled": found["enabled"] if tenant is None else _ON_OFF[tenant],
        "groups": [{"groupId": each, "enabled": word} for each, word in own.items()],
        "excludedDevices": found["excludedDevices"],
    }


def _show_effect(effect: dict[str, Any]) -> None:
    show_facts(
        [
            ("Gain protection", effect["gained"]),
            ("Lose protection", effect["lost"]),
            ("Protected then", f"{effect['protected']} of {effect['devices']} devices"),
            ("This", {"weaken": "weakens", "strengthen": "strengthens"}.get(effect["changeClass"], "changes nothing")),
        ]
    )


def _word(enabled: object) -> str:
    return "on" if enabled else "off"
