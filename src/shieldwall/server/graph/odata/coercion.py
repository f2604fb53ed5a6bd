"""Literals as values of a field's type; what is of another type is an error that names field and position."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.checked import Plain
from shieldwall.server.graph.odata.fields import Field, Kind
from shieldwall.server.graph.odata.tree import Literal, LiteralKind
from shieldwall.server.storage.tables.folding import fold

_LARGEST: Final = 2**63 - 1
"""What both engines can compare a number with."""
_READ_FROM: Final = {
    Kind.TEXT: {LiteralKind.TEXT, LiteralKind.GUID},
    Kind.GUID: {LiteralKind.TEXT, LiteralKind.GUID},
    Kind.CHOICE: {LiteralKind.TEXT, LiteralKind.MEMBER},
    Kind.FLAGS: {LiteralKind.TEXT, LiteralKind.MEMBER},
    Kind.BOOLEAN: {LiteralKind.BOOLEAN},
    Kind.NUMBER: {LiteralKind.NUMBER},
    Kind.MOMENT: {LiteralKind.MOMENT},
}


def coerced(literal: Literal, kind: Kind, field: Field | None) -> Plain:
    """Return the value of a literal for a type; ``field`` has the members of its enumeration.

    Raises:
        InvalidQueryError: It is none of that type, no member, or a number out of bounds.
    """
    if literal.kind is LiteralKind.NULL:
        return None
    if literal.kind not in _READ_FROM[kind]:
        name = f"{field.name} is" if field is not None else "expected is"
        raise _refused(literal, f"{name} {_article(kind)}, and the literal is {_article(literal.kind)}")
    match literal.value:
        case str(text) if kind is Kind.CHOICE:
            return member_of(literal, text, field)
        case str(text) if kind is Kind.FLAGS:
            return members_of(literal, field)
        case str(text):
            return fold(text) if kind is Kind.TEXT else text.lower()
        case (int() | Decimal()) as number if not -_LARGEST <= number <= _LARGEST:
            raise _refused(literal, f"the number is larger than {_LARGEST}")
        case value:
            return value


def members_of(literal: Literal, field: Field | None) -> frozenset[str]:
    """Read several members, joined by commas, by their canonical names. Raises: InvalidQueryError."""
    return frozenset(member_of(literal, each.strip(), field) for each in str(literal.value).split(","))


def member_of(literal: Literal, text: str, field: Field | None) -> str:
    """Find a member whatever its case. Raises: InvalidQueryError."""
    members = field.members if field is not None else ()
    for member in members:
        if member.lower() == text.lower():
            return member
    name = "the property" if field is None else field.name
    raise _refused(literal, f"{name} has no member {text[:40]!r}; it has {', '.join(members)}")


def _refused(literal: Literal, cause: str) -> InvalidQueryError:
    return InvalidQueryError(f"$filter: {cause} (position {literal.at + 1}).")


def _article(kind: Kind | LiteralKind) -> str:
    return f"an {kind.value}" if kind.value.startswith("e") else kind.value if kind == "flags" else f"a {kind.value}"
