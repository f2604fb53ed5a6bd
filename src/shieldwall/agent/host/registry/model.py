"""Keys and values of the Windows registry, as plain data.

Names of keys and values are compared without regard to case and keep the case they were made with; the empty name is a
key's default value. Source: Microsoft, *Structure of the Registry* and *Registry Value Types*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

_STAND_IN: Final = "\ufdd0"
"""Stands before the number of what no text can hold. It is a noncharacter of Unicode, and in no name of anybody."""
_NO_TEXT: Final = re.compile(f"[\ud800-\udfff{_STAND_IN}]")
_STOOD_FOR: Final = re.compile(f"{_STAND_IN}(d[89a-f][0-9a-f]{{2}}|fdd0)")
_NUMBER_BYTES: Final = 4


class ValueKind(StrEnum):
    """Types of values, by the names that ``reg.exe`` prints."""

    NONE = "REG_NONE"
    SZ = "REG_SZ"
    EXPAND_SZ = "REG_EXPAND_SZ"
    BINARY = "REG_BINARY"
    DWORD = "REG_DWORD"
    MULTI_SZ = "REG_MULTI_SZ"
    QWORD = "REG_QWORD"
    OTHER = "REG_OTHER"
    """Every other type, links and lists of resources among them: nobody sets one by hand, and anybody may."""


class RegistryValue(Struct, frozen=True):
    """One value. ``data`` is a number of DWORD and QWORD, a text, texts of MULTI_SZ, bytes of BINARY and NONE.

    Of OTHER it is the number of the type in four bytes (little-endian) and what is stored.
    """

    kind: ValueKind
    data: int | str | tuple[str, ...] | bytes

    @classmethod
    def dword(cls, number: int) -> RegistryValue:
        """Make a number of 32 bits."""
        return cls(ValueKind.DWORD, number)

    @classmethod
    def text(cls, text: str) -> RegistryValue:
        """Make a text."""
        return cls(ValueKind.SZ, text)

    @classmethod
    def other(cls, number: int, data: bytes) -> RegistryValue:
        """Make a value of a type that is known by its number alone, or whose bytes are not of its type."""
        return cls(ValueKind.OTHER, number.to_bytes(_NUMBER_BYTES, "little") + data)

    @property
    def other_parts(self) -> tuple[int, bytes]:
        """Return number and data of what ``other`` made."""
        assert isinstance(self.data, bytes)
        return int.from_bytes(self.data[:_NUMBER_BYTES], "little"), self.data[_NUMBER_BYTES:]


Tree: TypeAlias = Mapping[str, Mapping[str, RegistryValue]]
"""A key and all keys below it: values by name, by the key's path relative to the document, ``""`` for itself.

A key without values is there with none, so that a tree says which keys exist. Paths are joined by ``\\``.
"""


def same_name(name: str) -> str:
    """Return a name as it is compared: each character in upper case, where that is one character and comes back.

    To Windows U+0131 and ``I``, U+017F and ``S`` are two, and both may stand in one key.
    """
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := each.upper()) == 1 and upper.lower() == each else each for each in name)


def as_text(stored: str) -> str:
    """Write halves of surrogate pairs, which the registry holds and UTF-8 does not, so that a text can hold them."""
    return _NO_TEXT.sub(lambda found: f"{_STAND_IN}{ord(found[0]):04x}", stored)


def as_stored(text: str) -> str:
    """Undo ``as_text``."""
    return _STOOD_FOR.sub(lambda found: chr(int(found[1], 16)), text)


def in_text(tree: Tree) -> Tree:
    """Return a tree as documents hold it: names and data by ``as_text``."""
    return {
        as_text(key): {as_text(name): value_in_text(value) for name, value in values.items()}
        for key, values in tree.items()
    }


def value_in_text(value: RegistryValue) -> RegistryValue:
    """Return a value as documents hold it."""
    return _each_text(value, as_text)


def value_as_stored(value: RegistryValue) -> RegistryValue:
    """Return a value of a document as the registry stores it."""
    return _each_text(value, as_stored)


def _each_text(value: RegistryValue, turned: Callable[[str], str]) -> RegistryValue:
    match value.data:
        case str(text):
            return RegistryValue(value.kind, turned(text))
        case tuple(texts):
            return RegistryValue(value.kind, tuple(map(turned, texts)))
        case _:
            return value


def folded(tree: Tree) -> dict[str, dict[str, tuple[str, RegistryValue]]]:
    """Return the tree by names as they are compared, each value with the name it was made with."""
    return {
        same_name(key): {same_name(name): (name, value) for name, value in values.items()}
        for key, values in tree.items()
    }
