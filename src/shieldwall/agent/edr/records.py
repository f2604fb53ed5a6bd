"""Records of the kernel's audit, as text: one line of a log, or one message of netlink. Pure; nothing raises.

A record is ``audit(SECONDS.MILLISECONDS:SERIAL): name=value …``. A value stands in quotes, or in hexadecimal where it
holds a space, a quote or anything that is not printable ASCII; auditd may add, after the character 0x1D, the same in
words. What belongs to one event has one serial number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1100: "USER_AUTH",
        1105: "USER_START",
        1112: "USER_LOGIN",
        1130: "SERVICE_START",
        1131: "SERVICE_STOP",
        1300: "SYSCALL",
        1302: "PATH",
        1303: "IPC",
        1305: "CONFIG_CHANGE",
        1306: "SOCKADDR",
        1307: "CWD",
        1309: "EXECVE",
        1318: "OBJ_PID",
        1320: "EOE",
        1327: "PROCTITLE",
        1329: "FEATURE_CHANGE",
        1330: "KERN_MODULE",
        1334: "BPF",
    }
)
"""Names of the kinds that are read, by their number (linux/audit.h)."""
MOST_FIELDS: Final = 4_096
LONGEST_VALUE: Final = 32_768
_HEAD: Final = re.compile(r"audit\((\d{1,16})\.(\d{3}):(\d{1,20})\):? ?")
_TYPE: Final = re.compile(r"(?:node=\S+ )?type=(\S+) msg=")
_FIELD: Final = re.compile(r"""([A-Za-z_][\w.\-]*(?:\[\d+\])?)=(?:"([^"]*)"|'([^']*)'|(\S*))""")
_ARGUMENT: Final = re.compile(r"a\d+(?:\[\d+\])?")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9A-F]{2})+\Z")
_ENCODED: Final = frozenset(
    {"acct", "cmd", "comm", "cwd", "data", "dir", "exe", "key", "name", "ocomm", "path", "proctitle", "unit"}
)
"""Fields that hold text of somebody's choosing, so that bare hexadecimal in them is text."""
_IN_WORDS: Final = "\x1d"
_RAW: Final = "\0"
"""Before the bare hexadecimal of a piece; no value holds it otherwise."""


class Record(Struct, frozen=True):
    """One record. ``at`` is in seconds since 1970."""

    kind: str
    at: float
    serial: int
    fields: Mapping[str, str]


def read_line(line: str) -> Record | None:
    """Read a line of ``audit.log``, or of the dispatcher; ``None`` when it is no record."""
    found = _TYPE.match(line)
    return None if found is None else _read(found[1], line[found.end() :])


def read_message(kind: int, text: str) -> Record | None:
    """Read a message of the kernel, whose kind stands beside its text; ``None`` when it is no record."""
    return _read(KINDS.get(kind, str(kind)), text)


def arguments_of(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the arguments that the EXECVE records of one event name together, as far as they are there."""
    pieces: dict[int, list[tuple[int, str]]] = {}
    for name, value in fields.items():
        if _ARGUMENT.fullmatch(name):
            number, _, part = name[1:].rstrip("]").partition("[")
            pieces.setdefault(int(number), []).append((int(part or 0), value))
    return tuple(_joined([text for _, text in sorted(pieces[number])]) for number in sorted(pieces))


def decoded(value: str) -> str:
    """Return the text behind bare hexadecimal, or the text itself; words are parted where NUL stood."""
    if not _HEXADECIMAL.match(value):
        return value
    return bytes.fromhex(value).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")


def _joined(pieces: list[str]) -> str:
    """Join the pieces of a long argument before they are decoded: a character may be cut in two."""
    if all(piece.startswith(_RAW) for piece in pieces):
        return decoded("".join(piece[1:] for piece in pieces))
    return "".join(decoded(piece[1:]) if piece.startswith(_RAW) else piece for piece in pieces)


def _read(kind: str, text: str) -> Record | None:
    head = _HEAD.match(text)
    if head is None:
        return None
    said = text[head.end() :].partition(_IN_WORDS)[0].rstrip("\0\n")
    at = int(head[1]) + int(head[2]) / 1000
    return Record(kind=kind, at=at, serial=int(head[3]), fields=dict(_fields(kind, said)))


def _fields(kind: str, text: str) -> Iterator[tuple[str, str]]:
    for count, found in enumerate(_FIELD.finditer(text)):
        if count >= MOST_FIELDS:
            return
        name, quoted, nested, bare = found[1], found[2], found[3], found[4]
        if nested is not None:  # what a program told: msg='op=login acct="root" …'
            yield from _fields(kind, nested)
        elif quoted is not None:
            yield name, quoted[:LONGEST_VALUE]
        elif bare not in {"(null)", "(none)", "?"}:
            yield name, _text(kind, name, bare)[:LONGEST_VALUE]


def _text(kind: str, name: str, bare: str) -> str:
    if kind == "EXECVE" and _ARGUMENT.fullmatch(name):
        return f"{_RAW}{bare}" if name.endswith("]") else decoded(bare)
    return decoded(bare) if name in _ENCODED else bare
