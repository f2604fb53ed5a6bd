"""From what is declared and what is there to what must be done: pure, and the same answer every time.

The laws: what a plan did needs no second plan; only names decide which object is meant; nothing is deleted that is
declared, and nothing at all without being told to prune.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shieldwall.cli.declared.comparing import comparable, differing
from shieldwall.cli.declared.objects import (
    Declared,
    EmptyDeclarationError,
    InvalidDeclarationError,
    Json,
    Kind,
    Present,
)
from shieldwall.cli.declared.reading import Declaration
from shieldwall.cli.declared.references import references_of


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to be done.

    ``document`` is what shall hold, ``present`` what is there; ``members`` says in what they differ.
    """

    kind: Kind
    action: Action
    name: str
    document: Json | None = None
    present: Present | None = None
    members: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Say in what the object changes."""
        return ", ".join(self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything to be done, in the order in which it can be done."""

    changes: tuple[Change, ...] = ()

    def of(self, kind: Kind, *actions: Action) -> list[Change]:
        """Return the changes of one kind, all or those of some actions."""
        return [each for each in self.changes if each.kind is kind and each.action in (actions or tuple(Action))]

    def count(self, action: Action) -> int:
        """Count the changes of one action."""
        return sum(each.action is action for each in self.changes)


def plan(
    declaration: Declaration, present: Sequence[Present], *, prune: bool = False, allow_empty: bool = False
) -> Plan:
    """Decide what to do so that everything declared holds; with ``prune``, that nothing else is there.

    Groups, filters and reusable settings are pruned only when the directory has a folder for them; policies always.

    Raises:
        InvalidDeclarationError: A name is not unique, unknown, or of something that would be deleted.
        EmptyDeclarationError: Nothing is declared, or all there is of a kind would be deleted; ``allow_empty`` lets it.
    """
    if not declaration.objects and not allow_empty:
        raise EmptyDeclarationError("The directory declares nothing.")
    _require_unique(declaration, present)
    made: list[Change] = []
    deleted: list[Change] = []
    for kind in Kind:
        there = [each for each in present if each.kind is kind]
        declared = declaration.of(kind)
        made += _made(declared, there)
        if prune and (kind is Kind.POLICY or kind in declaration.kinds):
            surplus = _surplus(declared, there)
            if surplus and len(surplus) == len(there) and not allow_empty:
                raise EmptyDeclarationError(f"This would delete every {kind} there is ({len(there)}).")
            deleted += surplus
    _require_references(declaration, present, deleted)
    return Plan(changes=(*made, *reversed(deleted)))


def _made(declared: Sequence[Declared], there: Sequence[Present]) -> list[Change]:
    by_name = {each.name: each for each in there}
    changes: list[Change] = []
    for each in sorted(declared, key=lambda one: one.name):
        found = by_name.get(each.name)
        if found is None:
            changes.append(Change(kind=each.kind, action=Action.CREATE, name=each.name, document=each.document))
        elif members := differing(each.kind, each.document, found.document):
            changes.append(
                Change(
                    kind=each.kind,
                    action=Action.CHANGE,
                    name=each.name,
                    document=each.document,
                    present=found,
                    members=members,
                )
            )
    return changes


def _surplus(declared: Sequence[Declared], there: Sequence[Present]) -> list[Change]:
    names = {each.name for each in declared}
    surplus = sorted((each for each in there if each.name not in names), key=lambda one: (one.name, one.id))
    return [Change(kind=each.kind, action=Action.DELETE, name=each.name, present=each) for each in surplus]


def _require_unique(declaration: Declaration, present: Sequence[Present]) -> None:
    """A name that is declared, or referred to, must say which object is meant."""
    used = {(each.kind, each.name) for each in declaration.objects}
    used |= {reference for each in declaration.of(Kind.POLICY) for reference in references_of(each.document)}
    counts = Counter((each.kind, each.name) for each in present)
    notes = [
        f"{count} objects on the server are a {kind} named {name!r}; names must be unique."
        for (kind, name), count in sorted(counts.items())
        if count > 1 and (kind, name) in used
    ]
    groups = [each for each in present if each.kind is Kind.GROUP]
    notes += [
        f"The group {each.name!r} is {_words(found.document)} on the server and {_words(each.document)} in {each.file}."
        for each in declaration.of(Kind.GROUP)
        for found in groups
        if found.name == each.name and _words(found.document) != _words(each.document)
    ]
    if notes:
        raise InvalidDeclarationError.of("The directory does not fit what is on the server.", notes)


def _require_references(declaration: Declaration, present: Sequence[Present], deleted: Iterable[Change]) -> None:
    """Whatever a policy refers to must be there in the end."""
    gone = {(each.kind, each.name) for each in deleted}
    there = {(each.kind, each.name) for each in declaration.objects}
    there |= {(each.kind, each.name) for each in present} - gone
    there |= {(each.kind, each.id) for each in present if (each.kind, each.name) not in gone}
    notes: list[str] = []
    for policy in _in_the_end(declaration, present, gone):
        for kind, word in references_of(policy):
            if (kind, word) in there:
                continue
            why = "would be deleted; declare it" if (kind, word) in gone else "is neither declared nor on the server"
            notes.append(f"The policy {policy['name']!r} refers to the {kind} {word!r}, which {why}.")
    if notes:
        raise InvalidDeclarationError.of("Policies refer to what will not be there.", sorted(set(notes)))


def _in_the_end(declaration: Declaration, present: Sequence[Present], gone: set[tuple[Kind, str]]) -> Iterable[Json]:
    """Yield every policy as it will be: assignments that are not declared stay as they are."""
    there = {each.name: each.document for each in present if each.kind is Kind.POLICY}
    declared = {each.name: each.document for each in declaration.of(Kind.POLICY)}
    for name, document in declared.items():
        kept = (
            {} if document.get("assignments") is not None else {"assignments": there.get(name, {}).get("assignments")}
        )
        yield document | kept
    if gone:
        for name, document in there.items():
            if name not in declared and (Kind.POLICY, name) not in gone:
                yield document


def _words(group: Json) -> str:
    return "dynamic" if comparable(Kind.GROUP, group)["membershipRule"] else "assigned"
