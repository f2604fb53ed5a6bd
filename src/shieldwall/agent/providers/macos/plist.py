"""Put values into a property list and take them out again; what others have in it stays.

What stood there before travels in ``kept``: the whole file as it was, and for each member touched its value or
``None``. Rendering is always *undo, then apply*, as in ``mdatp.managed``. A property list is written anew as a whole,
so its own bytes come back from ``kept`` where nobody else changed anything since; where somebody did, in the form (XML
or binary) in which they left it.

A file that lost our mark is not ours any more: whoever wrote it, Microsoft's channel most likely, wrote it anew, and
the values that look like ours are theirs. It is let go as it is.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos.preferences import MARK, parse
from shieldwall.agent.providers.base import Kept, ProviderError
from shieldwall.contract import strict_json
from shieldwall.trust import strict_base64

Path: TypeAlias = tuple[str, ...]
"""Names of members from the root."""
Values: TypeAlias = Mapping[Path, Any]
"""Typed values by the place where they land."""

_BINARY: Final = b"bplist"
_IN_KEPT: Final = "value"
_NOT_WRITTEN: Final = (ValueError, OverflowError, TypeError, RecursionError)
"""What the writer raises for what no property list can hold."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member that was touched, and its value before as a binary property list; ``None`` when it did not exist."""

    path: Path
    before: str | None


class Before(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state before management: the file, ``None`` where there was none, and what was changed, in that order."""

    content: str | None
    changes: tuple[Change, ...]


def apply(content: bytes | None, values: Values) -> tuple[bytes | None, Kept]:
    """Return the file with ``values`` and our mark in it, and what to keep for ``undo``.

    Raises:
        ProviderError: The file is no property list with a dictionary at its root.
    """
    if not values:
        return content, {}
    document = _document(content)
    changes: list[Change] = []
    for path, value in {(MARK,): True, **values}.items():
        place = document
        for length in range(1, len(path)):
            if not isinstance(place.get(path[length - 1]), dict):
                changes.append(_change(path[:length], place))
                place[path[length - 1]] = {}
            place = place[path[length - 1]]
        changes.append(_change(path, place))
        place[path[-1]] = value
    before = Before(content=None if content is None else strict_base64.encode(content), changes=tuple(changes))
    kept: Kept = msgspec.to_builtins(before)
    return _dump(document, is_binary=content is not None and content.startswith(_BINARY)), kept


def undo(content: bytes | None, kept: Kept) -> bytes | None:
    """Return the file as it would be had ``apply`` never touched it.

    Raises:
        ProviderError: The file is no property list any more.
    """
    if not kept or content is None:  # with the file, somebody took away everything that could be given back
        return content
    document = _document(content)
    if document.get(MARK) is not True:
        return content
    before = strict_json.convert(dict(kept), Before)
    parents = frozenset(change.path[:length] for change in before.changes for length in range(1, len(change.path)))
    for change in reversed(before.changes):
        _undo_one(document, change, is_parent=change.path in parents)
    original = None if before.content is None else strict_base64.decode(before.content)
    if _form(document) == _form(_document(original)):
        return original
    return _dump(document, is_binary=content.startswith(_BINARY))


def read(content: bytes | None, paths: Iterable[Path]) -> Values:
    """Return what stands at those of ``paths`` that exist, whoever wrote it; nothing when the file cannot be read."""
    try:
        document = {} if content is None else parse(content)
    except HostError:
        return {}
    found = {path: _get(document, path) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def can_hold(value: Any) -> bool:
    """Say whether a property list in XML can hold a value: it has no control characters and no huge numbers."""
    try:
        plistlib.dumps({_IN_KEPT: value})
    except _NOT_WRITTEN:
        return False
    return True


def _undo_one(document: dict[str, Any], change: Change, *, is_parent: bool) -> None:
    above = _get(document, change.path[:-1])
    if not isinstance(above, dict):
        return  # somebody took away what it stood in
    name = change.path[-1]
    if is_parent and name in above and above[name] != {}:
        return  # others put something into the dictionary that we made
    if change.before is None:
        above.pop(name, None)
    else:
        above[name] = plistlib.loads(strict_base64.decode(change.before))[_IN_KEPT]


def _change(path: Path, place: dict[str, Any]) -> Change:
    name = path[-1]
    before = _form({_IN_KEPT: place[name]}) if name in place else None
    return Change(path=path, before=None if before is None else strict_base64.encode(before))


def _get(document: dict[str, Any], path: Path) -> Any:
    place: Any = document
    for name in path:
        if not isinstance(place, dict) or name not in place:
            return None
        place = place[name]
    return place


def _form(document: dict[str, Any]) -> bytes:
    """Return the one form in which two documents are alike where they hold the same, of the same types."""
    try:
        return plistlib.dumps(document, fmt=plistlib.FMT_BINARY, sort_keys=True)
    except _NOT_WRITTEN as error:
        raise _left_alone(f"it holds what cannot be written again: {error}") from None


def _dump(document: dict[str, Any], *, is_binary: bool) -> bytes:
    try:
        fmt = plistlib.FMT_BINARY if is_binary else plistlib.FMT_XML
        return plistlib.dumps(document, fmt=fmt, sort_keys=False)
    except _NOT_WRITTEN as error:
        raise _left_alone(f"it holds what cannot be written again: {error}") from None


def _document(content: bytes | None) -> dict[str, Any]:
    try:
        return {} if content is None else parse(content)
    except HostError as error:
        raise _left_alone(error.cause) from None


def _left_alone(why: str) -> ProviderError:
    return ProviderError(
        f"The preferences of Defender cannot be read, so they are left alone: {why}"[:1000],
        remedy="Correct or remove the file; it is applied at the next check-in.",
    )
