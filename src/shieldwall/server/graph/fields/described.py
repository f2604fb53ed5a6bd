"""Fields as the description of a resource has them: its schema names every member and its type.

In a listing that is held in memory every member with a value of one type can be asked about. In one that SQL reads,
those can that are given here with a column; the others can be selected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.server.graph.fields.words import PLATFORMS, TECHNOLOGIES
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import Complex, Field, FieldMap, Kind, Many, Property, Shown
from shieldwall.server.openapi.description import DESCRIPTION, JSON, Description
from shieldwall.server.openapi.shapes import Component, Schema

_DEEPEST: Final = 3
_FLAGS: Final = {"platforms": PLATFORMS, "technologies": TECHNOLOGIES}
_KINDS: Final = {"boolean": Kind.BOOLEAN, "integer": Kind.NUMBER, "number": Kind.NUMBER, "string": Kind.TEXT}
_FORMATS: Final = {"date-time": Kind.MOMENT, "uuid": Kind.GUID}


def described(component: Component, *known: Property, searched: Mapping[str, str] | None = None) -> FieldMap:
    """Make the fields of a resource; those ``known`` better take the place of what the description says."""
    better = {each.name: each for each in known}
    members = {**_members(component, 1), **better}
    return FieldMap(tuple(members.values()), searched=searched or {})


def fields_of_route(opt: Mapping[str, Any]) -> FieldMap:
    """Return the fields of the resources that a route lists, as it describes them; none where it says nothing."""
    description = opt.get(DESCRIPTION)
    if not isinstance(description, Description):
        return fields.EMPTY
    for answer in description.answers:
        found: Any = answer.content.get(JSON)
        value = found.schema.get("properties", {}).get("value") if isinstance(found, Component) else None
        if value is not None:
            return described(value["items"])
    return fields.EMPTY


def _members(schema: Schema | Component, depth: int) -> dict[str, Property]:
    properties = _plain(schema).get("properties", {})
    return {name: _property(name, each, depth) for name, each in properties.items()}


def _property(name: str, schema: Schema | Component, depth: int) -> Property:
    plain = _plain(schema)
    kind = plain.get("type")
    if name in _FLAGS and kind == "string":
        return fields.flags(name, _FLAGS[name])
    match kind:
        case "object" if "properties" in plain and depth < _DEEPEST:
            return Complex(name=name, fields=FieldMap(tuple(_members(plain, depth + 1).values())))
        case "array" if depth < _DEEPEST:
            return _many(name, plain["items"], depth)
        case str() if kind in _KINDS:
            return _field(name, kind, plain)
        case _:
            return Shown(name=name)


def _field(name: str, kind: str, plain: Schema) -> Field:
    if "enum" in plain and name != "id":
        return fields.choice(name, [str(word) for word in plain["enum"] if word is not None])
    return Field(name=name, kind=_FORMATS.get(plain.get("format", ""), _KINDS[kind]))


def _many(name: str, items: Schema | Component, depth: int) -> Property:
    element = _property(name, items, depth + 1)
    match element:
        case Field():
            return Many(name=name, element=element)
        case Complex():
            return Many(name=name, element=element.fields)
        case _:
            return Shown(name=name)


def _plain(schema: Schema | Component) -> Schema:
    """Return a schema without what says no more than that nothing may stand there."""
    found: Any = schema.schema if isinstance(schema, Component) else schema
    if not isinstance(found, dict):
        return {}  # a struct of ours, which nobody asks about in parts
    for several in ("allOf", "anyOf", "oneOf"):
        others = [each for each in found.get(several, ()) if not _is_nothing(each)]
        if len(others) == 1:
            return _plain(others[0])
    kind = found.get("type")
    if isinstance(kind, list):
        (first, *_) = [each for each in kind if each != "null"] or ["null"]
        return {**found, "type": first}
    return dict(found)


def _is_nothing(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"
