"""Membership rules as a tree: properties and their kinds, operators, nodes, and the one text that each tree has."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from msgspec import Struct


class Kind(Enum):
    """What a property holds, which decides how it can be asked for."""

    TEXT = "a text"
    FLAG = "true or false"
    COLLECTION = "a collection of texts"
    GROUPS = "the groups a device belongs to"


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "accountEnabled": Kind.FLAG,
        "agentVersion": Kind.TEXT,
        "attestationLevel": Kind.TEXT,
        "deviceCategory": Kind.TEXT,
        "deviceId": Kind.TEXT,
        "deviceManagementAppId": Kind.TEXT,
        "deviceManufacturer": Kind.TEXT,
        "deviceModel": Kind.TEXT,
        "deviceOSType": Kind.TEXT,
        "deviceOSVersion": Kind.TEXT,
        "deviceOwnership": Kind.TEXT,
        "devicePhysicalIds": Kind.COLLECTION,
        "deviceTag": Kind.COLLECTION,
        "deviceTrustType": Kind.TEXT,
        "displayName": Kind.TEXT,
        "enrollmentProfileName": Kind.TEXT,
        **{f"extensionAttribute{number}": Kind.TEXT for number in range(1, 16)},
        "isRooted": Kind.FLAG,
        "managementType": Kind.TEXT,
        "memberOf": Kind.GROUPS,
        "objectId": Kind.TEXT,
        "profileType": Kind.TEXT,
        "systemLabels": Kind.COLLECTION,
    }
)
"""What a rule may ask for, and what it finds there."""
PROPERTIES: Final = tuple(KINDS)
MEMBER_OF: Final = "memberOf"
ELEMENT: Final = "_"
"""The name of one value of a collection, inside the condition of ``-any`` and ``-all``."""
GROUP_ID: Final = "group.objectId"
"""The same for ``memberOf``."""


class Operator(StrEnum):
    """How a value is compared."""

    EQUAL = "-eq"
    NOT_EQUAL = "-ne"
    STARTS_WITH = "-startsWith"
    NOT_STARTS_WITH = "-notStartsWith"
    ENDS_WITH = "-endsWith"
    NOT_ENDS_WITH = "-notEndsWith"
    CONTAINS = "-contains"
    NOT_CONTAINS = "-notContains"
    MATCH = "-match"
    NOT_MATCH = "-notMatch"
    IN = "-in"
    NOT_IN = "-notIn"


class Quantifier(StrEnum):
    """How many values of a collection must meet a condition."""

    ANY = "-any"
    ALL = "-all"


POSITIVE: Final[Mapping[Operator, Operator]] = MappingProxyType(
    {
        Operator.NOT_EQUAL: Operator.EQUAL,
        Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
        Operator.NOT_ENDS_WITH: Operator.ENDS_WITH,
        Operator.NOT_CONTAINS: Operator.CONTAINS,
        Operator.NOT_MATCH: Operator.MATCH,
        Operator.NOT_IN: Operator.IN,
    }
)
"""What each negative operator denies."""
LISTS: Final = frozenset({Operator.IN, Operator.NOT_IN})
PATTERNS: Final = frozenset({Operator.MATCH, Operator.NOT_MATCH})
EQUALITIES: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
"""The operators that know ``null``, and the only ones for what is true or false."""

Wanted: TypeAlias = "str | bool | None"


class Comparison(Struct, frozen=True):
    """A property, or ``_``, against values: one of them, or several for the list operators; ``None`` is ``null``."""

    name: str
    operator: Operator
    values: tuple[Wanted, ...]


class Quantified(Struct, frozen=True):
    """A condition on the values of a collection, as many of them as the quantifier says."""

    name: str
    quantifier: Quantifier
    condition: Node


class Negation(Struct, frozen=True):
    """True when its part is not."""

    part: Node


class All(Struct, frozen=True):
    """True when every part is."""

    parts: tuple[Node, ...]


class Either(Struct, frozen=True):
    """True when at least one part is."""

    parts: tuple[Node, ...]


Node: TypeAlias = "Comparison | Quantified | Negation | All | Either"
Leaf: TypeAlias = "Comparison | Quantified"
"""What asks for one property of a device."""


def written(node: Node) -> str:
    """Write a tree, with parentheses only where they are needed."""
    match node:
        case Comparison(name=name, operator=operator, values=values):
            texts = [quoted(value) for value in values]
            value = f"[{', '.join(texts)}]" if operator in LISTS else texts[0]
            return f"{name if name in (ELEMENT, GROUP_ID) else f'device.{name}'} {operator} {value}"
        case Quantified(name=name, quantifier=quantifier, condition=condition):
            return f"device.{name} {quantifier} ({written(condition)})"
        case Negation(part=part):
            return f"-not {_enclosed(part, All, Either)}"
        case All(parts=parts):
            return " -and ".join(_enclosed(part, Either) for part in parts)
        case Either(parts=parts):
            return " -or ".join(map(written, parts))
        case _:
            assert_never(node)


def leaves(node: Node) -> tuple[Leaf, ...]:
    """Return everything a rule asks of a device, from left to right."""
    match node:
        case Comparison() | Quantified():
            return (node,)
        case Negation(part=part):
            return leaves(part)
        case All(parts=parts) | Either(parts=parts):
            return tuple(leaf for part in parts for leaf in leaves(part))
        case _:
            assert_never(node)


def _enclosed(node: Node, *looser: type[Node]) -> str:
    """Write a part, in parentheses only where it binds looser than what stands around it."""
    return f"({written(node)})" if isinstance(node, looser) else written(node)


def quoted(value: Wanted) -> str:
    """Write a value as it stands in a rule."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("`", "``").replace('"', '`"') + '"'
        case _:
            assert_never(value)
