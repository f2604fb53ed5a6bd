"""Change members of a JSON document in place; every byte outside them stays.

The text is strict JSON when it comes in (``managed`` checks that first), so this module only has to find where things
stand. An inserted member follows the last one and begins right behind it, so that removing it is exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

Path: TypeAlias = Sequence[str]
"""Member names from the document's root."""

INDENT: Final = 2

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_decoder: Final = json.JSONDecoder()


class Member(Struct, frozen=True, kw_only=True):
    """Where one member of an object stands: ``"name": value``."""

    name: str
    start: int
    value_start: int
    end: int


def find(text: str, path: Path) -> str | None:
    """Return the raw text of the value at ``path``; ``None`` when there is none."""
    if not path:
        start = _skip(text, 0)
        return text[start : _end_of_value(text, start)]
    brace = _find_object(text, path[:-1])
    member = None if brace is None else _find_member(text, brace, path[-1])
    return None if member is None else text[member.value_start : member.end]


def is_object(raw: str) -> bool:
    """Say whether the raw text of a value is an object."""
    return raw.startswith("{")


def is_empty_object(raw: str) -> bool:
    """Say whether the raw text of a value is an object without members."""
    return is_object(raw) and not _members(raw, 0)


def put(text: str, path: Path, raw: str) -> str:
    """Give the member at ``path`` the value ``raw``; its parent must be an object of the document."""
    brace = _find_object(text, path[:-1])
    assert brace is not None, "the parent is made first"
    member = _find_member(text, brace, path[-1])
    if member is not None:
        return text[: member.value_start] + raw + text[member.end :]
    siblings = _members(text, brace)
    at = siblings[-1].end if siblings else brace + 1
    comma = "," if siblings else ""
    name = json.dumps(path[-1], ensure_ascii=False)
    return text[:at] + comma + new_line(text, len(path)) + name + ": " + raw + text[at:]


def remove(text: str, path: Path) -> str:
    """Take the member at ``path`` away, with the comma and white space that ``put`` brought; nothing when absent."""
    brace = _find_object(text, path[:-1])
    if brace is None:
        return text
    siblings = _members(text, brace)
    place = next((index for index, member in enumerate(siblings) if member.name == path[-1]), None)
    if place is None:
        return text
    member = siblings[place]
    if place > 0:
        return text[: siblings[place - 1].end] + text[member.end :]
    if len(siblings) > 1:
        return text[: member.start] + text[siblings[1].start :]
    return text[: brace + 1] + text[member.end :]


def write(text: str, path: Path, value: Any) -> str:
    """Return ``value`` as raw text laid out to stand at ``path`` in ``text``."""
    if value == {}:
        return "{" + new_line(text, len(path)) + "}"
    return json.dumps(value, ensure_ascii=False, indent=INDENT).replace("\n", new_line(text, len(path)))


def new_line(text: str, depth: int) -> str:
    """Return the document's line end with the white space of a nesting depth."""
    return ("\r\n" if "\r\n" in text else "\n") + " " * (INDENT * depth)


def _find_object(text: str, path: Path) -> int | None:
    """Return the place of the opening brace of the object at ``path``."""
    place = _skip(text, 0)
    for name in path:
        member = _find_member(text, place, name) if text[place] == "{" else None
        if member is None:
            return None
        place = member.value_start
    return place if text[place] == "{" else None


def _find_member(text: str, brace: int, name: str) -> Member | None:
    return next((member for member in _members(text, brace) if member.name == name), None)


def _members(text: str, brace: int) -> list[Member]:
    members: list[Member] = []
    place = _skip(text, brace + 1)
    while text[place] != "}":
        if text[place] == ",":
            place = _skip(text, place + 1)
        name, after_name = _decoder.raw_decode(text, place)
        value_start = _skip(text, _skip(text, after_name) + 1)  # over the colon
        end = _end_of_value(text, value_start)
        members.append(Member(name=name, start=place, value_start=value_start, end=end))
        place = _skip(text, end)
    return members


def _end_of_value(text: str, start: int) -> int:
    return _decoder.raw_decode(text, start)[1]


def _skip(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    assert match is not None, "the pattern matches the empty text"
    return match.end()
