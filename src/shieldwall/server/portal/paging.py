"""Lists in pages: which part of a list is asked for, and where the next one begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from litestar import Request

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.storage.records import Page

PAGE_SIZE: Final = 50


def page_of(request: Request[Any, Any, Any]) -> Page:
    """Return the part that is asked for. Raises: InvalidIdError."""
    after = request.query_params.get("after")
    if after is not None and not re.match(UUID_PATTERN, after):
        raise InvalidIdError("The link to this page of the list is broken.", remedy="Begin with its first page.")
    return Page(size=PAGE_SIZE, after=after)


def paging(request: Request[Any, Any, Any], ids: Sequence[str]) -> dict[str, Any]:
    """Say where the next page of a listing begins, if there is one, and whether this is the first."""
    return {
        "following": f"?after={ids[-1]}" if len(ids) == PAGE_SIZE else None,
        "paged": "after" in request.query_params,
    }
