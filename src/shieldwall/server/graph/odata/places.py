"""``$skiptoken``: where the next page begins, and of which listing it is the next page.

A token carries the name of the last row shown, its values in the order asked for, and a digest over these, the path,
the filter and the order. It tells nothing that the page did not, and opens nothing: the conditions of tenant and caller
are those of the request it comes with. The digest is there so that a token that was changed, or that belongs to another
question, is refused and not followed to rows that nobody asked for; it is no secret and needs no key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.checked import Plain
from shieldwall.server.graph.odata.fields import Kind
from shieldwall.server.graph.odata.literals import moment_from

_LONGEST: Final = 8_192
_LONGEST_NAME: Final = 512
_DIGEST: Final = 16
_READ_AS: Final[Mapping[Kind, type | tuple[type, ...]]] = {
    Kind.BOOLEAN: bool,
    Kind.NUMBER: (int, float),
}


@dataclass(frozen=True, slots=True)
class Place:
    """The last row of a page: its name, and its values in the order of the listing as JSON has them."""

    after: str
    values: tuple[Any, ...] = ()


def token_of(place: Place, question: str) -> str:
    """Write the token of the page after a place, for one question: path, filter and order as a text."""
    values = [place.after, *place.values]
    return base64.urlsafe_b64encode(strict_json.encode([_digest(values, question), *values])).decode().rstrip("=")


def place_from(token: str, question: str) -> Place:
    """Read a token. Raises: InvalidQueryError: It is none that we gave out for this question."""
    refusal = InvalidQueryError("$skiptoken is not one that we gave out for this listing, filter and order.")
    if len(token) > _LONGEST:
        raise refusal
    try:
        written = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, *values = strict_json.decode(written, list[str | int | float | bool | None])
    except (binascii.Error, ValueError, InvalidJsonError):
        raise refusal from None
    if not values or digest != _digest(values, question):
        raise refusal
    after, *rest = values
    if not isinstance(after, str) or not after.isprintable() or not 0 < len(after) <= _LONGEST_NAME:
        raise refusal
    found = Place(after, tuple(rest))
    if token_of(found, question) != token:
        raise refusal
    return found


def written(value: Plain) -> Any:
    """Write a value of an order for a token."""
    match value:
        case datetime():
            return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        case Decimal():
            return float(value)
        case frozenset():
            return ",".join(sorted(value))
        case _:
            return value


def read(value: Any, kind: Kind) -> Any:
    """Read a value of an order from a token. Raises: InvalidQueryError: It is not of the type."""
    if value is None:
        return None
    if not isinstance(value, _READ_AS.get(kind, str)):
        raise InvalidQueryError("$skiptoken is not one that we gave out.")
    return moment_from(str(value)) if kind is Kind.MOMENT else value


def _digest(values: Sequence[Any], question: str) -> str:
    return hashlib.sha256(strict_json.encode([question, *values])).hexdigest()[:_DIGEST]
