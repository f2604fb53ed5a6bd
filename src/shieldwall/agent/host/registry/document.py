"""The canonical form of a part of the registry: JSON, sorted as names are compared, one value a line.

``{"Real-Time Protection": {"DisableBehaviorMonitoring": {"REG_DWORD": 0}}}``. Bytes are hexadecimal, and
numbers of 64 bits are decimal texts, because JSON has no exact ones of that size.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.registry.model import RegistryValue, Tree, ValueKind, as_stored, folded, same_name
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

MAXIMUM_NAME: Final = 16_383
"""Characters of a value's name. Source: Microsoft, *Registry Element Size Limits*."""
MAXIMUM_KEY: Final = 255
"""Characters of one part of a key's path. Source: as above."""
_DEPTH: Final = 8
_LONGEST_NUMBER: Final = 20
_BITS: Final = {ValueKind.DWORD: 32, ValueKind.QWORD: 64}


class RegistryDocumentError(HostError):
    """A document of the registry is none."""

    code: ClassVar[str] = "invalidRegistryDocument"
    remedy: ClassVar[str] = "Remove what the cause names from the registry; names and data must be valid text."


def encode(tree: Tree) -> bytes:
    """Return the canonical form. Raises: RegistryDocumentError: a name or value that the registry cannot hold."""
    plain = {
        _checked_key(key): {
            _checked_name(name): {values[name].kind.value: _plain(name, values[name])}
            for name in sorted(values, key=_order)
        }
        for key, values in sorted(tree.items(), key=lambda item: _order(item[0]))
    }
    return (json.dumps(plain, ensure_ascii=False, indent=0) + "\n").encode()


def decode(content: bytes) -> dict[str, dict[str, RegistryValue]]:
    """Read a document. Raises: RegistryDocumentError."""
    try:
        document = strict_json.decode_any(content, max_depth=_DEPTH)
    except InvalidJsonError as error:
        raise RegistryDocumentError(f"This is no part of a registry: {error.cause}") from None
    if not isinstance(document, dict) or not all(isinstance(values, dict) for values in document.values()):
        raise RegistryDocumentError("This is no part of a registry: keys hold values by their names.")
    tree = {
        _checked_key(key): {_checked_name(name): _value(name, typed) for name, typed in values.items()}
        for key, values in document.items()
    }
    names = folded(tree)
    if len(names) != len(tree) or any(len(names[same_name(key)]) != len(values) for key, values in tree.items()):
        raise RegistryDocumentError("This is no part of a registry: two names in it differ by their case alone.")
    return tree


def _value(name: str, typed: Any) -> RegistryValue:
    if not isinstance(typed, dict) or len(typed) != 1:
        raise RegistryDocumentError(f"The value {name[:128]!r} has not one type.")
    word, plain = next(iter(typed.items()))
    try:
        kind = ValueKind(word)
    except ValueError:
        raise RegistryDocumentError(f"The value {name[:128]!r} is of the unknown type {word[:32]!r}.") from None
    match kind, plain:
        case ((ValueKind.BINARY | ValueKind.NONE | ValueKind.OTHER), str()):
            try:
                value = RegistryValue(kind, bytes.fromhex(plain))
            except ValueError:
                raise RegistryDocumentError(f"The bytes of {name[:128]!r} are not hexadecimal.") from None
        case ValueKind.QWORD, str() if plain.isascii() and plain.isdigit() and len(plain) <= _LONGEST_NUMBER:
            value = RegistryValue(kind, int(plain))
        case ValueKind.MULTI_SZ, list():
            value = RegistryValue(kind, tuple(plain))
        case ValueKind.QWORD, _:
            raise RegistryDocumentError(f"The number of {name[:128]!r} is none.")
        case _:
            value = RegistryValue(kind, plain)
    _plain(name, value)
    return value


def _plain(name: str, value: RegistryValue) -> Any:
    match value.kind, value.data:
        case ((ValueKind.DWORD | ValueKind.QWORD), int(data)) if not isinstance(data, bool):
            if 0 <= data < 1 << _BITS[value.kind]:
                return data if value.kind is ValueKind.DWORD else str(data)
        case ((ValueKind.SZ | ValueKind.EXPAND_SZ), str(data)):
            if "\0" not in data:
                return data
        case ValueKind.MULTI_SZ, tuple(data):
            # An empty text ends the list where it is stored, so none can be inside it.
            if all(_is_text(text) for text in data):
                return list(data)
        case ((ValueKind.BINARY | ValueKind.NONE | ValueKind.OTHER), bytes(data)):
            return data.hex()
    raise RegistryDocumentError(f"The value {name[:128]!r} cannot be held as {value.kind.value}.")


def _is_text(part: object) -> bool:
    return isinstance(part, str) and bool(part) and "\0" not in part


def _checked_key(key: str) -> str:
    parts = key.split("\\") if key else []
    if any(not part or len(as_stored(part)) > MAXIMUM_KEY or "\0" in part for part in parts):
        raise RegistryDocumentError(f"{key[:128]!r} is no path of a key.")
    return key


def _checked_name(name: str) -> str:
    if len(as_stored(name)) > MAXIMUM_NAME or "\0" in name:
        raise RegistryDocumentError(f"{name[:128]!r} is no name of a value.")
    return name


def _order(name: str) -> tuple[str, str]:
    return same_name(name), name
