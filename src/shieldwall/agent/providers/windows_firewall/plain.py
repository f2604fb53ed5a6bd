"""Values of settings as JSON, and back: how our notes keep what a policy said."""

from __future__ import annotations

from typing import Any

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.policy.values import Item, SettingValue


def plain(value: SettingValue) -> Any:
    """Return a value as plain JSON: an item as an object, a collection as a list."""
    match value:
        case Item():
            return {member: plain(content) for member, content in value.members}
        case tuple():
            return [plain(entry) for entry in value]
        case _:
            return value


def noted(value: SettingValue) -> str:
    """Write a value down."""
    return encode(plain(value)).decode()


def read_note(text: str) -> SettingValue | None:
    """Read what was written down; ``None`` when it is nothing of ours."""
    try:
        return _value(decode_any(text.encode()))
    except (InvalidJsonError, UnicodeEncodeError):
        return None


def _value(found: Any) -> SettingValue:
    match found:
        case dict():
            return Item(tuple((SettingId(member), _value(content)) for member, content in sorted(found.items())))
        case list():
            return tuple(map(_value, found))
        case str() | int() if not isinstance(found, bool):
            return found
        case _:
            raise InvalidJsonError("A setting is a text, a number or a list.")
