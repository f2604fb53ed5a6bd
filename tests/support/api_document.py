"""The whole description of the administrators' APIs, made without a test: for the documentation."""

from __future__ import annotations

from typing import Any

from tests.support.admin import admin_routes
from tests.support.described import described


def api_document() -> dict[str, Any]:
    """Describe the routes, for which no server is needed."""
    return described(admin_routes()).document
