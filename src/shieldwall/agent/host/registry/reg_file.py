r"""Registration files: what ``reg.exe export`` writes and ``reg.exe import`` reads. Pure.

Unlike what ``reg.exe query`` prints they are exact: UTF-16 whatever the code page of the machine, words in no language
(the default value is ``@``), keys without values, every type. Unlike the command line of ``reg.exe add`` nobody else on
the machine can read them while they are used. Source: Microsoft, *How to add, modify, or delete registry subkeys and
values by using a .reg file*; what goes beyond it is what the program itself writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.registry.model import RegistryValue, ValueKind

HEADER: Final = "Windows Registry Editor Version 5.00"
NUMBERS: Final[Mapping[ValueKind, int]] = {
    ValueKind.NONE: 0,
    ValueKind.SZ: 1,
    ValueKind.EXPAND_SZ: 2,
    ValueKind.BINARY: 3,
    ValueKind.DWORD: 4,
    ValueKind.MULTI_SZ: 7,
    ValueKind.QWORD: 11,
}
"""Types of values by number. Source: Microsoft, *Registry Value Types* (winnt.h)."""
KINDS: Final[Mapping[int, ValueKind]] = {number: kind for kind, number in NUMBERS.items()}

_BYTES_OF: Final = {ValueKind.DWORD: 4, ValueKind.QWORD: 8}
_BYTES_A_LINE: Final = 24
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_DWORD: Final = re.compile(r"dword:([0-9a-fA-F]{1,8})")
_HEX: Final = re.compile(r"hex(?:\(([0-9a-fA-F]{1,8})\))?:((?:[0-9a-fA-F]{2}|,|\\\r?\n|[ \t])*)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r"}
_SPACE: Final = re.compile(r"\s*")


def parse(content: bytes) -> dict[str, dict[str, RegistryValue]]:
    """Return the keys of a file with their values, by the whole paths that stand there.

    Raises:
        HostError: It is no such file.
    """
    text = _decoded(content.removeprefix(b"\xff\xfe"))
    if not text.startswith(HEADER):
        raise HostError("What reg.exe exported is no registration file.")
    keys: dict[str, dict[str, RegistryValue]] = {}
    here: dict[str, RegistryValue] | None = None
    at = _after_space(text, len(HEADER))
    while at < len(text):
        if text[at] == "[":
            line = text[at : _end_of_line(text, at)]
            here = keys.setdefault(line.rstrip()[1:-1], {})
            at += len(line)
        else:
            name, at = _name(text, at)
            value, at = _value(text, at)
            if here is None:
                raise HostError("A value stands before every key in what reg.exe exported.")
            here[name] = value
        at = _after_space(text, at)
    return keys


def render(key: str, values: Mapping[str, RegistryValue | None]) -> bytes:
    """Return a file that makes a key and sets values in it; ``None`` takes one away.

    Raises:
        HostError: A name that such a file cannot hold.
    """
    lines = [HEADER, "", f"[{key}]", *(f"{_named(name)}={_data(value)}" for name, value in values.items()), "", ""]
    return b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le", errors="surrogatepass")


def bytes_of(value: RegistryValue) -> bytes:
    """Return the bytes in which a value is stored."""
    if value.kind is ValueKind.OTHER:
        return value.other_parts[1]
    match value.data:
        case int(number):
            return number.to_bytes(_BYTES_OF[value.kind], "little")
        case str(text):
            return f"{text}\0".encode("utf-16-le", errors="surrogatepass")
        case tuple(texts):
            return "".join(f"{text}\0" for text in (*texts, "")).encode("utf-16-le", errors="surrogatepass")
        case data:
            return data


def number_of(value: RegistryValue) -> int:
    """Return the number of a value's type."""
    return value.other_parts[0] if value.kind is ValueKind.OTHER else NUMBERS[value.kind]


def value_of(number: int, data: bytes) -> RegistryValue:
    """Return the value that is stored in some bytes; of an unknown type, or where they are not of it, as they are."""
    kind = KINDS.get(number)
    if kind is None:
        return RegistryValue.other(number, data)
    match kind:
        case ValueKind.NONE | ValueKind.BINARY:
            return RegistryValue(kind, data)
        case ValueKind.DWORD | ValueKind.QWORD:
            if len(data) != _BYTES_OF[kind]:
                return RegistryValue.other(number, data)
            return RegistryValue(kind, int.from_bytes(data, "little"))
        case _:
            text = _decoded(data)
            # What comes after the end of a text is not read by anybody; an empty one ends a list.
            if kind is ValueKind.MULTI_SZ:
                return RegistryValue(kind, tuple(_until_empty(text)))
            return RegistryValue(kind, text.partition("\0")[0])


def _decoded(data: bytes) -> str:
    """Read UTF-16 as Windows does, to whom half of a character or of a pair is a matter of no importance."""
    return data[: len(data) // 2 * 2].decode("utf-16-le", errors="surrogatepass")


def _until_empty(text: str) -> Iterator[str]:
    for part in text.split("\0"):
        if not part:
            return
        yield part


def _name(text: str, at: int) -> tuple[str, int]:
    if text.startswith("@=", at):
        return "", at + 2
    match = _QUOTED.match(text, at)
    if match is None or not text.startswith("=", match.end()):
        raise HostError(f"reg.exe exported {text[at : at + 64]!r}, which is no value.")
    return _unescaped(match[1]), match.end() + 1


def _value(text: str, at: int) -> tuple[RegistryValue, int]:
    if match := _QUOTED.match(text, at):
        return RegistryValue.text(_unescaped(match[1])), match.end()
    if match := _DWORD.match(text, at):
        return RegistryValue.dword(int(match[1], 16)), match.end()
    if match := _HEX.match(text, at):
        number = NUMBERS[ValueKind.BINARY] if match[1] is None else int(match[1], 16)
        return value_of(number, bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", match[2]))), match.end()
    raise HostError("reg.exe exported a value whose data is in no known form.")


def _named(name: str) -> str:
    if not name:
        return "@"
    if _CONTROL.search(name):
        raise HostError(f"reg.exe cannot set a value whose name holds control characters: {name[:128]!r}.")
    return _quoted(name)


def _data(value: RegistryValue | None) -> str:
    match value:
        case None:
            return "-"
        case RegistryValue(ValueKind.DWORD, int(number)):
            return f"dword:{number:08x}"
        case RegistryValue(ValueKind.SZ, str(text)) if not _CONTROL.search(text):
            return _quoted(text)
        case _:
            data = bytes_of(value).hex(",").split(",") if bytes_of(value) else []
            lines = [",".join(data[at : at + _BYTES_A_LINE]) for at in range(0, len(data), _BYTES_A_LINE)]
            type_of = "" if value.kind is ValueKind.BINARY else f"({number_of(value):x})"
            return f"hex{type_of}:" + ",\\\r\n  ".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unescaped(text: str) -> str:
    """Undo what stands for a character; a break of a line stands there as it is, or as Wine writes it."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
