"""``shieldwall group``: sets of devices, with named members or a membership rule."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import ODataOption, OrderOption, WordsOption, asked_of
from shieldwall.cli.names import GROUPS, find_group
from shieldwall.cli.options import DeviceArgument, GroupArgument, JsonOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.cli.rule_errors import pointing_at
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Groups of devices: list, create, change, members, rules.")


@app.command("create")
def create_group(
    name: Annotated[str, typer.Argument(help="Name of the group.")],
    *,
    rule: Annotated[str | None, typer.Option("--rule", help="Membership rule; without one, members are named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a group of devices: dynamic with a membership rule, assigned without.

    Example: shieldwall group create "Web servers" --rule '(device.displayName -startsWith "web")'
    """
    body: dict[str, Any] = {
        "displayName": name,
        "mailEnabled": False,
        "mailNickname": re.sub(r"[^A-Za-z0-9]", "", name)[:64] or "group",
        "securityEnabled": True,
        "groupTypes": [],
    }
    if rule is not None:
        body |= {"groupTypes": ["DynamicMembership"], "membershipRule": rule, "membershipRuleProcessingState": "On"}
    with speaking_plainly("make the group", as_json=as_json), connected() as session, pointing_at(rule):
        made = session.call("POST", GROUPS, body)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Membership rule", "Id"), [(made["displayName"], rule or "assigned", made["id"])])


@app.command("add")
def add_to_group(group: GroupArgument, device: DeviceArgument) -> None:
    """Let a device belong to an assigned group.

    Example: shieldwall group add "Web servers" web-01
    """
    with speaking_plainly("add the device"), connected() as session:
        member = {"@odata.id": f"/v1.0/devices/{find_device(session, device)}"}
        session.call("POST", f"{GROUPS}/{find_group(session, group)}/members/$ref", member)
    typer.echo(f"{printable(device)} belongs to {printable(group)}.")


@app.command("list")
def list_groups(
    *,
    odata: ODataOption = None,
    search: WordsOption = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the groups of the tenant: all of them, or those that fit.

    Example: shieldwall group list --filter "groupTypes/any(c:c eq 'DynamicMembership')" --search web
    """
    with speaking_plainly("list the groups", as_json=as_json), connected() as session:
        found = list(session.pages(GROUPS, query=asked_of(odata=odata, order=order, words=search)))
    if as_json:
        show_json(found)
        return
    show_table(
        ("Name", "Membership rule", "Id"),
        [(each["displayName"], rule_in_words(each), each["id"]) for each in found],
    )


def rule_in_words(group: dict[str, Any]) -> str:
    """Say in one cell what decides who belongs."""
    paused = " (paused)" if group["membershipRuleProcessingState"] == "Paused" else ""
    return f"{group['membershipRule']}{paused}" if group["membershipRule"] else "assigned"


@app.command("preview")
def preview_group(
    group: GroupArgument,
    *,
    rule: Annotated[str | None, typer.Option("--rule", help="The membership rule to try.")] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help="A device it would gain.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="A device it would lose.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what another rule or other members would do to the devices.

    Example: shieldwall group preview "Web servers" --rule '(device.displayName -startsWith "www")'
    """
    with speaking_plainly("preview the group", as_json=as_json), connected() as session, pointing_at(rule):
        body: dict[str, Any] = {} if rule is None else {"membershipRule": rule}
        for member, devices in (("addMembers", add), ("removeMembers", remove)):
            if devices:
                body[member] = [find_device(session, each) for each in devices]
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Give --rule, or --add and --remove.")
        found = session.call("POST", f"{GROUPS}/{find_group(session, group)}/preview", body)
    if as_json:
        show_json(found)
    else:
        show_preview(found)
