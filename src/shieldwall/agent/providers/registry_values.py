"""Put values into a document of the Windows registry and take them out again, leaving no trace.

What stood there before travels in ``kept``: whether the key existed, which keys were made, and for each value touched
its data or ``None``. Rendering is always *undo, then apply*, so changes that others made to the rest survive. The
laws of ``providers.base`` follow from it; ``mdatp.managed`` does the same for JSON.

Some keys others write to as well: Group Policy takes its values away when it ends, and does so once. What is gone from
there when we let go stays gone. What somebody gave another value does not stay: it may be an attack that was repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from shieldwall.agent.host.registry import RegistryValue, decode, encode
from shieldwall.agent.host.registry.by_name import ByName
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers.base import Kept
from shieldwall.contract import strict_json

Values: TypeAlias = Mapping[tuple[str, str], RegistryValue | None]
"""Values by the path of their key, relative to the document, and by name; ``None`` where there shall be no value."""
_Tree: TypeAlias = ByName[ByName[RegistryValue]]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value that was touched: where, and a document that holds it alone as it was; ``None`` when it was not.

    ``shared`` says of a value that was set that others write there as well.
    """

    key: str
    name: str
    before: str | None
    shared: bool = False


class Before(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state before management. ``made`` are keys that did not exist; the document's own is ``""``."""

    made: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


def _nobody(_key: str) -> bool:
    return False


def apply(
    content: bytes | None, values: Values, *, shared: Callable[[str], bool] = _nobody
) -> tuple[bytes | None, Kept]:
    """Return the document with ``values`` in it, and what to keep for ``undo``; ``shared`` tells others' keys.

    Raises:
        HostError: The content is no document of the registry, or a value cannot be held by one.
    """
    if not values:
        return content, {}
    tree = _tree(content)
    made: list[str] = []
    changes: list[Change] = []
    for (key, name), value in values.items():
        if value is None:
            changes += _taken(tree, key, name)
            continue
        for above in _path(key):
            if above not in tree:
                tree[above] = ByName()
                made.append(above)
        before = _document(tree[key].take(name))
        changes.append(Change(key=key, name=name, before=before, shared=shared(key)))
        tree[key][name] = value
    if not made and not changes:
        return content, {}
    kept: Kept = msgspec.to_builtins(Before(made=tuple(made), changes=tuple(changes)))
    return _content(tree), kept


def undo(content: bytes | None, kept: Kept) -> bytes | None:
    """Return the document as it would be had ``apply`` never touched it. Raises: HostError: as ``apply``."""
    if not kept or content is None:  # with the key, somebody took away everything that could be given back
        return content
    before = strict_json.convert(dict(kept), Before)
    tree = _tree(content)
    for change in reversed(before.changes):
        _undo_one(tree, change)
    for key in reversed(before.made):
        if key in tree and not tree[key] and not _has_children(tree, key):
            del tree[key]
    return _content(tree) if tree else None


def read(content: bytes | None) -> dict[tuple[str, str], RegistryValue]:
    """Return all values, by key and name as they are compared. Raises: HostError: as ``apply``."""
    return {
        (same_name(key), same_name(name)): value
        for key, held in ({} if content is None else decode(content)).items()
        for name, value in held.items()
    }


def _taken(tree: _Tree, key: str, name: str) -> list[Change]:
    """Take a value away where there is one."""
    before = _document(tree[key].take(name)) if key in tree else None
    return [] if before is None else [Change(key=key, name=name, before=before)]


def _undo_one(tree: _Tree, change: Change) -> None:
    if change.key not in tree:
        return  # somebody took the whole key away
    held = tree[change.key]
    if change.shared and change.name not in held:
        return  # somebody took the value away
    held.take(change.name)
    if change.before is not None:
        held.update(decode(change.before.encode())[""])


def _document(values: Mapping[str, RegistryValue]) -> str | None:
    """Write values as a document of their own; ``None`` where there are none."""
    return encode({"": dict(values)}).decode() if values else None


def _tree(content: bytes | None) -> _Tree:
    tree = {} if content is None else decode(content)
    return ByName({key: ByName(held) for key, held in tree.items()})


def _content(tree: _Tree) -> bytes:
    return encode({key: dict(held) for key, held in tree.items()})


def _path(key: str) -> list[str]:
    """Return the keys on the way to one, the document's own first and itself last."""
    parts = key.split("\\") if key else []
    return ["\\".join(parts[:length]) for length in range(len(parts) + 1)]


def _has_children(tree: _Tree, key: str) -> bool:
    prefix = same_name(f"{key}\\") if key else ""
    return any(same_name(each).startswith(prefix) and same_name(each) != same_name(key) for each in tree)
