"""``shieldwall conflict-rules``: what decides when policies of a family set the same setting to different values."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Conflict rules of the tenant: show, set.")

CONFLICT_RULES: Final = "/beta/deviceManagement/conflictRules"


@app.command("show")
def show_rules(*, as_json: JsonOption = False) -> None:
    """Show the rule of each family.

    Example: shieldwall conflict-rules show
    """
    with speaking_plainly("show the conflict rules", as_json=as_json), connected() as session:
        found = _rules(session)
    if as_json:
        show_json(found)
    else:
        show_table(("Family", "Rule"), found.items())


@app.command("set")
def set_rules(
    rules: Annotated[
        list[str], typer.Argument(help="FAMILY=RULE; rules are published, nothing, priority and mostSecure.")
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do to the devices.")] = False,
    yes: YesOption = False,
) -> None:
    """Choose rules for families; the others keep theirs. Every device is looked at again.

    Example: shieldwall conflict-rules set antivirus=mostSecure firewall=priority
    """
    with speaking_plainly("set the conflict rules"), connected() as session:
        wanted = _rules(session) | dict(_rule(each) for each in rules)
        show_preview(session.call("POST", f"{CONFLICT_RULES}/preview", wanted))
        if dry_run:
            return
        if not yes:
            typer.confirm("Set these rules?", abort=True)
        session.call("PUT", CONFLICT_RULES, wanted)
    show_table(("Family", "Rule"), wanted.items())


def _rules(session: GraphSession) -> dict[str, Any]:
    answer = session.call("GET", CONFLICT_RULES)
    return {name: rule for name, rule in answer.items() if not name.startswith("@")}


def _rule(text: str) -> tuple[str, str]:
    family, equals, rule = text.partition("=")
    if not (family and equals and rule):
        raise ShieldwallError(f"{text!r} is not FAMILY=RULE.", remedy="Write, for one: antivirus=mostSecure.")
    return family, rule
