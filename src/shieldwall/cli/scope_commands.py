"""``shieldwall scope``: the enforcement scope of the tenant, and what another one would take and release."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Enforcement scope: show, preview, set.")

SCOPE: Final = "/beta/deviceManagement/enforcementScope"

_SWITCHES: Final = {
    "allowed": "isAllowed",
    "domain-controllers": "includesDomainControllers",
    "configuration-manager": "configurationManagerAuthority",
}
_PLATFORMS: Final = {"windows": "windows", "windows-server": "windowsServer", "linux": "linux", "macos": "macOS"}
_COVERAGES: Final = ("off", "tagged", "all")
_ON_OFF: Final = {"on": True, "off": False}

ChangesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=VALUE]...",
        help="windows, windows-server, linux, macos = off, tagged or all; allowed, domain-controllers, "
        "configuration-manager = on or off. What is not named stays as it is.",
    ),
]
DynamicTagOption = Annotated[
    list[str] | None,
    typer.Option("--dynamic-tag", metavar="NAME=RULE", help="Devices that the rule names count as tagged."),
]
RemoveDynamicTagOption = Annotated[
    list[str] | None, typer.Option("--remove-dynamic-tag", metavar="NAME", help="Take a dynamic tag away.")
]


@app.command("show")
def show_scope(*, as_json: JsonOption = False) -> None:
    """Show which devices may be managed.

    Example: shieldwall scope show
    """
    with speaking_plainly("show the enforcement scope", as_json=as_json), connected() as session:
        found = _scope(session)
    if as_json:
        show_json(found)
    else:
        _show(found)


@app.command("preview")
def preview_scope(
    changes: ChangesArgument = None,
    *,
    dynamic_tag: DynamicTagOption = None,
    remove_dynamic_tag: RemoveDynamicTagOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many devices a change would take and release, and change nothing.

    Example: shieldwall scope preview linux=tagged windows=off
    """
    with speaking_plainly("preview the enforcement scope", as_json=as_json), connected() as session:
        wanted = _wanted(session, changes or [], dynamic_tag or [], remove_dynamic_tag or [])
        effect = session.call("POST", f"{SCOPE}/preview", wanted)
    if as_json:
        show_json(effect)
    else:
        show_effect(effect)


@app.command("set")
def set_scope(
    changes: ChangesArgument = None,
    *,
    dynamic_tag: DynamicTagOption = None,
    remove_dynamic_tag: RemoveDynamicTagOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change which devices may be managed. Says first how many are taken and released, and asks.

    Example: shieldwall scope set linux=tagged domain-controllers=on
    """
    with speaking_plainly("set the enforcement scope", as_json=as_json), connected() as session:
        wanted = _wanted(session, changes or [], dynamic_tag or [], remove_dynamic_tag or [])
        if not yes:
            effect = session.call("POST", f"{SCOPE}/preview", wanted)
            if not as_json:
                show_effect(effect)
            typer.confirm(
                f"Take {_devices(effect['taken']['count'])} and release {_devices(effect['released']['count'])}?",
                abort=True,
                err=as_json,
            )
        done = session.call("PATCH", SCOPE, wanted)
    if as_json:
        show_json(done)
        return
    effect = done["effect"]
    typer.echo(
        f"Saved: {_devices(effect['taken']['count'])} taken, {_devices(effect['released']['count'])} released; "
        f"{effect['managedAfter']} managed now."
    )


def show_effect(effect: dict[str, Any]) -> None:
    """Print what a scope would do."""
    show_facts(
        [
            ("Managed now", effect["managedBefore"]),
            ("Managed then", effect["managedAfter"]),
            ("Taken", effect["taken"]["count"]),
            ("Released", effect["released"]["count"]),
        ]
    )
    rows = [
        (
            word,
            part["operatingSystem"],
            part["count"],
            part["cause"] if word == "released" else f"so far: {part['cause']}",
            ", ".join(str(sample["deviceName"]) for sample in part["samples"]),
        )
        for word in ("taken", "released")
        for part in effect[word]["parts"]
    ]
    if rows:
        show_table(("", "System", "Devices", "Why", "For example"), rows)


def _scope(session: GraphSession) -> dict[str, Any]:
    answer = session.call("GET", SCOPE)
    return {name: value for name, value in answer.items() if not name.startswith("@")}


def _show(scope: dict[str, Any]) -> None:
    switches = [(word, "on" if scope[member] else "off") for word, member in _SWITCHES.items()]
    platforms = [(word, scope[member]) for word, member in _PLATFORMS.items()]
    tags = [(f"dynamic tag {each['displayName']}", each["rule"]) for each in scope["dynamicTags"]]
    show_facts([*switches[:1], *platforms, *switches[1:], *tags])


def _wanted(session: GraphSession, changes: list[str], dynamic: list[str], removed: list[str]) -> dict[str, Any]:
    wanted = dict(map(_change, changes))
    if dynamic or removed:
        tags = {each["displayName"]: each["rule"] for each in _scope(session)["dynamicTags"]}
        for name in removed:
            if tags.pop(name, None) is None:
                raise ShieldwallError(
                    f"There is no dynamic tag {name!r}.", remedy="See shieldwall scope show for those there are."
                )
        tags.update(_split(each, "NAME=RULE") for each in dynamic)
        wanted["dynamicTags"] = [{"displayName": name, "rule": rule} for name, rule in tags.items()]
    if not wanted:
        raise ShieldwallError("Nothing is named to change.", remedy="Write, for one: linux=tagged.")
    return wanted


def _change(text: str) -> tuple[str, Any]:
    name, value = _split(text, "NAME=VALUE")
    if name in _PLATFORMS and value in _COVERAGES:
        return _PLATFORMS[name], value
    if name in _SWITCHES and value in _ON_OFF:
        return _SWITCHES[name], _ON_OFF[value]
    raise ShieldwallError(
        f"{text!r} is no part of an enforcement scope.",
        remedy=f"Platforms ({', '.join(_PLATFORMS)}) are off, tagged or all; {', '.join(_SWITCHES)} are on or off.",
    )


def _split(text: str, shape: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ShieldwallError(f"{text!r} is not {shape}.", remedy="Write, for one: linux=tagged.")
    return name, value


def _devices(count: int) -> str:
    return f"{count} device{'' if count == 1 else 's'}"
