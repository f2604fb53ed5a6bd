"""Delta queries (``graph.delta``)."""

from __future__ import annotations

from typing import Any, Final

from shieldwall.server.graph.describing import answers
from shieldwall.server.openapi.description import JSON, Answer, Parameter
from shieldwall.server.openapi.shapes import ADDRESS, ID, TEXT, Component, Schema, list_of, record, said, word

_REMOVED: Final[Schema] = record({"reason": word("changed", "deleted")})
_TOKEN: Final = {"type": "string", "pattern": "^(?:[A-Za-z0-9_-]*)$"}
_MOVED: Final = list_of(
    record({"@odata.type": TEXT, "id": ID, "@removed": _REMOVED}, optional=["@removed"]),
)


def follows(item: Component) -> dict[str, Any]:
    """Describe a delta query over one kind of resource."""
    return answers(
        Answer(status=200, meaning="What there is, or what changed.", content={JSON: _changes_of(item)}),
        asks=(
            _asked("$select", "The members to show, separated by commas; `members` of groups among them.", TEXT),
            _asked("$expand", "`members`, of groups.", {"type": "string", "pattern": "^members$"}),
            _asked("$deltatoken", "Where the last round ended, from `@odata.deltaLink`; or `latest`.", _TOKEN),
            _asked("$skiptoken", "Where the page before ended, from `@odata.nextLink`.", _TOKEN),
            Parameter(
                name="Prefer",
                place="header",
                meaning="`odata.maxpagesize=50`: how much a page shall hold.",
                schema=TEXT,
            ),
        ),
        fails=(410,),
    )


def _changes_of(item: Component) -> Component:
    shown = {**item.schema, "properties": {**item.schema["properties"], "members@delta": _MOVED}}
    gone = record({"id": ID, "@removed": _REMOVED})
    return Component(
        f"{item.name}Delta",
        record(
            {
                "@odata.context": said(ADDRESS, "What the page is a part of."),
                "@odata.nextLink": said(ADDRESS, "The next page of the round."),
                "@odata.deltaLink": said(ADDRESS, "The next round; stands on the last page of this one."),
                "value": {"type": "array", "items": {"anyOf": [gone, shown]}},
            },
            optional=["@odata.nextLink", "@odata.deltaLink"],
        ),
    )


def _asked(name: str, meaning: str, schema: Schema) -> Parameter:
    return Parameter(name=name, place="query", meaning=meaning, schema=schema)
