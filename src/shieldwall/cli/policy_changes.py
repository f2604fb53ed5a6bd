"""``shieldwall policy assign``, ``copy``, ``reorder``, ``preview``, ``delete``: what changes a policy that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shieldwall.cli.declared.authored import authored_policy
from shieldwall.cli.exports import InvalidExportError, policies_in
from shieldwall.cli.graph_session import connected
from shieldwall.cli.names import POLICIES, assignments_to, find_policy
from shieldwall.cli.options import (
    AllDevicesOption,
    ExceptOption,
    ExcludeOption,
    GroupOption,
    JsonOption,
    OnlyOption,
    PolicyArgument,
    ReasonOption,
    YesOption,
)
from shieldwall.cli.policy_import import read_file
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.contract.errors import ShieldwallError


def assign(
    policy: PolicyArgument,
    *,
    group: GroupOption = None,
    exclude: ExcludeOption = None,
    all_devices: AllDevicesOption = False,
    only: OnlyOption = None,
    but: ExceptOption = None,
    reason: ReasonOption = "",
) -> None:
    """Say which groups get a policy. What is given replaces the assignments there are; nothing given unassigns it.

    Example: shieldwall policy assign "Linux servers: antivirus" --group "Linux servers"
    """
    with speaking_plainly("assign the policy"), connected() as session:
        assigned = assignments_to(session, groups=group, excluded=exclude, all_devices=all_devices, only=only, but=but)
        path = f"{POLICIES}/{find_policy(session, policy)}/assign"
        session.call("POST", path, {"assignments": assigned}, reason=reason)
    show_table(("Policy", "Assignments"), [(policy, len(assigned))])


def preview(
    policy: PolicyArgument,
    file: Annotated[
        Path | None, typer.Argument(help="Exported policy: what the policy shall become.", exists=True)
    ] = None,
    *,
    new: Annotated[
        bool, typer.Option("--new", help="The policy is not there yet; it would be made from FILE.")
    ] = False,
    group: GroupOption = None,
    exclude: ExcludeOption = None,
    all_devices: AllDevicesOption = False,
    only: OnlyOption = None,
    but: ExceptOption = None,
    unassign: Annotated[bool, typer.Option("--unassign", help="What it would do if nobody got it.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="What deleting it would do.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a change would do to the devices before it is made: settings, conflicts, lowered protection.

    Without a file the policy keeps its settings; without groups it keeps its assignments.

    Example: shieldwall policy preview "Linux servers: antivirus" antivirus.json --group "Linux servers"
    """
    with speaking_plainly("preview the change", as_json=as_json), connected() as session:
        body: dict[str, Any] = {"delete": True} if delete else _content(file)
        if group or exclude or all_devices or unassign:
            body["assignments"] = assignments_to(
                session, groups=group, excluded=exclude, all_devices=all_devices, only=only, but=but
            )
        if new:
            body["name"] = policy
        elif not body:
            raise ShieldwallError("Nothing would change.", remedy="Give a file, groups, --unassign or --delete.")
        path = f"{POLICIES}/preview" if new else f"{POLICIES}/{find_policy(session, policy)}/preview"
        found = session.call("POST", path, body)
    if as_json:
        show_json(found)
    else:
        show_preview(found)


def copy(
    policy: PolicyArgument,
    name: Annotated[str, typer.Argument(help="Name of the copy.")],
    *,
    description: Annotated[
        str | None, typer.Option("--description", help="Description of the copy; that of the original by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a second policy with the same content, assigned to nobody.

    Example: shieldwall policy copy "Linux servers: antivirus" "Linux servers: antivirus, stricter"
    """
    with speaking_plainly("copy the policy", as_json=as_json), connected() as session:
        body = {"displayName": name, "description": description}
        made = session.call("POST", f"{POLICIES}/{find_policy(session, policy)}/createCopy", body)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Id", "Settings"), [(made["name"], made["id"], made["settingCount"])])


def reorder(
    policy: PolicyArgument,
    priority: Annotated[int, typer.Argument(min=1, max=500, help="1 wins over 500.")],
    *,
    reason: ReasonOption = "",
) -> None:
    """Give a policy a priority, for families where the tenant's conflict rule is priority.

    Example: shieldwall policy reorder "Linux servers: antivirus" 10
    """
    with speaking_plainly("reorder the policy"), connected() as session:
        path = f"{POLICIES}/{find_policy(session, policy)}/reorder"
        session.call("POST", path, {"priority": priority}, reason=reason)
    typer.echo(f"{printable(policy)} has priority {priority}.")


def delete(policy: PolicyArgument, *, reason: ReasonOption = "", yes: YesOption = False) -> None:
    """Delete a policy; devices go back to their state from before it.

    Its revisions stay: history and rollback take its id, and a rollback brings it back, assigned to nobody.

    Example: shieldwall policy delete "Linux servers: antivirus" --yes
    """
    if not yes:
        typer.confirm(f"Delete {policy}? Devices lose what it brought.", abort=True)
    with speaking_plainly("delete the policy"), connected() as session:
        policy_id = find_policy(session, policy)
        session.call("DELETE", f"{POLICIES}/{policy_id}", reason=reason)
    typer.echo(f"Deleted {printable(policy)}. Its history stays: shieldwall policy history {policy_id}")


def _content(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    found = read_file(file, policies_in)
    if len(found) != 1:
        raise InvalidExportError(f"{file}: expected one policy and found {len(found)}.")
    content = authored_policy(found[0].document)
    content.pop("assignments", None)
    return content
