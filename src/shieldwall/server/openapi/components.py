"""Brings every component that a description mentions to its one place in the document, and points there. Pure.

Bodies that are read into structs describe themselves: a struct may stand wherever a schema may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.openapi.shapes import Component, Schema

_TEMPLATE: Final = "#/components/schemas/{name}"


class AmbiguousComponentError(ShieldwallError):
    """Two different schemas of the API's description have one name."""

    code = "ambiguousComponent"
    remedy = "Give one of them another name."


class Components:
    """The schemas met so far, by name."""

    def __init__(self) -> None:
        self._met: dict[str, Any] = {}
        self.schemas: dict[str, Schema] = {}

    def placed(self, value: Any) -> Any:
        """Return a schema with references in the place of components and structs.

        Raises:
            AmbiguousComponentError: A name is taken by something else.
        """
        match value:
            case Component():
                self._keep(value.name, value, value.schema)
                return value.reference
            case type() if issubclass(value, msgspec.Struct):
                return self._struct(value)
            case Mapping():
                return {name: self.placed(member) for name, member in value.items()}
            case list() | tuple():
                return [self.placed(item) for item in value]
            case _:
                return value

    def _keep(self, name: str, origin: Any, schema: Any) -> None:
        if name in self._met:
            if self._met[name] is not origin and self._met[name] != origin:
                raise AmbiguousComponentError(f"The API's description has two schemas called {name}.")
            return
        self._met[name] = origin
        self.schemas[name] = {}  # the place is taken before what may lead back to it
        self.schemas[name] = self.placed(schema)

    def _struct(self, kind: type[msgspec.Struct]) -> Schema:
        (own,), parts = msgspec.json.schema_components([kind], ref_template=_TEMPLATE)
        for name, schema in parts.items():
            described = _as_ecmascript({member: each for member, each in schema.items() if member != "title"})
            self._keep(name, (name, msgspec.json.encode(described)), described)
        return dict(own)


def _as_ecmascript(value: Any) -> Any:
    """Write patterns as JSON Schema has them, which ends a text with ``$``; a line break before it is not meant."""
    match value:
        case Mapping():
            return {
                name: member.replace("\\Z", "$")
                if name == "pattern" and isinstance(member, str)
                else _as_ecmascript(member)
                for name, member in value.items()
            }
        case list():
            return [_as_ecmascript(item) for item in value]
        case _:
            return value
