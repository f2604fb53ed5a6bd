"""``shieldwall scope-tag``: marks on policies and devices that roles are narrowed by."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.names import SCOPE_TAGS, find_group, find_scope_tag
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="Scope tags: list, make, give to groups, delete.")

TagArgument = Annotated[str, typer.Argument(help="Id or exact name of the scope tag.")]


@app.command("list")
def list_tags(*, as_json: JsonOption = False) -> None:
    """List the scope tags.

    Example: shieldwall scope-tag list
    """
    with speaking_plainly("list the scope tags", as_json=as_json), connected() as session:
        found = list(session.pages(SCOPE_TAGS))
    if as_json:
        show_json(found)
    else:
        show_table(
            ("Name", "Description", "Id"), [(each["displayName"], each["description"], each["id"]) for each in found]
        )


@app.command("create")
def create_tag(
    name: Annotated[str, typer.Argument(help="Name of the scope tag.")],
    *,
    description: Annotated[str, typer.Option("--description", help="What the tag is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a scope tag.

    Example: shieldwall scope-tag create Berlin
    """
    with speaking_plainly("make the scope tag", as_json=as_json), connected() as session:
        made = session.call("POST", SCOPE_TAGS, {"displayName": name, "description": description})
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Id"), [(made["displayName"], made["id"])])


@app.command("assign")
def assign_tag(
    wanted: TagArgument,
    *,
    group: Annotated[list[str] | None, typer.Option("--group", help="A group whose devices have the tag.")] = None,
) -> None:
    """Let the devices of these groups, and of no others, have a scope tag.

    Example: shieldwall scope-tag assign Berlin --group "Berlin servers"
    """
    with speaking_plainly("assign the scope tag"), connected() as session:
        targets = [
            {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": find_group(session, each)}}
            for each in group or []
        ]
        session.call("POST", f"{SCOPE_TAGS}/{find_scope_tag(session, wanted)}/assign", {"assignments": targets})
    typer.echo(f"The devices of {len(targets)} group{'' if len(targets) == 1 else 's'} have {printable(wanted)}.")


@app.command("delete")
def delete_tag(wanted: TagArgument, *, yes: YesOption = False) -> None:
    """Delete a scope tag that no policy, filter or role names.

    Example: shieldwall scope-tag delete Berlin
    """
    if not yes:
        typer.confirm(f"Delete the scope tag {printable(wanted)}?", abort=True)
    with speaking_plainly("delete the scope tag"), connected() as session:
        session.call("DELETE", f"{SCOPE_TAGS}/{find_scope_tag(session, wanted)}")
    typer.echo(f"The scope tag {printable(wanted)} is deleted.")
