"""How the routes describe themselves that belong to no front door: health, numbers, and the description itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shieldwall.contract.messages import Problem
from shieldwall.server.openapi.description import JSON, PROBLEM, Answer, Description, FrontDoor, Parameter, described
from shieldwall.server.openapi.shapes import TEXT, Component, record, text, word

OWN: Final = FrontDoor(
    name="Server",
    error=Problem,
    error_type=PROBLEM,
    always=frozenset({400, 408, 413, 421}),
    group_of=lambda path: "description" if path.startswith(("/openapi", "/docs")) else "health",
)
HEALTH: Final = Component("Health", record({"status": word("alive")}))
READINESS: Final = Component(
    "Readiness",
    record(
        {
            "status": word("ready", "notReady"),
            "database": text("`ok`, or the code of what is wrong."),
            "signer": text("`ok`, or the code of what is wrong."),
        }
    ),
)
DOCUMENT: Final = Component("OpenApiDocument", {"type": "object", "description": "spec.openapis.org/oas/v3.1.1"})
ALIVE: Final = Answer(status=200, meaning="It is.", content={JSON: HEALTH})
PREPARED: Final = (
    Answer(status=200, meaning="It can serve.", content={JSON: READINESS}),
    Answer(status=503, meaning="A part is missing.", content={JSON: READINESS}),
)
NUMBERS: Final = Answer(status=200, meaning="The numbers.", content={"text/plain": TEXT})
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match",
    place="header",
    meaning="The state that the caller has already, as ETag named it.",
    schema={"type": "string"},
)


def tells(*answers: Answer, asks: Iterable[Parameter] = ()) -> dict[str, Any]:
    """Describe a route of the server's own."""
    return described(Description(door=OWN, answers=answers, asks=tuple(asks)))
