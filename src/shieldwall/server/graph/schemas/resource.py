"""What all Graph resources have in common: annotations, members that ``$select`` leaves out, navigation properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from shieldwall.server.openapi.shapes import ALWAYS, TEXT, Component, Schema, list_of, nullable, open_record, said

ANNOTATION: Final = r"@odata\.|^#"
"""Members of a body that say nothing new (``graph.requests.is_annotation``)."""
PASSED_OVER: Final[Schema] = {"description": "Passed over: a client may send back what it read."}
SCOPE_TAGS: Final = said(list_of(TEXT), 'Ids of scope tags; `["0"]` where none was chosen.')

_ANNOTATIONS: Final[Mapping[str, Schema]] = {
    "@odata.context": said(TEXT, "What the resource is a part of."),
    "@odata.type": said(TEXT, "The type, where a listing may hold several."),
    "@odata.etag": said(TEXT, "The state of the resource."),
}


def resource(
    name: str,
    members: Mapping[str, Schema | Component],
    *,
    sometimes: Iterable[str] = (),
    expands: Mapping[str, Schema | Component] | None = None,
    key: str | None = "id",
    meaning: str = "",
) -> Component:
    """A resource: its ``members``, of which ``sometimes`` some are not there, and what ``$expand`` shows inside."""
    absent = set(sometimes)
    schema: Schema = {
        "type": "object",
        "properties": {**_ANNOTATIONS, **members, **(expands or {})},
        "required": [key] if key else [],
        ALWAYS: [member for member in members if member not in absent],
        "additionalProperties": False,
    }
    return Component(name, said(schema, meaning))


def body(
    name: str,
    members: Mapping[str, Schema | Component],
    *,
    required: Iterable[str] = (),
    passed_over: Iterable[str] = (),
    texts_passed_over: Iterable[str] = (),
    meaning: str = "",
) -> Component:
    """A body of a request: its ``members``, and what a client may send back because it read it.

    Members of ``passed_over`` may be anything, those of ``texts_passed_over`` texts or null.
    """
    ignored = dict.fromkeys(sorted(passed_over), PASSED_OVER)
    ignored |= {name: {**PASSED_OVER, **nullable(TEXT)} for name in sorted(texts_passed_over)}
    schema = open_record({**members, **ignored}, required=required)
    schema |= {"patternProperties": {ANNOTATION: {}}, "additionalProperties": False}
    return Component(name, said(schema, meaning))
