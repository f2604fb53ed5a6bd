"""``shieldwall policy``: endpoint security policies. Here: listing and showing them; beside it the other commands."""

from __future__ import annotations

from typing import Any, Final

import typer

from shieldwall.cli import policy_changes, policy_export, policy_history, policy_import
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import ODataOption, OrderOption, WordsOption, asked_of
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import FILTERS, GROUPS, POLICIES, find_policy
from shieldwall.cli.options import JsonOption, PolicyArgument
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Endpoint security policies: import, export, assign, preview, history, rollback.",
)
app.command("import")(policy_import.import_policies)
app.command("export")(policy_export.export)


@app.command("list")
def list_policies(
    *,
    odata: ODataOption = None,
    search: WordsOption = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the policies of the tenant: all of them, or those that fit.

    Example: shieldwall policy list --filter "startswith(name,'Linux')" --order 'lastModifiedDateTime desc'
    """
    with speaking_plainly("list the policies", as_json=as_json), connected() as session:
        asked = asked_of(odata=odata, order=order, words=search, member="name")
        found = list(session.pages(POLICIES, query=asked))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["name"],
            each["templateReference"]["templateDisplayName"],
            each["platforms"],
            each["settingCount"],
            "yes" if each["isAssigned"] else "no",
            each["id"],
        )
        for each in found
    ]
    show_table(("Name", "Profile", "Platform", "Settings", "Assigned", "Id"), rows)


@app.command("show")
def show_policy(policy: PolicyArgument, *, as_json: JsonOption = False) -> None:
    """Show a policy, whom it is assigned to, and how many devices stand where.

    Example: shieldwall policy show "Linux servers: antivirus"
    """
    with speaking_plainly("show the policy", as_json=as_json), connected() as session:
        policy_id = find_policy(session, policy)
        found = session.call("GET", f"{POLICIES}/{policy_id}", query={"$expand": "settings,assignments,shieldwall"})
        found["statusSummary"] = session.call("GET", f"{POLICIES}/{policy_id}/statusSummary")
        named = {} if as_json else _names(session, found["assignments"])
    if as_json:
        show_json(found)
        return
    summary = {name: count for name, count in found["statusSummary"].items() if not name.startswith("@")}
    rows = [
        ("Name", found["name"]),
        ("Description", found["description"]),
        ("Profile", found["templateReference"]["templateDisplayName"]),
        ("Revision", found["shieldwall"]["revision"]),
        ("Modified", moment_in_words(found["lastModifiedDateTime"], present())),
        ("Settings", found["settingCount"]),
        ("Assigned to", ", ".join(_target(each["target"], named) for each in found["assignments"]) or "nobody"),
        ("Devices", ", ".join(f"{name} {count}" for name, count in summary.items())),
    ]
    show_facts(rows)


app.command("assign")(policy_changes.assign)
app.command("preview")(policy_changes.preview)
app.command("copy")(policy_changes.copy)
app.command("reorder")(policy_changes.reorder)
app.command("history")(policy_history.history)
app.command("diff")(policy_history.diff)
app.command("rollback")(policy_history.rollback)
app.command("delete")(policy_changes.delete)


def _names(session: GraphSession, assignments: list[dict[str, Any]]) -> dict[str, str]:
    """Look up what the groups and filters of assignments are called, when there are any."""
    targets = [each["target"] for each in assignments]
    listings = [GROUPS] if any(target.get("groupId") for target in targets) else []
    listings += [FILTERS] if any(_filter_of(target) for target in targets) else []
    return {each["id"]: each["displayName"] for listing in listings for each in session.pages(listing)}


def _filter_of(target: dict[str, Any]) -> str | None:
    found: str | None = target.get("deviceAndAppManagementAssignmentFilterId")
    return found


def _target(target: dict[str, Any], names: dict[str, str]) -> str:
    kind = target["@odata.type"].removeprefix("#microsoft.graph.")
    words = {"groupAssignmentTarget": "group", "exclusionGroupAssignmentTarget": "not group"}
    group, narrowing = target.get("groupId", ""), _filter_of(target)
    said = f"{words.get(kind, 'all devices')} {names.get(group, group)}".strip()
    if narrowing is None:
        return said
    how = target.get("deviceAndAppManagementAssignmentFilterType")
    return f"{said} ({'without' if how == 'exclude' else 'only'} filter {names.get(narrowing, narrowing)})"
