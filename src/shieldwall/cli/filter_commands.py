"""``shieldwall filter``: assignment filters, which narrow an assignment to devices that match a rule."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.names import FILTERS, find_filter
from shieldwall.cli.options import FilterArgument, JsonOption, YesOption
from shieldwall.cli.presentation import member_in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Assignment filters: list, create, change, preview, delete.")

RuleOption = Annotated[str | None, typer.Option("--rule", help="Rule, as for the membership of groups.")]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="What the filter is for.")]


@app.command("list")
def list_filters(*, as_json: JsonOption = False) -> None:
    """List the filters of the tenant.

    Example: shieldwall filter list
    """
    with speaking_plainly("list the filters", as_json=as_json), connected() as session:
        found = list(session.pages(FILTERS))
    if as_json:
        show_json(found)
        return
    rows = [(each["displayName"], each["platform"], each["rule"], each["id"]) for each in found]
    show_table(("Name", "Platform", "Rule", "Id"), rows)


@app.command("show")
def show_filter(wanted: FilterArgument, *, as_json: JsonOption = False) -> None:
    """Show one filter.

    Example: shieldwall filter show "Edge servers"
    """
    with speaking_plainly("show the filter", as_json=as_json), connected() as session:
        found = session.call("GET", f"{FILTERS}/{find_filter(session, wanted)}")
    if as_json:
        show_json(found)
    else:
        show_facts((name, member_in_words(name, value)) for name, value in found.items() if not name.startswith("@"))


@app.command("create")
def create_filter(
    name: Annotated[str, typer.Argument(help="Name of the filter.")],
    *,
    platform: Annotated[str, typer.Option("--platform", help="linux, macOS or windows10AndLater.")],
    rule: Annotated[str, typer.Option("--rule", help="Rule, as for the membership of groups.")],
    description: Annotated[str, typer.Option("--description", help="What the filter is for.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a filter.

    Example: shieldwall filter create "Edge servers" --platform linux --rule '(device.displayName -startsWith "edge")'
    """
    body = {"displayName": name, "description": description, "platform": platform, "rule": rule}
    with speaking_plainly("make the filter", as_json=as_json), connected() as session:
        made = session.call("POST", FILTERS, body)
    if as_json:
        show_json(made)
    else:
        show_table(("Name", "Rule", "Id"), [(made["displayName"], made["rule"], made["id"])])


@app.command("change")
def change_filter(
    wanted: FilterArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    rule: RuleOption = None,
    description: DescriptionOption = None,
) -> None:
    """Change a filter; devices whose policies depend on it follow at once.

    Example: shieldwall filter change "Edge servers" --rule '(device.displayName -startsWith "edge-")'
    """
    given = {"displayName": name, "rule": rule, "description": description}
    body: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    with speaking_plainly("change the filter"), connected() as session:
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Give --name, --rule or --description.")
        session.call("PATCH", f"{FILTERS}/{find_filter(session, wanted)}", body)
    typer.echo(f"Changed {printable(wanted)}.")


@app.command("preview")
def preview_filter(
    wanted: FilterArgument,
    *,
    rule: Annotated[str, typer.Option("--rule", help="The rule to try.")],
    as_json: JsonOption = False,
) -> None:
    """Show what another rule would do to the devices.

    Example: shieldwall filter preview "Edge servers" --rule '(device.displayName -startsWith "edge-")'
    """
    with speaking_plainly("preview the rule", as_json=as_json), connected() as session:
        found = session.call("POST", f"{FILTERS}/{find_filter(session, wanted)}/preview", {"rule": rule})
    if as_json:
        show_json(found)
    else:
        show_preview(found)


@app.command("delete")
def delete_filter(wanted: FilterArgument, *, yes: YesOption = False) -> None:
    """Delete a filter that no assignment uses.

    Example: shieldwall filter delete "Edge servers" --yes
    """
    if not yes:
        typer.confirm(f"Delete {wanted}?", abort=True)
    with speaking_plainly("delete the filter"), connected() as session:
        session.call("DELETE", f"{FILTERS}/{find_filter(session, wanted)}")
    typer.echo(f"Deleted {printable(wanted)}.")
