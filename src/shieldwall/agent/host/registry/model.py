"""Keys and values of the Windows registry, as plain data.

Names of keys and values are compared without regard to case and keep the case they were made with; the empty name is a
key's default value. Source: Microsoft, *Structure of the Registry* and *Registry Value Types*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class ValueKind(StrEnum):
    """Types of values, by the names that ``reg.exe`` prints."""

    NONE = "REG_NONE"
    SZ = "REG_SZ"
    EXPAND_SZ = "REG_EXPAND_SZ"
    BINARY = "REG_BINARY"
    DWORD = "REG_DWORD"
    MULTI_SZ = "REG_MULTI_SZ"
    QWORD = "REG_QWORD"


@dataclass(frozen=True, slots=True)
class RegistryValue:
    """One value. ``data`` is a number of DWORD and QWORD, a text, texts of MULTI_SZ, bytes of BINARY and NONE."""

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


Tree: TypeAlias = Mapping[str, Mapping[str, RegistryValue]]
"""A key and all keys below it: values by name, by the key's path relative to the document, ``""`` for itself.

A key without values is there with none, so that a tree says which keys exist. Paths are joined by ``\\``.
"""


def same_name(name: str) -> str:
    """Return a name as it is compared: each character in upper case, where that is one character as well."""
    return "".join(upper if len(upper := each.upper()) == 1 else each for each in name)


def folded(tree: Tree) -> dict[str, dict[str, tuple[str, RegistryValue]]]:
    """Return the tree by names as they are compared, each value with the name it was made with."""
    return {
        same_name(key): {same_name(name): (name, value) for name, value in values.items()}
        for key, values in tree.items()
    }
