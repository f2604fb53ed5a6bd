"""Building a membership rule out of choices, for those who would rather not write one."""

from __future__ import annotations

from typing import Final

from shieldwall.policy.rule_syntax import InvalidRuleError, read
from shieldwall.policy.rule_tree import EQUALITIES, GROUP_ID, KINDS, LISTS, Either, Kind, Operator, Quantifier, quoted

_ABSENT: Final = "null"
_FLAGS: Final = frozenset({"true", "false", _ABSENT})
JOINING: Final = ("-and", "-or")


def operators_of(name: str) -> tuple[str, ...]:
    """Return the operators that a property can be asked with, as they are chosen. Raises: InvalidRuleError."""
    match _kind(name):
        case Kind.FLAG:
            return tuple(each.value for each in Operator if each in EQUALITIES)
        case Kind.GROUPS:
            return (Quantifier.ANY.value,)
        case _:
            return tuple(each.value for each in Operator)


def condition(name: str, operator: str, value: str) -> str:
    """Write one comparison; a list operator takes its values with commas between, ``null`` means that there is none.

    Raises:
        InvalidRuleError: There is no such property or operator, or the value is none of the property's.
    """
    kind = _kind(name)
    if operator not in operators_of(name):
        raise InvalidRuleError(f"{name} is {kind.value} and cannot be asked with {operator[:32]!r}", 0)
    values = [each.strip() for each in value.split(",") if each.strip()]
    if kind is Kind.GROUPS:
        text = f"device.{name} {operator} ({GROUP_ID} -in [{', '.join(map(quoted, values))}])"
    elif kind is Kind.FLAG:
        if value.strip().lower() not in _FLAGS:
            raise InvalidRuleError(f"{name} is {kind.value}", 0)
        text = f"device.{name} {operator} {value.strip().lower()}"
    elif operator in LISTS:
        text = f"device.{name} {operator} [{', '.join(map(quoted, values))}]"
    elif value.strip() == _ABSENT and operator in EQUALITIES:
        text = f"device.{name} {operator} {_ABSENT}"
    else:
        text = f"device.{name} {operator} {quoted(value.strip())}"
    read(text)
    return text


def joined(rule: str, joining: str, added: str) -> str:
    """Put a condition behind a rule; what the rule says stays together. Raises: InvalidRuleError."""
    if joining not in JOINING:
        raise InvalidRuleError(f"{joining[:16]!r} is not one of {', '.join(JOINING)}", 0)
    if not rule.strip():
        return added
    before = read(rule)
    kept = f"({rule.strip()})" if isinstance(before, Either) and joining == "-and" else rule.strip()
    text = f"{kept} {joining} {added}"
    read(text)
    return text


def _kind(name: str) -> Kind:
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidRuleError(f"There is no property {name[:64]!r}", 0)
    return kind
