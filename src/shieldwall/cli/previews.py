"""What a change would do, as the server previews it, for people: short sections, the grave ones first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import typer

from shieldwall.cli.presentation import in_words, show_facts, show_table

Json: TypeAlias = dict[str, Any]

_CLASSES: Final = {
    "strengthen": "stronger",
    "neutral": "neutral",
    "weaken": "WEAKER",
    "connectivityRisk": "MAY CUT OFF",
}

_GRAVE: Final = frozenset({"weaken", "connectivityRisk"})
"""Classes of changes that stand in a block of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a preview: a heading and a table below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def facts_of(preview: Json) -> list[tuple[str, str]]:
    """Say in numbers how far a change would reach."""
    return [
        ("Devices in scope", str(preview["devices"])),
        ("Devices with another target", str(preview["devicesTargeted"])),
        ("Devices where something changes", str(preview["devicesChanged"])),
        ("Protection lowered", _count(preview["protectionLowered"], "setting")),
        ("Restart needed", _count(preview["restart"], "setting")),
    ]


def sections_of(preview: Json) -> list[Section]:
    """Write a preview as sections; a section without rows is left out."""
    grave = [*preview["protectionLowered"], *preview["connectivityRisk"]]
    others = [each for each in preview["changes"] if each["class"] not in _GRAVE]
    sections = (
        _changes("PROTECTION LOWERED", preview["protectionLowered"], with_class=False),
        _changes("CONNECTIVITY AT RISK", preview["connectivityRisk"], with_class=False),
        _conflicts("Conflicts made", preview["conflictsMade"]),
        _conflicts("Conflicts solved", preview["conflictsSolved"]),
        _changes("Other changes" if grave else "Changes", others, with_class=True),
        Section(
            title="Not applicable there",
            columns=("Setting", "Devices", "Reason"),
            rows=tuple((_name(each), str(each["devices"]), str(each["reason"])) for each in preview["notApplicable"]),
        ),
        Section(
            title="CANNOT BE TAKEN BACK BEFORE A RESTART",
            columns=("Setting", "Devices"),
            rows=tuple((_name(each), str(each["devices"])) for each in preview.get("irreversible", ())),
        ),
        Section(
            title="Restart needed for",
            columns=("Setting", "Devices"),
            rows=tuple((_name(each), str(each["devices"])) for each in preview["restart"]),
        ),
    )
    return [section for section in sections if section.rows]


def show_preview(preview: Json) -> None:
    """Print a preview."""
    show_facts(facts_of(preview))
    for section in sections_of(preview):
        typer.echo("")
        typer.echo(section.title)
        show_table(section.columns, section.rows)


def _changes(title: str, changes: Sequence[Json], *, with_class: bool) -> Section:
    columns = ("Setting", "Now", "Then", "Devices", "For example")
    rows = [
        (
            _name(each),
            in_words(each["before"]),
            in_words(each["after"]),
            str(each["devices"]),
            ", ".join(str(name) for name in each["examples"]),
        )
        for each in changes
    ]
    if not with_class:
        return Section(title=title, columns=columns, rows=tuple(rows))
    classes = [(class_in_words(each["class"]),) for each in changes]
    return Section(
        title=title,
        columns=("Effect", *columns),
        rows=tuple(effect + row for effect, row in zip(classes, rows, strict=True)),
    )


def class_in_words(change_class: object) -> str:
    """Say what a class of change means for the protection."""
    return _CLASSES.get(str(change_class), str(change_class or ""))


def _conflicts(title: str, conflicts: Iterable[Json]) -> Section:
    rows = tuple(
        (_name(each), str(each["devices"]), ", ".join(str(policy["name"]) for policy in each["policies"]))
        for each in conflicts
    )
    return Section(title=title, columns=("Setting", "Devices", "Policies"), rows=rows)


def _name(each: Json) -> str:
    subject = each.get("subject")
    return f"{each['displayName']} ({subject})" if subject else str(each["displayName"])


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}" if items else "no"
