"""``shieldwall role``: named sets of actions, and who has them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.names import ROLES, find_group, find_person, find_role, find_scope_tag, is_id
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Roles: list, make, assign, take away.")

ASSIGNMENTS: Final = "/beta/deviceManagement/roleAssignments"
RoleArgument = Annotated[str, typer.Argument(help="Id or exact name of the role.")]


@app.command("list")
def list_roles(*, as_json: JsonOption = False) -> None:
    """List the roles, built in and of your own.

    Example: shieldwall role list
    """
    with speaking_plainly("list the roles", as_json=as_json), connected() as session:
        found = list(session.pages(ROLES))
    if as_json:
        show_json(found)
        return
    rows = [
        (each["displayName"], "built in" if each["isBuiltIn"] else "your own", len(_allowed(each)), each["id"])
        for each in found
    ]
    show_table(("Name", "Kind", "Actions", "Id"), rows)


@app.command("show")
def show_role(wanted: RoleArgument, *, as_json: JsonOption = False) -> None:
    """Show what a role allows, and who has it.

    Example: shieldwall role show "Help Desk Operator"
    """
    with speaking_plainly("show the role", as_json=as_json), connected() as session:
        found = session.call("GET", f"{ROLES}/{find_role(session, wanted)}?$expand=roleAssignments")
    if as_json:
        show_json(found)
        return
    typer.echo(f"{printable(found['displayName'])}: {printable(found['description'])}")
    show_table(("Action",), [(action,) for action in _allowed(found)])
    rows = [
        (
            each["displayName"],
            ", ".join(each["members"]),
            ", ".join(each["roleScopeTagIds"]) or "everything",
            ", ".join(each["resourceScopes"]) or each["scopeType"],
            each["id"],
        )
        for each in found["roleAssignments"]
    ]
    show_table(("Assignment", "Members", "Scope tags", "Devices", "Id"), rows)


@app.command("create")
def create_role(
    name: Annotated[str, typer.Argument(help="Name of the role.")],
    *,
    allow: Annotated[list[str], typer.Option("--allow", help="An action; 'shieldwall role actions' lists them.")],
    description: Annotated[str, typer.Option("--description", help="What the role is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a role of your own; nobody has it until it is assigned.

    Example: shieldwall role create Watchers --allow Microsoft.Intune_ManagedDevices_Read
    """
    body = {
        "displayName": name,
        "description": description,
        "rolePermissions": [{"resourceActions": [{"allowedResourceActions": allow}]}],
    }
    with speaking_plainly("make the role", as_json=as_json), connected() as session:
        made = session.call("POST", ROLES, body)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Actions", "Id"), [(made["displayName"], len(_allowed(made)), made["id"])])


@app.command("actions")
def list_actions(*, as_json: JsonOption = False) -> None:
    """List the actions that roles are made of.

    Example: shieldwall role actions
    """
    with speaking_plainly("list the actions", as_json=as_json), connected() as session:
        found = list(session.pages("/beta/deviceManagement/resourceOperations"))
    if as_json:
        show_json(found)
    else:
        show_table(
            ("Resource", "Action", "Id"), [(each["resourceName"], each["actionName"], each["id"]) for each in found]
        )


@app.command("assign")
def assign_role(
    wanted: RoleArgument,
    *,
    person: Annotated[list[str] | None, typer.Option("--person", help="Who gets it: name, user name or id.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="A group whose people get it.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--scope-tag", help="What they see; without, everything.")] = None,
    devices: Annotated[
        list[str] | None, typer.Option("--devices", help="A group of devices they act on; without, all devices.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the assignment is called.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a role to people or groups of people, in the whole tenant or within a scope.

    Example: shieldwall role assign "Help Desk Operator" --person grace@contoso.com --scope-tag Berlin
    """
    if not person and not group:
        raise typer.BadParameter("Give --person or --group.")
    with speaking_plainly("assign the role", as_json=as_json), connected() as session:
        role = find_role(session, wanted)
        scopes = [find_group(session, each) for each in devices or []]
        body: dict[str, Any] = {
            "displayName": name or f"{wanted}: {', '.join([*(person or []), *(group or [])])}"[:256],
            "members": [
                *(find_person(session, each) for each in person or []),
                *(find_group(session, each) for each in group or []),
            ],
            "scopeType": "resourceScope" if scopes else "allDevices",
            "resourceScopes": scopes,
            "roleScopeTagIds": [find_scope_tag(session, each) for each in tag or []],
        }
        made = session.call("POST", f"{ROLES}/{role}/roleAssignments", body)
    if as_json:
        show_json(made)
    else:
        show_table(("Assignment", "Id"), [(made["displayName"], made["id"])])


@app.command("unassign")
def unassign_role(
    assignment: Annotated[str, typer.Argument(help="Id or exact name of the assignment.")], *, yes: YesOption = False
) -> None:
    """Take a role away from all members of an assignment.

    Example: shieldwall role unassign "Help Desk Operator: grace@contoso.com"
    """
    if not yes:
        typer.confirm(f"Take away what {printable(assignment)} gives?", abort=True)
    with speaking_plainly("take the role away"), connected() as session:
        session.call("DELETE", f"{ASSIGNMENTS}/{_assignment(session, assignment)}")
    typer.echo(f"{printable(assignment)} gives nothing any more.")


@app.command("delete")
def delete_role(wanted: RoleArgument, *, yes: YesOption = False) -> None:
    """Delete a role of your own that is assigned to nobody.

    Example: shieldwall role delete Watchers
    """
    if not yes:
        typer.confirm(f"Delete the role {printable(wanted)}?", abort=True)
    with speaking_plainly("delete the role"), connected() as session:
        session.call("DELETE", f"{ROLES}/{find_role(session, wanted)}")
    typer.echo(f"The role {printable(wanted)} is deleted.")


def _allowed(role: dict[str, Any]) -> list[str]:
    return [
        action
        for permission in role["rolePermissions"]
        for part in permission["resourceActions"]
        for action in part["allowedResourceActions"]
    ]


def _assignment(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of an assignment; the listing is short. Raises: ShieldwallError."""
    if is_id(wanted):
        return wanted
    found = [each["id"] for each in session.pages(ASSIGNMENTS) if each["displayName"] == wanted]
    if len(found) != 1:
        raise ShieldwallError(
            f"{len(found)} role assignments are called {wanted!r}.", remedy="Take the id from 'shieldwall role show'."
        )
    return str(found[0])
