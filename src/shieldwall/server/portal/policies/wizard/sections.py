"""The settings of a form in chapters, and only those that somebody looks for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from shieldwall.catalog.model import Catalog, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.server.portal.policies.wizard.form_fields import Control, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Fields of one category. ``count`` are those that are set, ``faulty`` those at which something is wrong."""

    title: str
    fields: tuple[Field, ...]
    count: int
    faulty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What somebody looks for: words that all have to be found, and whether only among what is set."""

    words: tuple[str, ...] = ()
    only_set: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether all fields are shown."""
        return not self.words and not self.only_set


def looking_for(text: str, *, only_set: bool) -> Looking:
    """Read what somebody typed into the search."""
    return Looking(words=tuple(text.casefold().split()), only_set=only_set)


def found(catalog: Catalog, fields: Iterable[Field], looking: Looking) -> tuple[Field, ...]:
    """Return the fields that somebody looks for; of a group only those of its members, unless it is meant itself."""
    return tuple(_found(catalog, fields, looking))


def applicable(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Leave out what is not set and does not go with what its siblings say; one left out says its default."""
    together = tuple(fields)
    says = {each.definition.id: each.texts[0] if each.texts else each.definition.default for each in together}
    return tuple(
        field
        for field in together
        if field.is_set or all(says.get(each.setting) in each.options for each in field.definition.requires)
    )


def sections(fields: Iterable[Field], faulty: Collection[SettingId] = ()) -> tuple[Section, ...]:
    """Put fields into the chapters of their categories, in the order in which these first come."""
    chapters: dict[str, list[Field]] = {}
    for field in fields:
        chapters.setdefault(field.definition.category, []).append(field)
    return tuple(
        Section(
            title=title,
            fields=tuple(chapter),
            count=sum(map(_count, chapter)),
            faulty=sum(each.definition.id in faulty for field in chapter for each in _all(field)),
        )
        for title, chapter in chapters.items()
    )


def _found(catalog: Catalog, fields: Iterable[Field], looking: Looking) -> Iterator[Field]:
    for field in fields:
        if looking.only_set and not field.is_set:
            continue
        if all(word in _words(field.definition) for word in looking.words):
            yield field
        elif field.control is Control.GROUP and (members := found(catalog, field.children, looking)):
            yield replace(field, children=members)
        elif field.control is not Control.GROUP and _holds(catalog, field.definition, looking):
            yield field


def _holds(catalog: Catalog, definition: SettingDefinition, looking: Looking) -> bool:
    """Whether anything that may stand inside a setting is looked for, set or not."""
    inside = (catalog.definition(setting) for setting in definition.nested())
    return any(all(word in _words(each) for word in looking.words) or _holds(catalog, each, looking) for each in inside)


def _words(definition: SettingDefinition) -> str:
    names = (option.display_name for option in definition.options)
    said = (definition.display_name, definition.description, definition.category, definition.id, *names)
    return "\n".join(said).casefold()


def _count(field: Field) -> int:
    if field.control is Control.GROUP:
        return sum(map(_count, field.children))
    return int(field.is_set)


def _all(field: Field) -> Iterator[Field]:
    yield field
    for child in field.children:
        yield from _all(child)
