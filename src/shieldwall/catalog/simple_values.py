"""Check one simple value against its definition: type, range, length, characters, pattern, syntax."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from shieldwall.catalog import exclusions
from shieldwall.catalog.faults import Fault
from shieldwall.catalog.firewall import texts
from shieldwall.catalog.model import Kind, Limits, SettingDefinition, Syntax
from shieldwall.contract.settings import MAX_VALUE_LENGTH, SimpleValue

_KINDS: Final = {
    Kind.SIMPLE_STRING: "string",
    Kind.SIMPLE_STRING_COLLECTION: "string",
    Kind.SIMPLE_INTEGER: "integer",
    Kind.SIMPLE_SECRET: "secret",
}
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories without a shape of their own; among Cf are those that turn the direction of writing."""
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters of visible categories that nobody can see either."""
_GUID: Final = re.compile(r"(\{)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?(1)\})")
_GUID_ALLOWED: Final = "A GUID such as 00000000-0000-4000-8000-000000000000."


def value_faults(definition: SettingDefinition, simple: SimpleValue) -> Iterator[Fault]:
    """Yield what is wrong with a value."""
    kind, value = _KINDS[definition.kind], simple.value
    kinds = (kind, "reference") if definition.limits.syntax is Syntax.REUSABLE_SETTING else (kind,)
    if simple.kind not in kinds or type(value) is not (int if kind == "integer" else str):
        allowed = f"A value of kind {' or '.join(kinds)}."
        yield Fault("wrongType", f"This is a {simple.kind} of type {type(value).__name__}.", allowed)
    elif isinstance(value, str):
        yield from _text_faults(definition, value, visible=kind != "secret")
    else:
        yield from _number_faults(definition.limits, value)


def _number_faults(limits: Limits, value: int) -> Iterator[Fault]:
    low, high = limits.minimum, limits.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        yield Fault("outOfRange", f"{value} is out of range.", f"A number from {low} to {high}.")


def _text_faults(definition: SettingDefinition, text: str, *, visible: bool) -> Iterator[Fault]:
    limits = definition.limits
    longest = MAX_VALUE_LENGTH if limits.maximum_length is None else limits.maximum_length
    shortest = limits.minimum_length or 0
    if not shortest <= len(text) <= longest:
        allowed = f"A text of {shortest} to {longest} characters."
        yield Fault("wrongLength", f"This text has {len(text)} characters.", allowed)
    elif visible and any(unicodedata.category(mark) in _INVISIBLE or mark in _BLANK for mark in text):
        yield Fault("invalidCharacter", "This text holds characters that nobody can see.", "Visible characters.")
    elif limits.allowed and text not in limits.allowed:
        yield Fault("notAllowed", f"{text[:128]!r} is not one of the values.", f"One of {', '.join(limits.allowed)}.")
    elif limits.pattern is not None and re.search(limits.pattern, text) is None:
        yield Fault("wrongPattern", f"{text[:128]!r} does not fit the pattern.", f"A text like {limits.pattern}.")
    elif limits.syntax is not None:
        yield from _syntax_faults(limits.syntax, text, definition.platform)


def _syntax_faults(syntax: Syntax, text: str, platform: str) -> Iterator[Fault]:
    match syntax:
        case Syntax.PORT_RANGE:
            read: object = texts.parse_ports(text)
        case Syntax.ADDRESS_RANGE:
            read = texts.parse_addresses(text)
        case Syntax.WINDOWS_PORT_RANGE:
            read = texts.parse_windows_ports(text)
        case Syntax.WINDOWS_ADDRESS_RANGE:
            read = texts.parse_windows_addresses(text)
        case Syntax.ICMP_TYPE:
            read = texts.parse_icmp(text)
        case Syntax.GUID | Syntax.REUSABLE_SETTING:
            if _GUID.fullmatch(text) is None:
                yield Fault("invalidGuid", f"{text[:64]!r} is not a GUID.", _GUID_ALLOWED)
            return
        case _:
            yield from exclusions.faults(syntax, text, platform)
            return
    if isinstance(read, Fault):
        yield read
