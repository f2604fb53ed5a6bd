"""Put values into the managed configuration file and take them out again, byte for byte.

What stood there before travels in ``kept``: whether the file existed, and for each member touched its raw text or
``None``. Rendering is always *undo, then apply*: laying the same values on again, or other ones, starts from the
document as it would be without us, so changes that others made to the rest of the file survive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from shieldwall.agent.providers.base import Kept, ProviderError
from shieldwall.agent.providers.mdatp import json_spans
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

Values: TypeAlias = Mapping[tuple[str, ...], Any]
"""Typed JSON by the path of member names where it lands."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member that was touched, and its raw text before; ``None`` when it did not exist."""

    path: tuple[str, ...]
    before: str | None


class Before(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state before management, in the order in which it was changed."""

    created: bool = False
    changes: tuple[Change, ...] = ()


def apply(content: bytes | None, values: Values) -> tuple[bytes | None, Kept]:
    """Return the document with ``values`` in it, and what to keep for ``undo``.

    Raises:
        ProviderError: The document is not strict JSON with an object at its root.
    """
    if not values:
        return content, {}
    text = "{\n}\n" if content is None else _text(content)
    changes: list[Change] = []
    for path, value in values.items():
        for length in range(1, len(path)):
            parent = path[:length]
            before = json_spans.find(text, parent)
            if before is None or not json_spans.is_object(before):
                changes.append(Change(path=parent, before=before))
                text = json_spans.put(text, parent, json_spans.write(text, parent, {}))
        changes.append(Change(path=path, before=json_spans.find(text, path)))
        text = json_spans.put(text, path, json_spans.write(text, path, value))
    kept: Kept = msgspec.to_builtins(Before(created=content is None, changes=tuple(changes)))
    return text.encode(), kept


def undo(content: bytes | None, kept: Kept) -> bytes | None:
    """Return the document as it would be had ``apply`` never touched it.

    Raises:
        ProviderError: The document is not strict JSON any more.
    """
    if not kept or content is None:  # with the file, somebody took away everything that could be given back
        return content
    before = strict_json.convert(dict(kept), Before)
    text = _text(content)
    parents = _parents(before.changes)
    for change in reversed(before.changes):
        text = _undo_one(text, change, is_parent=change.path in parents)
    if before.created and json_spans.is_empty_object(text.strip()):
        return None
    return text.encode()


def read(content: bytes | None, paths: Iterable[tuple[str, ...]]) -> Values:
    """Return what stands at those of ``paths`` that exist; nothing when the document cannot be read."""
    try:
        document = {} if content is None else strict_json.decode_any(content)
    except InvalidJsonError:
        return {}
    found = {path: _get(document, path) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def _undo_one(text: str, change: Change, *, is_parent: bool) -> str:
    now = json_spans.find(text, change.path)
    if is_parent and now is not None and not json_spans.is_empty_object(now):
        return text  # others put something into the object that we made
    if change.before is None:
        return json_spans.remove(text, change.path)
    above = json_spans.find(text, change.path[:-1])
    if above is None or not json_spans.is_object(above):
        return text
    return json_spans.put(text, change.path, change.before)


def _parents(changes: Iterable[Change]) -> frozenset[tuple[str, ...]]:
    return frozenset(change.path[:length] for change in changes for length in range(1, len(change.path)))


def _text(content: bytes) -> str:
    try:
        document = strict_json.decode_any(content)
    except InvalidJsonError as error:
        raise ProviderError(
            f"mdatp_managed.json cannot be read, so it is left alone: {error.cause}",
            remedy="Correct or remove the file; it is applied at the next check-in.",
        ) from None
    if not isinstance(document, dict):
        raise ProviderError(
            "mdatp_managed.json does not hold a JSON object, so it is left alone.",
            remedy="Correct or remove the file; it is applied at the next check-in.",
        )
    return content.decode()


def _get(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return None
        document = document[name]
    return document
