"""``shieldwall reusable``: settings that many policies refer to, such as the addresses of firewall rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.declared.authored import authored
from shieldwall.cli.declared.objects import Kind
from shieldwall.cli.exports import document_in
from shieldwall.cli.graph_session import connected
from shieldwall.cli.names import REUSABLE_SETTINGS, find_reusable_setting
from shieldwall.cli.options import JsonOption, ReasonOption, ReusableArgument, YesOption
from shieldwall.cli.policy_import import read_file
from shieldwall.cli.presentation import printable, show_facts, show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="Reusable settings: list, show, create, change, delete.")

FileArgument = Annotated[Path, typer.Argument(help="The reusable setting as JSON, as it is exported.", exists=True)]


@app.command("list")
def list_reusable(*, as_json: JsonOption = False) -> None:
    """List the reusable settings of the tenant, and how many policies refer to each.

    Example: shieldwall reusable list
    """
    with speaking_plainly("list the reusable settings", as_json=as_json), connected() as session:
        found = list(session.pages(REUSABLE_SETTINGS))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["settingDefinitionId"],
            each["referencingConfigurationPolicyCount"],
            each["version"],
            each["id"],
        )
        for each in found
    ]
    show_table(("Name", "Definition", "Policies", "Version", "Id"), rows)


@app.command("show")
def show_reusable(wanted: ReusableArgument, *, as_json: JsonOption = False) -> None:
    """Show a reusable setting and the policies that refer to it.

    Example: shieldwall reusable show "Offices"
    """
    with speaking_plainly("show the reusable setting", as_json=as_json), connected() as session:
        path = f"{REUSABLE_SETTINGS}/{find_reusable_setting(session, wanted)}"
        found = session.call("GET", path)
        policies = list(session.pages(f"{path}/referencingConfigurationPolicies"))
    if as_json:
        show_json(found | {"referencingConfigurationPolicies": policies})
        return
    rows = [
        ("Name", found["displayName"]),
        ("Description", found["description"]),
        ("Definition", found["settingDefinitionId"]),
        ("Version", found["version"]),
        ("Policies", ", ".join(str(each["name"]) for each in policies) or "none"),
    ]
    show_facts(rows)


@app.command("create")
def create_reusable(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Make a reusable setting from a file.

    Example: shieldwall reusable create offices.json
    """
    with speaking_plainly("make the reusable setting", as_json=as_json):
        body = _read(file)
        with connected() as session:
            made = session.call("POST", REUSABLE_SETTINGS, body)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Definition", "Id"), [(made["displayName"], made["settingDefinitionId"], made["id"])])


@app.command("change")
def change_reusable(wanted: ReusableArgument, file: FileArgument, *, reason: ReasonOption = "") -> None:
    """Give a reusable setting the content of a file; every policy that refers to it gets a new revision.

    Example: shieldwall reusable change "Offices" offices.json --reason "A new office"
    """
    with speaking_plainly("change the reusable setting"):
        body = _read(file)
        with connected() as session:
            path = f"{REUSABLE_SETTINGS}/{find_reusable_setting(session, wanted)}"
            session.call("PATCH", path, body, reason=reason)
    typer.echo(f"Changed {printable(wanted)}.")


@app.command("delete")
def delete_reusable(wanted: ReusableArgument, *, yes: YesOption = False) -> None:
    """Delete a reusable setting that no policy refers to.

    Example: shieldwall reusable delete "Offices" --yes
    """
    if not yes:
        typer.confirm(f"Delete {wanted}?", abort=True)
    with speaking_plainly("delete the reusable setting"), connected() as session:
        session.call("DELETE", f"{REUSABLE_SETTINGS}/{find_reusable_setting(session, wanted)}")
    typer.echo(f"Deleted {printable(wanted)}.")


def _read(file: Path) -> dict[str, Any]:
    return authored(Kind.REUSABLE_SETTING, read_file(file, document_in))
