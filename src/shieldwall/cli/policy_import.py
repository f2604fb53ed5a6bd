"""``shieldwall policy import``: exports of other servers and tools become policies, and nothing is dropped unsaid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.exports import Exported, InvalidExportError, document_in, policies_in
from shieldwall.cli.fragments import merged
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.names import POLICIES
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

LEFT_OUT: Final = 3
"""Exit code: policies were made, and something of their exports was left out."""

_NEVER_TAKEN: Final = "assignmentsNotImported"
"""Assignments name groups of another place. That they are not taken is said, and no part of the policy is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A policy to be imported, and where it came from."""

    file: Path
    exported: Exported

    @property
    def place(self) -> str:
        """The file, and the place in it where it holds more than one policy."""
        return f"{self.file}{':' if self.exported.place else ''}{self.exported.place.removeprefix('.')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the server made of a source, or would make."""

    source: Source
    answer: dict[str, Any]

    @property
    def policy(self) -> dict[str, Any] | None:
        """The policy, where one can be made; one without any of the settings of its export is none."""
        policy: dict[str, Any] | None = self.answer["policy"]
        nothing_left = policy is not None and policy["settingCount"] == 0 and self.source.exported.document["settings"]
        return None if nothing_left else policy

    @property
    def left_out(self) -> list[str]:
        """The parts that have no place here, one line each."""
        return [f"{self.source.place}: {_line(part)}" for part in self.answer["leftOut"]]

    @property
    def is_whole(self) -> bool:
        """Tell whether the policy has everything that its export had."""
        return self.policy is not None and not self.missing

    @property
    def missing(self) -> list[str]:
        """The parts of the policy itself that have no place here, one line each."""
        parts = [part for part in self.answer["leftOut"] if part["code"] != _NEVER_TAKEN]
        return [f"{self.source.place}: {_line(part)}" for part in parts]

    @property
    def record(self) -> dict[str, Any]:
        """The same for programs."""
        policy = self.policy or {"id": None, "name": self.source.exported.name}
        reported = {"leftOut": self.answer["leftOut"], "ignored": self.answer["ignored"]}
        return policy | {"file": printable(self.source.place)} | reported


def import_policies(
    files: Annotated[list[Path], typer.Argument(help="Exported policies: JSON in any encoding.", exists=True)],
    *,
    fragments: Annotated[
        Path | None,
        typer.Option("--fragments", help="File of settings or items to be put into the one policy.", exists=True),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made and left out.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Make nothing when a part would be left out.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Make the policies that can be made, without others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make policies from exported JSON, as Microsoft Graph, Intune and backup tools write it.

    Every file is read and checked by the server before the first policy is made; when one yields no policy, none is
    made. Parts that have no place here are left out and named one by one. Ids, dates and assignments are not taken.

    Exit code 0: everything was taken. 3: parts were left out. 1: nothing was made.

    Example: shieldwall policy import samples/policies/linux-antivirus.json
    """
    with speaking_plainly("import the policies", as_json=as_json):
        sources = read_sources(files, fragments)
        with connected() as session:
            checked = [_asked(session, "import/check", source) for source in sources]
            _refuse(checked, whole=whole, partial=partial)
            taken = [outcome.source for outcome in checked if outcome.policy is not None]
            made = [outcome for outcome in checked if outcome.policy is None]
            made += checked_only(checked) if dry_run else _made(session, taken)
    if as_json:
        show_json([outcome.record for outcome in made])
    else:
        _show(made, dry_run=dry_run)
    for line in (line for outcome in made for line in outcome.left_out):
        typer.echo(printable(f"Left out: {line}"), err=True)
    if not all(outcome.is_whole for outcome in made):
        raise typer.Exit(LEFT_OUT)


def read_sources(files: Sequence[Path], fragments: Path | None) -> list[Source]:
    """Read the policies of all files. Raises: InvalidExportError naming every file that cannot be read."""
    found: list[Source] = []
    refused: list[str] = []
    for file in files:
        try:
            found += [Source(file=file, exported=exported) for exported in read_file(file, policies_in)]
        except InvalidExportError as error:
            refused.append(error.cause)
    if refused:
        raise _with_notes(f"{len(refused)} of {len(files)} files cannot be read as policies.", refused)
    if fragments is None:
        return found
    if len(found) != 1:
        raise InvalidExportError(f"Fragments belong to one policy; {len(found)} were given.")
    (source,) = found
    document = read_file(fragments, lambda content: merged(source.exported.document, document_in(content)))
    return [Source(file=source.file, exported=Exported(place=source.exported.place, document=document))]


def read_file(file: Path, reading: Callable[[bytes], Any]) -> Any:
    """Read a file, and name it in whatever is wrong with it. Raises: InvalidExportError."""
    try:
        return reading(file.read_bytes())
    except OSError as error:
        raise InvalidExportError(f"{file} cannot be read: {error.strerror}.") from None
    except InvalidExportError as error:
        raise InvalidExportError(f"{file}: {error.cause}") from None


def checked_only(checked: Sequence[Outcome]) -> list[Outcome]:
    """Return what would be made."""
    return [outcome for outcome in checked if outcome.policy is not None]


def _asked(session: GraphSession, action: str, source: Source) -> Outcome:
    return Outcome(source=source, answer=session.call("POST", f"{POLICIES}/{action}", source.exported.document))


def _refuse(checked: Sequence[Outcome], *, whole: bool, partial: bool) -> None:
    unusable = [outcome for outcome in checked if outcome.policy is None]
    if unusable and (not partial or len(unusable) == len(checked)):
        lines = [line for outcome in checked for line in outcome.missing]
        alone = len(unusable) == len(checked)
        remedy = None if alone else "Correct or leave out those named, or say --partial; nothing was made."
        raise _with_notes(f"{len(unusable)} of {len(checked)} exports yield no policy here.", lines, remedy)
    if whole and (lines := [line for outcome in checked for line in outcome.missing]):
        raise _with_notes(f"{len(lines)} parts have no place here.", lines)


def _made(session: GraphSession, sources: Sequence[Source]) -> list[Outcome]:
    made: list[Outcome] = []
    try:
        for source in sources:
            made.append(_asked(session, "import", source))  # noqa: PERF401 - what was made before a failure is named
    except ShieldwallError as error:
        for outcome in made:
            if outcome.policy is not None:
                error.add_note(f"Made before that: {outcome.policy['name']} {outcome.policy['id']}")
        raise
    return made


def _show(outcomes: Sequence[Outcome], *, dry_run: bool) -> None:
    rows = [
        (
            outcome.policy["name"],
            "would be made" if dry_run else outcome.policy["id"],
            outcome.policy["settingCount"],
            len(outcome.left_out) or "",
        )
        for outcome in outcomes
        if outcome.policy is not None
    ]
    show_table(("Name", "Id", "Settings", "Left out"), rows)


def _line(part: dict[str, Any]) -> str:
    place, allowed = part.get("path") or "the policy", part.get("allowed")
    return f"{place}: {part['message']}{f' Allowed: {allowed}' if allowed else ''} [{part['code']}]"


def _with_notes(cause: str, lines: Sequence[str], remedy: str | None = None) -> InvalidExportError:
    refused = InvalidExportError(cause, remedy=remedy)
    for line in lines:
        refused.add_note(line)
    return refused
