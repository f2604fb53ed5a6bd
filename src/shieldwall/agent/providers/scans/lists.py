"""Lists of our own beside ClamAV's signatures: threats that are allowed, files that are blocked or allowed. Pure.

Three files in clamd's database directory: ``.hsb`` (hashes that are threats), ``.sfp`` (hashes that are none) and
``.ign2`` (names of signatures that do not count). Each also holds a harmless line of our own, by which clamd itself
shows that it has loaded exactly these lists and heeds each of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.scanning import policy
from shieldwall.contract.status import ItemStatus, SettingState

BLOCKED_FILES: Final = "indicators.blockedFiles"
ALLOWED_FILES: Final = "indicators.allowedFiles"
LISTED: Final = frozenset({policy.ALLOWED_THREATS, BLOCKED_FILES, ALLOWED_FILES})
"""Where the settings land that are carried out by lists."""

DATABASE: Final = PurePosixPath("/var/lib/clamav")
HASHES: Final = DATABASE / "shieldwall-lists.hsb"
GOOD_HASHES: Final = DATABASE / "shieldwall-lists.sfp"
IGNORED: Final = DATABASE / "shieldwall-lists.ign2"
FILES: Final = (HASHES, GOOD_HASHES, IGNORED)

INDICATOR: Final = "Shieldwall.Indicator."
"""How the names of threats begin that are only known by hash."""
IGNORED_MARKER: Final = b"shieldwall-lists: the signature of this does not count"
ALLOWED_MARKER: Final = b"shieldwall-lists: this file is allowed"

_LEVEL: Final = 73
"""Functionality level from which a hash may stand without the size of its file."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/@#()\[\]{}!~=,-]{0,254}\Z")
_OWN: Final = "Shieldwall."
_UNOFFICIAL: Final = ".UNOFFICIAL"


class Lists(Struct, frozen=True, kw_only=True):
    """The files, the values that they carry out, and the items that they do not."""

    files: Mapping[PurePosixPath, bytes | None]
    marker: bytes
    """What clamd finds once it has loaded exactly these files."""
    values: Mapping[str, Any]
    rejected: Mapping[str, tuple[ItemStatus, ...]] = field(default_factory=dict)


def plan(values: Mapping[str, Any]) -> Lists:
    """Compute the lists for ``values``."""
    done: dict[str, Any] = {}
    rejected: dict[str, tuple[ItemStatus, ...]] = {}
    names = values.get(policy.ALLOWED_THREATS, [])
    blocked, allowed = values.get(BLOCKED_FILES, []), values.get(ALLOWED_FILES, [])
    hashes = {item["sha256"].lower() for item in blocked}
    refused = {
        policy.ALLOWED_THREATS: tuple((name, _name_fault(name)) for name in names),
        BLOCKED_FILES: tuple((item, None) for item in blocked),
        ALLOWED_FILES: tuple((item, _blocked_as_well(item, hashes)) for item in allowed),
    }
    for where in sorted(LISTED & values.keys()):
        done[where] = [item for item, fault in refused[where] if fault is None]
        if faults := tuple(fault for _, fault in refused[where] if fault is not None):
            rejected[where] = faults
    contents = _contents(done)
    generation = hashlib.sha256(b"\0".join(contents[path] for path in FILES)).hexdigest()
    marker = f"shieldwall-lists: {generation}".encode()
    contents[HASHES] += _hash_line(marker, f"Shieldwall.Lists.{generation[:16]}")
    return Lists(files=contents, marker=marker, values=done, rejected=rejected)


def _contents(done: Mapping[str, Any]) -> dict[PurePosixPath, bytes]:
    names = (name.removesuffix(_UNOFFICIAL) for name in done.get(policy.ALLOWED_THREATS, ()))
    blocked = _hashes(done.get(BLOCKED_FILES, ()))
    ignored = "Shieldwall.Ignored"
    return {
        HASHES: _hash_line(IGNORED_MARKER, ignored)
        + _hash_line(ALLOWED_MARKER, "Shieldwall.Allowed")
        + b"".join(_line(each, f"{INDICATOR}{each[:16]}") for each in blocked),
        GOOD_HASHES: _hash_line(ALLOWED_MARKER, "Shieldwall.Allowed")
        + b"".join(_line(each, "Shieldwall.Allowed") for each in _hashes(done.get(ALLOWED_FILES, ()))),
        IGNORED: b"".join(f"{name}\n".encode() for name in dict.fromkeys((ignored, *names))),
    }


def _hashes(items: Sequence[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(item["sha256"].lower() for item in items))


def _hash_line(content: bytes, name: str) -> bytes:
    return _line(hashlib.sha256(content).hexdigest(), name)


def _line(digest: str, name: str) -> bytes:
    return f"{digest}:*:{name}:{_LEVEL}\n".encode()


def _name_fault(name: str) -> ItemStatus | None:
    if name.startswith(_OWN) and not name.startswith(INDICATOR):
        reason = "By this name the engine shows that it sees; it cannot be allowed."
        return ItemStatus(item=name[:1024], state=SettingState.ERROR, code="ownMarker", reason=reason)
    if not _NAME.match(name):
        reason = "ClamAV has no signature of such a name: its names hold neither blanks nor colons."
        return ItemStatus(item=name[:1024], state=SettingState.NOT_APPLICABLE, code="noSignatureName", reason=reason)
    return None


def _blocked_as_well(item: Mapping[str, str], blocked: set[str]) -> ItemStatus | None:
    if item["sha256"].lower() not in blocked:
        return None
    reason = "The same hash is blocked, and a block wins."
    return ItemStatus(item=item["sha256"], state=SettingState.CONFLICT, code="conflict", reason=reason)
