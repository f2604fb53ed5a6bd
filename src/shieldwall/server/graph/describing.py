"""The words by which Graph's routes describe themselves, beside their permissions: ``opt=READ | lists(POLICY)``.

``lists``, ``shows``, ``creates``, ``changes``, ``does`` and ``removes`` say what a route answers, with which status.
``takes`` is the body: the struct that it is read into, or a schema. Ids in a path bring 404 with them. What else a
route may be asked stands in ``asks``, and further refusals in ``fails``. The shapes are in ``graph.schemas``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Any, Final

from shieldwall.server.graph.query import LARGEST_PAGE, MOST_SKIPPED
from shieldwall.server.graph.schemas.errors import ODATA_ERROR
from shieldwall.server.graph.schemas.paths import PARAMETERS, group_of
from shieldwall.server.openapi.description import (
    JSON,
    Answer,
    AnySchema,
    Body,
    Description,
    FrontDoor,
    Parameter,
    described,
)
from shieldwall.server.openapi.shapes import ADDRESS, COUNT, Component, Schema, list_of, record, said, word

GRAPH: Final = FrontDoor(
    name="Graph",
    error=ODATA_ERROR,
    error_type=JSON,
    always=frozenset({400, 408, 413, 421, 503}),
    guarded=frozenset({401, 403, 429}),
    with_body=frozenset({415}),
    with_path=frozenset({404}),
    passed_over=r"@odata\.|^#",
    group_of=group_of,
    parameters=PARAMETERS,
)

TOP: Final = Parameter(
    name="$top",
    place="query",
    meaning="How many resources a page holds.",
    schema={"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
)
SKIP_TOKEN: Final = Parameter(
    name="$skiptoken",
    place="query",
    meaning="Where the next page begins; follow `@odata.nextLink` instead of writing one.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
)
SKIP: Final = Parameter(
    name="$skip",
    place="query",
    meaning="How many resources to leave out; not together with `$skiptoken`.",
    schema={"type": "integer", "minimum": 0, "maximum": MOST_SKIPPED},
)
FILTER: Final = Parameter(
    name="$filter",
    place="query",
    meaning=(
        "Which resources fit: `startswith(displayName,'web') and createdDateTime ge 2026-01-01T00:00:00Z`. With `eq ne "
        "gt ge lt le in has and or not`, `startswith endswith contains tolower toupper length`, `any all`. A property "
        "that cannot be asked about is refused."
    ),
    schema={"type": "string"},
)
ORDER_BY: Final = Parameter(
    name="$orderby",
    place="query",
    meaning="By what resources are sorted, separated by commas: `displayName desc,id`.",
    schema={"type": "string"},
)
SEARCH: Final = Parameter(
    name="$search",
    place="query",
    meaning='Words that a resource has: `"displayName:web"`.',
    schema={"type": "string"},
)
COUNTED: Final = Parameter(
    name="$count",
    place="query",
    meaning="Whether `@odata.count` says how many fit on all pages together.",
    schema=word("true", "false"),
)
FORMAT: Final = Parameter(
    name="$format", place="query", meaning="JSON is the only one.", schema=word("json", "application/json")
)
SELECT: Final = Parameter(
    name="$select",
    place="query",
    meaning="The members to show, separated by commas, in any case; `id` is always among them.",
    schema={"type": "string"},
)
IF_MATCH: Final = Parameter(
    name="If-Match",
    place="header",
    meaning="The state that is changed, as ETag named it; another one is left alone.",
    schema={"type": "string"},
    statuses=(412, 428),
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match",
    place="header",
    meaning="The state that the client has, as ETag named it; then nothing is sent again.",
    schema={"type": "string"},
)
REASON: Final = Parameter(
    name="x-shieldwall-reason",
    place="header",
    meaning="Why something is changed: percent-encoded UTF-8. It stands in the revision and in the audit trail.",
    schema={"type": "string"},
)
ETAG: Final = ("ETag",)
PAGING: Final = (TOP, SKIP, SKIP_TOKEN)
ASKING: Final = (FILTER, ORDER_BY, SEARCH, COUNTED)
SHAPING: Final = (SELECT, FORMAT)
"""The options of OData: which part of a listing, which resources and in which order, and what is shown of each."""


def lists(
    item: Component,
    *,
    expand: Collection[str] = (),
    asks: Iterable[Parameter] = (),
    without: Collection[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe a listing in pages; ``expand`` are the navigation properties that may stand inside.

    ``without`` are options of OData that this listing refuses.
    """
    answer = Answer(status=200, meaning="One page of them.", content={JSON: collection_of(item)})
    usual = [each for each in (*PAGING, *ASKING, *SHAPING) if each not in without]
    return _described((answer,), asks=(*usual, *_expanding(expand), *asks), fails=fails, door=door)


def shows(
    item: Component,
    *,
    expand: Collection[str] = (),
    headers: tuple[str, ...] = (),
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe showing one resource."""
    given = [Answer(status=200, meaning="The resource.", content={JSON: item}, headers=headers)]
    if ETAG[0] in headers:
        given.append(Answer(status=304, meaning="It is as the client has it.", headers=headers))
        asks = (IF_NONE_MATCH, *asks)
    return _described(tuple(given), asks=(*SHAPING, *_expanding(expand), *asks), fails=fails, door=door)


def creates(
    item: AnySchema,
    *,
    takes: AnySchema | Body,
    headers: tuple[str, ...] = (),
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe making a resource: 201 with what was made."""
    answer = Answer(status=201, meaning="What was made.", content={JSON: item}, headers=headers)
    return _described((answer,), takes=takes, asks=asks, fails=fails, door=door)


def changes(
    item: AnySchema | None = None,
    *,
    takes: AnySchema | Body,
    headers: tuple[str, ...] = (),
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe a change: 200 with the resource as it is then, or 204."""
    return _described((_done(item, headers),), takes=takes, asks=asks, fails=fails, door=door)


def does(
    item: AnySchema | None = None,
    *,
    takes: AnySchema | Body | None = None,
    headers: tuple[str, ...] = (),
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe an action: 200 with what it says, or 204."""
    return _described((_done(item, headers),), takes=takes, asks=asks, fails=fails, door=door)


def removes(
    *,
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    status: int = 204,
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe taking something away: nothing is answered, mostly with 204."""
    return _described((Answer(status=status, meaning="It is gone."),), asks=asks, fails=fails, door=door)


def answers(
    *given: Answer,
    takes: AnySchema | Body | None = None,
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    """Describe a route for which no other word is right."""
    return _described(given, takes=takes, asks=asks, fails=fails, door=door)


def asked(name: str, meaning: str, schema: Schema, *, required: bool = False) -> Parameter:
    """Describe what a route takes in its query beside the options of OData."""
    return Parameter(name=name, place="query", meaning=meaning, schema=schema, required=required)


def collection_of(item: Component) -> Component:
    """One page of resources (``graph.resources.collection``)."""
    return Component(
        f"{item.name}Collection",
        record(
            {
                "@odata.context": said(ADDRESS, "What the page is a part of."),
                "@odata.count": said(COUNT, "How many there are on all pages together, where `$count` asked for it."),
                "@odata.nextLink": said(ADDRESS, "The next page; absent on the last one."),
                "value": list_of(item),
            },
            optional=["@odata.count", "@odata.nextLink"],
        ),
    )


def _done(item: AnySchema | None, headers: tuple[str, ...]) -> Answer:
    if item is None:
        return Answer(status=204, meaning=HTTPStatus.NO_CONTENT.phrase, headers=headers)
    return Answer(status=200, meaning="What came of it.", content={JSON: item}, headers=headers)


def _expanding(names: Collection[str]) -> tuple[Parameter, ...]:
    if not names:
        return ()
    known = ", ".join(f"`{name}`" for name in sorted(names))
    meaning = f"What to show inside, separated by commas: {known}; each may have options of its own in parentheses."
    return (Parameter(name="$expand", place="query", meaning=meaning, schema={"type": "string"}),)


def _described(
    given: tuple[Answer, ...],
    *,
    takes: AnySchema | Body | None = None,
    asks: Iterable[Parameter] = (),
    fails: Iterable[int] = (),
    door: FrontDoor = GRAPH,
) -> dict[str, Any]:
    body = takes if takes is None or isinstance(takes, Body) else Body(schema=takes)
    once = {each.name: each for each in asks}  # what a route says of a parameter counts, not what all say
    return described(
        Description(door=door, answers=given, takes=body, asks=tuple(once.values()), fails=frozenset(fails))
    )
