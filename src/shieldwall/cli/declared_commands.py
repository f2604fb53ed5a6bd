"""``shieldwall apply``, ``shieldwall diff`` and ``shieldwall policy export --all``: policies as files in git."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.declared.change_sets import Countable, countable, ids_of
from shieldwall.cli.declared.confirming import reasons_to_ask
from shieldwall.cli.declared.objects import FOLDERS, InvalidDeclarationError, Kind
from shieldwall.cli.declared.planning import Action, Plan, plan
from shieldwall.cli.declared.reading import read_directory
from shieldwall.cli.declared.server import Carrying, everything_on, previews_of
from shieldwall.cli.declared.writing import files_of, replace_files
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.options import JsonOption, ReasonOption, YesOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly
from shieldwall.cli.previews import show_preview
from shieldwall.contract.errors import ShieldwallError

DIFFERS: Final = 2
"""Exit code of ``diff``: the server is not as the directory says."""

_Previews = list[tuple[str, dict[str, Any]]]

DirectoryOption = Annotated[
    Path, typer.Option("--file", "-f", help="Directory with policies/, groups/, filters/, reusable-settings/.")
]
PruneOption = Annotated[bool, typer.Option("--prune", help="Delete what is on the server and not in the directory.")]
AllowEmptyOption = Annotated[
    bool, typer.Option("--allow-empty", help="Let the directory declare nothing, and pruning delete everything.")
]


def apply(
    directory: DirectoryOption,
    *,
    prune: PruneOption = False,
    allow_empty: AllowEmptyOption = False,
    confirm_above: Annotated[
        int, typer.Option("--confirm-above", min=0, help="Ask when something changes on more devices than this.")
    ] = 10,
    yes: YesOption = False,
    reason: ReasonOption = "shieldwall apply",
    as_json: JsonOption = False,
) -> None:
    """Bring the server to what the files of a directory say: policies, assignments, groups, filters, reusable settings.

    Shows the plan and what it would do to the devices; asks when it reaches many of them, lowers protection or may cut
    devices off. All policies are saved at once or not at all. Only JSON is read, not YAML.

    Example: shieldwall apply -f policies-in-git --prune --reason "Change 4711"
    """
    with speaking_plainly("apply the directory", as_json=as_json), connected() as session:
        present = everything_on(session)
        planned = plan(read_directory(directory), present, prune=prune, allow_empty=allow_empty)
        carrying = Carrying(session, planned, present, reason)
        known = countable(planned, carrying.ids, reason)
        previews = previews_of(session, planned, known)
        if not as_json:
            _show(planned, previews, known)
        _confirm(previews, known, threshold=confirm_above, yes=yes)
        carrying.prepare()
        if not known.is_whole and not yes:
            _look_again(session, planned, carrying, reason, threshold=confirm_above, silently=as_json)
        carrying.publish()
        carrying.clean_up()
    if as_json:
        show_json(_record(planned, previews, known) | {"applied": True})
    elif planned.changes:
        typer.echo("Applied.")


def diff(
    directory: DirectoryOption,
    *,
    prune: PruneOption = False,
    allow_empty: AllowEmptyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what ``shieldwall apply`` would do, and do nothing.

    Exit code 0: the server is as the directory says. 2: it differs. 1: the directory cannot be taken as it is.

    Example: shieldwall diff -f policies-in-git --prune
    """
    with speaking_plainly("compare the directory", as_json=as_json), connected() as session:
        present = everything_on(session)
        planned = plan(read_directory(directory), present, prune=prune, allow_empty=allow_empty)
        known = countable(planned, ids_of(present), "shieldwall diff")
        previews = previews_of(session, planned, known)
    if as_json:
        show_json(_record(planned, previews, known))
    else:
        _show(planned, previews, known)
    if planned.changes:
        raise typer.Exit(DIFFERS)


def export_everything(directory: Path, *, overwrite: bool) -> None:
    """Write everything that can be declared into a directory. Raises: ShieldwallError when files would be mixed."""
    found = (file for folder in FOLDERS.values() for file in (directory / folder).rglob("*.json"))
    there = [file for file in found if not file.is_dir()]
    if there and not overwrite:
        raise InvalidDeclarationError(
            f"{directory} holds {len(there)} files already.",
            remedy="Name another directory, or say --overwrite to replace them all.",
        )
    with connected() as session:
        files = files_of(everything_on(session))
    try:
        for folder in FOLDERS.values():
            (directory / folder).mkdir(parents=True, exist_ok=True)
        replace_files(directory, there, files)
    except OSError as error:
        cause = f"{error.filename or directory} cannot be written: {error.strerror}."
        raise ShieldwallError(cause, remedy="Name another directory, or make room in this one.") from None
    typer.echo(f"Wrote {len(files)} files to {directory}.")


def _look_again(
    session: GraphSession, planned: Plan, carrying: Carrying, reason: str, *, threshold: int, silently: bool
) -> None:
    """Now that everything new has an id, look at the whole effect, and ask again if there is reason to."""
    policies = Plan(changes=tuple(planned.of(Kind.POLICY)))
    known = countable(policies, carrying.ids, reason)
    previews = previews_of(session, policies, known)
    if not silently and reasons_to_ask((preview for _, preview in previews), (), threshold=threshold):
        typer.echo("Groups, filters and reusable settings are made; no policy is changed yet. Now it is known:")
        _show_previews(previews)
    _confirm(previews, known, threshold=threshold, yes=False)


def _confirm(previews: _Previews, known: Countable, *, threshold: int, yes: bool) -> None:
    reasons = reasons_to_ask((preview for _, preview in previews), known.unknown, threshold=threshold)
    if yes or not reasons:
        return
    for line in reasons:
        typer.echo(line, err=True)
    typer.confirm("Apply it?", abort=True, err=True)


def _show(planned: Plan, previews: _Previews, known: Countable) -> None:
    rows = [(change.action, change.kind, change.name, change.summary) for change in planned.changes]
    show_table(("Action", "Kind", "Name", "Differs in"), rows, empty="The server is as the directory says.")
    if not rows:
        return
    counts = ", ".join(f"{planned.count(action)} to {action}" for action in Action)
    typer.echo(f"{counts[0].upper()}{counts[1:]}.")
    _show_previews(previews)
    for line in known.unknown:
        typer.echo(f"Not known yet: {printable(line)}")


def _show_previews(previews: _Previews) -> None:
    for title, preview in previews:
        typer.echo(f"\n{printable(title)}")
        show_preview(preview)


def _record(planned: Plan, previews: _Previews, known: Countable) -> dict[str, Any]:
    changes = [
        {"action": each.action, "kind": each.kind, "name": each.name, "members": list(each.members)}
        for each in planned.changes
    ]
    shown = [{"of": title, "preview": preview} for title, preview in previews]
    return {"changes": changes, "previews": shown, "unknown": list(known.unknown)}
