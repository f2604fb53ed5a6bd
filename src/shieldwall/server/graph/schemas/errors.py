"""Errors as Graph writes them (``graph.errors.error_body``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.openapi.shapes import COUNT, TEXT, Component, list_of, record, text

_DETAIL: Final = Component(
    "ErrorDetail",
    record(
        {
            "code": text("A stable code of what is wrong."),
            "target": text("Where it stands, as a path into the body."),
            "message": text("What is wrong, and what would be right."),
        }
    ),
)
ODATA_ERROR: Final = Component(
    "ODataError",
    record(
        {
            "error": record(
                {
                    "code": text("Graph's code for errors of this status."),
                    "message": text("The cause and the remedy in plain words."),
                    "innerError": record(
                        {
                            "code": text("Our stable code, which programs may rely on."),
                            "date": text("When it happened, in UTC.", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"),
                            "request-id": TEXT,
                            "client-request-id": TEXT,
                            "position": {**COUNT, "description": "Where in a membership rule the fault lies."},
                        },
                        optional=["position"],
                    ),
                    "details": {**list_of(_DETAIL), "description": "Every fault of a policy, each with its place."},
                },
                optional=["details"],
            )
        },
        meaning="Why a request was refused.",
    ),
)
