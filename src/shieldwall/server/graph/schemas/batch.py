"""Batches of requests (``graph.batch``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.openapi.shapes import (
    ANYTHING,
    TEXT,
    Component,
    Schema,
    list_of,
    map_of,
    number,
    open_record,
    said,
    text,
)

_ID: Final[Schema] = {"type": ["string", "integer"], "description": "Names the request within its batch."}
_REQUEST: Final = Component(
    "BatchRequestItem",
    {
        **open_record(
            {
                "id": _ID,
                "method": text("`GET`, `POST`, `PUT`, `PATCH` or `DELETE`."),
                "url": text("The address, relative to the version: `/groups`.", minLength=1, maxLength=8192),
                "headers": {"type": ["object", "null"], "additionalProperties": TEXT},
                "body": said(ANYTHING, "JSON, or a text in base64 where the Content-Type is another."),
                "dependsOn": {"type": ["array", "null"], "items": _ID},
            },
            required=["id", "method", "url"],
        ),
        "additionalProperties": False,
    },
)
BATCH_REQUEST: Final = Component(
    "BatchRequest",
    {
        **open_record({"requests": list_of(_REQUEST, minItems=1, maxItems=20)}, required=["requests"]),
        "patternProperties": {r"@odata\.|^#": {}},
        "additionalProperties": False,
    },
)
BATCH_ANSWER: Final = Component(
    "BatchResponse",
    open_record(
        {
            "responses": list_of(
                Component(
                    "BatchResponseItem",
                    open_record(
                        {
                            "id": TEXT,
                            "status": number("The status that the request would have had by itself."),
                            "headers": map_of(TEXT),
                            "body": said(ANYTHING, "JSON, or a text in base64 where the Content-Type is another."),
                        },
                        required=["id", "status", "headers"],
                    ),
                )
            )
        },
        required=["responses"],
    ),
)
