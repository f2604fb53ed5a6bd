"""Words for writing JSON Schema (draft 2020-12) briefly: what a member of a resource is, and what belongs together.

A ``Component`` stands wherever a schema may stand. The document gives it a place of its own and points there
(``server.openapi.components``), so nobody keeps a list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Schema = dict[str, Any]

ALWAYS: Final = "x-shieldwall-always"
"""Members of a resource that are there unless ``$select`` left them out."""


@dataclass(frozen=True, slots=True)
class Component:
    """A schema with a name, written once in the document."""

    name: str
    schema: Schema

    @property
    def reference(self) -> Schema:
        """What stands in other places for it. A schema that contains itself says this where it does."""
        return {"$ref": f"#/components/schemas/{self.name}"}


ANYTHING: Final[Schema] = {}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NOTHING: Final[Schema] = {"type": "null"}
ID: Final[Schema] = {"type": "string", "format": "uuid"}
ADDRESS: Final[Schema] = {"type": "string", "format": "uri"}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^[a-z0-9-]+:[A-Za-z0-9_-]+$"}


def text(meaning: str = "", **limits: Any) -> Schema:
    """A text, with ``minLength``, ``maxLength`` or ``pattern`` where it has limits."""
    return said({"type": "string", **limits}, meaning)


def number(meaning: str = "", **limits: Any) -> Schema:
    """A whole number, with ``minimum`` and ``maximum`` where it has limits."""
    return said({"type": "integer", **limits}, meaning)


def said(schema: Schema, meaning: str) -> Schema:
    """The same schema with what it means in words."""
    return {**schema, "description": meaning} if meaning else schema


def read_only(schema: Schema | Component) -> Schema:
    """What the server alone decides."""
    return {**_plain(schema), "readOnly": True}


def nullable(schema: Schema | Component) -> Schema:
    """The schema, or null."""
    plain = _plain(schema)
    kind = plain.get("type")
    if isinstance(kind, str) and "enum" not in plain:
        return {**plain, "type": [kind, "null"]}
    return {"anyOf": [schema, NOTHING]}


def list_of(schema: Schema | Component, **limits: Any) -> Schema:
    """A list of such values, with ``minItems``, ``maxItems`` or ``uniqueItems`` where it has limits."""
    return {"type": "array", "items": schema, **limits}


def word(*words: str | type[Enum] | Iterable[str]) -> Schema:
    """One of some words: given one by one, or as the enumeration that has them."""
    known: list[str] = []
    for each in words:
        known += [each] if isinstance(each, str) else [str(one.value if isinstance(one, Enum) else one) for one in each]
    return {"type": "string", "enum": known}


def constant(value: str) -> Schema:
    """This text and no other."""
    return {"type": "string", "const": value}


def map_of(schema: Schema | Component) -> Schema:
    """An object whose members have names of their own and values of one kind."""
    return {"type": "object", "additionalProperties": schema}


def record(members: Mapping[str, Schema | Component], *, optional: Iterable[str] = (), meaning: str = "") -> Schema:
    """An object with these members and no others; all are there but the optional ones."""
    absent = set(optional)
    schema: Schema = {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in absent],
        "additionalProperties": False,
    }
    return said(schema, meaning)


def open_record(
    members: Mapping[str, Schema | Component], *, required: Iterable[str] = (), meaning: str = ""
) -> Schema:
    """An object as others may send it: these members, and more that are passed over."""
    return said({"type": "object", "properties": dict(members), "required": list(required)}, meaning)


def tagged(member: str, kinds: Mapping[str, Component], meaning: str = "") -> Schema:
    """One of several shapes, told apart by the value of one member."""
    mapping = {value: kind.reference["$ref"] for value, kind in kinds.items()}
    schema: Schema = {
        "oneOf": list({kind.name: kind for kind in kinds.values()}.values()),
        "discriminator": {"propertyName": member, "mapping": mapping},
    }
    return said(schema, meaning)


def _plain(schema: Schema | Component) -> Schema:
    return {"allOf": [schema]} if isinstance(schema, Component) else schema
