"""The query options of a listing: ``$top``, ``$skiptoken``, ``$select`` and ``$expand``.

An option we do not follow is answered with 400; ignoring a filter would show more than was asked for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.storage.records import Page

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1_000
MOST_DIGITS: Final = 9
"""Longest number that an address may hold; more than anything we count."""
_KNOWN: Final = frozenset({"$top", "$skiptoken", "$select", "$expand", "$count"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a request asks of a listing or of one resource. ``after`` names the last row of the page before."""

    top: int | None = None
    after: str | None = None
    select: frozenset[str] = frozenset()
    expand: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """How many resources a page holds."""
        return self.top or DEFAULT_PAGE

    @property
    def page(self) -> Page:
        """The rows to read: one more than is shown, which tells whether more follow."""
        return Page(size=self.size + 1, after=self.after)

    def shape(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Keep the members selected; ``id``, annotations and what was expanded always stay."""
        if not self.select:
            return resource
        return {
            name: value
            for name, value in resource.items()
            if name == "id" or "@odata." in name or name.lower() in self.select or name in self.expand
        }


def parse_query(parameters: Mapping[str, Sequence[str]], *, expandable: frozenset[str] = frozenset()) -> Query:
    """Read the query options.

    Raises:
        InvalidQueryError: An option is unknown, stands twice or has a value we cannot follow.
    """
    options: dict[str, str] = {}
    for name, values in parameters.items():
        if name.lower() not in _KNOWN:
            raise InvalidQueryError(f"The query option {name[:64]!r} is not supported here.")
        if len(values) != 1 or name.lower() in options:
            raise InvalidQueryError(f"The query option {name[:64]} stands more than once.")
        options[name.lower()] = values[0]
    if options.get("$count", "false").lower() != "false":
        raise InvalidQueryError("$count is not supported here.")
    expand = _names(options.get("$expand", ""))
    if unknown := expand - expandable:
        raise InvalidQueryError(f"$expand={min(unknown)[:64]} is not supported here.")
    select = frozenset(name.lower() for name in _names(options.get("$select", "")))
    return Query(top=_top(options.get("$top")), after=_after(options.get("$skiptoken")), select=select, expand=expand)


def counted_after(query: Query) -> int | None:
    """Read ``after`` as a number, where a listing counts. Raises: InvalidQueryError."""
    if query.after is None:
        return None
    if not query.after.isascii() or not query.after.isdigit() or len(query.after) > MOST_DIGITS:
        raise InvalidQueryError("$skiptoken is not one that we gave out.")
    return int(query.after)


def skip_token(after: str) -> str:
    """Make the opaque token of the page that follows the row ``after``."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS or not 1 <= int(text) <= LARGEST_PAGE:
        raise InvalidQueryError(f"$top must be a number from 1 to {LARGEST_PAGE}.")
    return int(text)


def _after(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        after = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidQueryError("$skiptoken is not one that we gave out.") from None
    if not after or len(after) > 512 or not after.isprintable():
        raise InvalidQueryError("$skiptoken is not one that we gave out.")
    return after
