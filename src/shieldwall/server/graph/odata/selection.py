"""``$select`` and ``$expand``: which members of a resource are shown, also of what is expanded below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.fields import FieldMap

Json: TypeAlias = dict[str, Any]
Expandable: TypeAlias = Mapping[str, "Expandable"]
"""What may be expanded, by name, each with what may be expanded below it."""

LONGEST: Final = 2_048
_DEEPEST: Final = 3
_MOST_NAMES: Final = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Members to show, in small letters (none: all of them), and what is expanded, each with its own selection."""

    names: frozenset[str] = frozenset()
    expanded: Mapping[str, Selection] = field(default_factory=dict)

    def shape(self, resource: Json) -> Json:
        """Keep the members selected; ``id``, annotations and what was expanded always stay."""
        shown = {name: value for name, value in resource.items() if self._keeps(name)}
        for name, below in self.expanded.items():
            if name in shown:
                shown[name] = below.shape_below(shown[name])
        return shown

    def shape_below(self, value: Any) -> Any:
        """Keep the members selected of what was expanded: one resource or several."""
        match value:
            case dict():
                return self.shape(value)
            case list():
                return [self.shape_below(each) for each in value]
            case _:
                return value

    def refuse_unknown(self, known: FieldMap, *more: str) -> None:
        """See that everything selected is a property, or one of ``more``. Raises: InvalidQueryError."""
        others = {name.lower() for name in more}
        for name in sorted(self.names):
            if not known.has(name) and name not in others:
                raise InvalidQueryError(f"$select: there is no property {name[:80]!r}.")

    def _keeps(self, name: str) -> bool:
        if not self.names:
            return True
        return name == "id" or "@odata." in name or name.lower() in self.names or name in self.expanded


def parse_selection(select: str, expand: str, expandable: Expandable) -> Selection:
    """Read both options.

    Raises:
        InvalidQueryError: Something cannot be expanded, stands twice, is nested too deep, or is no list of names.
    """
    for option, text in (("$select", select), ("$expand", expand)):
        if len(text) > LONGEST:
            raise InvalidQueryError(f"{option} is longer than {LONGEST} characters.")
    return _selection(select, expand, expandable, 1)


def _selection(select: str, expand: str, expandable: Expandable, depth: int) -> Selection:
    if depth > _DEEPEST:
        raise InvalidQueryError(f"$expand is nested more than {_DEEPEST} deep.")
    names = frozenset(_selected(select))
    by_name = {name.lower(): name for name in expandable}
    expanded: dict[str, Selection] = {}
    for item in _split(expand, ","):
        name, _, options = item.partition("(")
        known = by_name.get(name.strip().lower())
        if known is None:
            raise InvalidQueryError(f"$expand={name.strip()[:64]} is not supported here.")
        if known in expanded:
            raise InvalidQueryError(f"$expand names {known} twice.")
        expanded[known] = _below(options, expandable[known], depth) if options else Selection()
    return Selection(frozenset() if "*" in names else names, expanded)


def _below(written: str, expandable: Expandable, depth: int) -> Selection:
    if not written.endswith(")"):
        raise InvalidQueryError("$expand: a parenthesis is not closed.")
    options: dict[str, str] = {}
    for option in _split(written[:-1], ";"):
        name, sign, value = option.partition("=")
        key = name.strip().lower().removeprefix("$")
        if not sign or key not in {"select", "expand"} or key in options:
            raise InvalidQueryError(f"$expand: the option {name.strip()[:40]!r} is not supported, or stands twice.")
        options[key] = value
    return _selection(options.get("select", ""), options.get("expand", ""), expandable, depth + 1)


def _selected(text: str) -> Iterator[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) > _MOST_NAMES:
        raise InvalidQueryError(f"$select names more than {_MOST_NAMES} properties.")
    for name in names:
        first = name.partition("/")[0]
        if first != "*" and not first.replace("@odata.", "").replace(".", "").isidentifier():
            raise InvalidQueryError(f"$select: {name[:40]!r} is no property.")
        yield first.lower()


def _split(text: str, separator: str) -> Iterator[str]:
    """Cut a text where a separator stands outside of parentheses."""
    depth, start = 0, 0
    for index, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
        if sign == separator and depth == 0:
            yield from _given(text[start:index])
            start = index + 1
    if depth != 0:
        raise InvalidQueryError("$expand: parentheses do not match.")
    yield from _given(text[start:])


def _given(text: str) -> Iterator[str]:
    if text.strip():
        yield text.strip()
