"""Literals as they are written, made into values. What can be written and cannot be is an error with a position."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.tree import Literal, LiteralKind

LONGEST_NUMBER: Final = 30
_MICROSECONDS: Final = 6
_MOMENT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:Z|([+ -])(\d\d):(\d\d)))?",
    re.IGNORECASE | re.ASCII,
)


def literal_from(kind: str, written: str, at: int) -> Literal:  # noqa: PLR0911 - one return per kind
    """Read a literal of the grammar's kind. Raises: InvalidQueryError."""
    match kind:
        case "NULL":
            return Literal(LiteralKind.NULL, None, at)
        case "BOOLEAN":
            return Literal(LiteralKind.BOOLEAN, written.lower() == "true", at)
        case "GUID":
            return Literal(LiteralKind.GUID, written.lower(), at)
        case "NUMBER":
            return Literal(LiteralKind.NUMBER, _number(written, at), at)
        case "TEXT":
            return Literal(LiteralKind.TEXT, _unquoted(written), at)
        case "MEMBER":
            return Literal(LiteralKind.MEMBER, _unquoted(written[written.index("'") :]), at)
        case _:
            return Literal(LiteralKind.MOMENT, moment_from(written, at), at)


def moment_from(written: str, at: int = 0) -> datetime:
    """Read a moment with its offset, or a day, which begins at midnight UTC; what is below microseconds is dropped.

    A space stands for the plus sign, which it means in an address. Raises: InvalidQueryError.
    """
    match = _MOMENT.fullmatch(written)
    if match is None:
        raise _impossible(written, at)
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    microsecond = int((fraction or "0")[:_MICROSECONDS].ljust(_MICROSECONDS, "0"))
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        clock = (int(hour or 0), int(minute or 0), int(second or 0), microsecond)
        return datetime(int(year), int(month), int(day), *clock, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _impossible(written, at) from None


def _impossible(written: str, at: int) -> InvalidQueryError:
    return InvalidQueryError(f"There is no time {written[:40]} (position {at + 1}).")


def _number(written: str, at: int) -> int | Decimal:
    if len(written) > LONGEST_NUMBER:
        raise InvalidQueryError(f"The number at position {at + 1} has too many digits.")
    return Decimal(written) if "." in written else int(written)


def _unquoted(written: str) -> str:
    return written[1:-1].replace("''", "'")
