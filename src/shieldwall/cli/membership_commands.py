"""``shieldwall group``, its other half: one group, who belongs to it and why, its rule tried, changed and paused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.group_commands import app, rule_in_words
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import GROUPS, find_group
from shieldwall.cli.options import DeviceArgument, GroupArgument, JsonOption, YesOption
from shieldwall.cli.presentation import in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.cli.rule_errors import pointing_at
from shieldwall.contract.errors import ShieldwallError

__all__ = ["app"]

_EVALUATE: Final = "/beta/groups/evaluateDynamicMembership"
_MOST_EVENTS: Final = 1_000


@app.command("show")
def show_group(group: GroupArgument, *, as_json: JsonOption = False) -> None:
    """Show one group.

    Example: shieldwall group show "Web servers"
    """
    with speaking_plainly("show the group", as_json=as_json), connected() as session:
        found = session.call("GET", f"{GROUPS}/{find_group(session, group)}")
    if as_json:
        show_json(found)
        return
    show_facts(
        [
            ("Name", found["displayName"]),
            ("Description", found["description"] or "-"),
            ("Members", rule_in_words(found)),
            ("Created", moment_in_words(found["createdDateTime"], present())),
            ("Id", found["id"]),
        ]
    )


@app.command("members")
def list_members(group: GroupArgument, *, as_json: JsonOption = False) -> None:
    """List the devices of a group.

    Example: shieldwall group members "Web servers"
    """
    with speaking_plainly("list the members", as_json=as_json), connected() as session:
        found = list(session.pages(f"{GROUPS}/{find_group(session, group)}/members"))
    if as_json:
        show_json(found)
        return
    rows = [(each["displayName"], each["operatingSystem"], each["deviceId"]) for each in found]
    show_table(("Device", "System", "Id"), rows, empty="No device belongs to it.")


@app.command("remove")
def remove_from_group(group: GroupArgument, device: DeviceArgument) -> None:
    """Let a device belong to an assigned group no more.

    Example: shieldwall group remove "Web servers" web-01
    """
    with speaking_plainly("remove the device"), connected() as session:
        member = find_device(session, device)
        session.call("DELETE", f"{GROUPS}/{find_group(session, group)}/members/{member}/$ref")
    typer.echo(f"{printable(device)} belongs to {printable(group)} no more.")


@app.command("change")
def change_group(
    group: GroupArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Its new membership rule.")] = None,
    yes: YesOption = False,
) -> None:
    """Change a group; of another rule it is shown first what that would do to the devices.

    Example: shieldwall group change "Web servers" --rule '(device.displayName -startsWith "www")'
    """
    body = {member: value for member, value in (("displayName", name), ("membershipRule", rule)) if value is not None}
    with speaking_plainly("change the group"), connected() as session, pointing_at(rule):
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Give --name or --rule.")
        address = f"{GROUPS}/{find_group(session, group)}"
        if rule is not None and not yes:
            show_preview(session.call("POST", f"{address}/preview", {"membershipRule": rule}))
            typer.confirm("Change the rule?", abort=True)
        session.call("PATCH", address, body)
    typer.echo(f"Changed {printable(group)}.")


@app.command("pause")
def pause_group(group: GroupArgument) -> None:
    """Stop following the rule of a group: its members stay as they are.

    Example: shieldwall group pause "Web servers"
    """
    _set_processing(group, "Paused", "pause the group")
    typer.echo(f"The rule of {printable(group)} is not followed until it is resumed.")


@app.command("resume")
def resume_group(group: GroupArgument) -> None:
    """Follow the rule of a group again: its members become what the rule says now.

    Example: shieldwall group resume "Web servers"
    """
    _set_processing(group, "On", "resume the group")
    typer.echo(f"The rule of {printable(group)} is followed.")


@app.command("validate")
def validate_rule(
    devices: Annotated[list[str], typer.Argument(help="Ids or exact names of devices.")],
    *,
    rule: Annotated[str | None, typer.Option("--rule", help="The membership rule to try.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Id or name of the group whose rule to try.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Try a membership rule on devices, and explain each verdict part by part.

    Example: shieldwall group validate web-01 db-01 --rule '(device.displayName -startsWith "web")'
    """
    with speaking_plainly("try the rule", as_json=as_json), connected() as session, pointing_at(rule):
        if (rule is None) == (group is None):
            raise ShieldwallError("There is no rule to try, or there are two.", remedy="Give --rule or --group.")
        found = [_evaluated(session, device, rule, group) for device in devices]
    if as_json:
        show_json(found)
        return
    for device, result in zip(devices, found, strict=True):
        belongs = "belongs" if result["membershipRuleEvaluationResult"] else "does not belong"
        typer.echo(f"{printable(device)} {belongs}:")
        for line in explanation(result["membershipRuleEvaluationDetails"]):
            typer.echo(printable(line))


@app.command("history")
def show_history(
    wanted: Annotated[str, typer.Argument(help="Id or exact name of the group, or with --device of the device.")],
    *,
    of_device: Annotated[bool, typer.Option("--device", help="Show the groups of a device.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST_EVENTS, help="How many events, the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show who joined and left a group, or the groups a device joined and left, when and why.

    Example: shieldwall group history "Web servers" --limit 20
    """
    with speaking_plainly("show the history", as_json=as_json), connected() as session:
        owner = (
            f"/beta/devices/{find_device(session, wanted)}"
            if of_device
            else f"/beta/groups/{find_group(session, wanted)}"
        )
        found = session.call("GET", f"{owner}/membershipHistory?$top={limit}")["value"]
    if as_json:
        show_json(found)
        return
    kind = "group" if of_device else "device"
    now = present()
    rows = [
        (
            moment_in_words(each["activityDateTime"], now),
            each[f"{kind}DisplayName"] or each[f"{kind}Id"],
            each["activity"],
            each["cause"],
            each["initiatedBy"] or "-",
        )
        for each in found
    ]
    show_table(("When", kind.capitalize(), "What", "Why", "By"), rows, empty="Nobody joined or left.")


@app.command("delete")
def delete_group(group: GroupArgument, *, yes: YesOption = False) -> None:
    """Delete a group that no policy is assigned to and no rule asks for.

    Example: shieldwall group delete "Web servers" --yes
    """
    if not yes:
        typer.confirm(f"Delete {printable(group)}?", abort=True)
    with speaking_plainly("delete the group"), connected() as session:
        session.call("DELETE", f"{GROUPS}/{find_group(session, group)}")
    typer.echo(f"Deleted {printable(group)}.")


def explanation(details: dict[str, Any], depth: int = 1) -> Iterator[str]:
    """Write a verdict as lines, each part below what it belongs to."""
    asked = details["propertyToEvaluate"]
    found = f"   found: {in_words(asked['propertyValue'])}" if asked else ""
    yield f"{'  ' * depth}{'yes' if details['expressionResult'] else 'no '} {details['expression']}{found}"
    for part in details["expressionEvaluationDetails"]:
        yield from explanation(part, depth + 1)


def _evaluated(session: GraphSession, device: str, rule: str | None, group: str | None) -> Any:
    body = {"memberId": find_device(session, device)}
    if group is not None:
        return session.call("POST", f"/beta/groups/{find_group(session, group)}/evaluateDynamicMembership", body)
    return session.call("POST", _EVALUATE, {**body, "membershipRule": rule})


def _set_processing(group: str, state: str, doing: str) -> None:
    with speaking_plainly(doing), connected() as session:
        address = f"{GROUPS}/{find_group(session, group)}"
        session.call("PATCH", address, {"membershipRuleProcessingState": state})
