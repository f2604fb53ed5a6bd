"""Harmless signatures of our own, by which a scanner shows that it sees. Pure.

An engine that answers but finds nothing (an empty database, a failed reload) looks healthy. So two signature files lie
in its database directory, and it is asked about the bytes they match. The markers are computed, so that no file of
Shieldwall, nor this one, holds them and is itself found.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

DATABASE: Final = PurePosixPath("/var/lib/clamav")
"""Where Debian's clamd keeps its signatures."""
SIGNATURES: Final = DATABASE / "shieldwall-canary.ndb"
PUA_SIGNATURES: Final = DATABASE / "shieldwall-canary.ndu"
NAME: Final = "Shieldwall.Canary"
PUA_NAME: Final = "PUA.Shieldwall.Canary"
_DEEP: Final = 25


def marker() -> bytes:
    """Return bytes that the signature matches, as text that means nothing."""
    return b"shieldwall-canary:" + hashlib.sha256(b"shieldwall canary").hexdigest().encode()


def pua_marker() -> bytes:
    """Return bytes that the signature of a potentially unwanted application matches."""
    return b"shieldwall-canary:" + hashlib.sha256(b"shieldwall unwanted canary").hexdigest().encode()


def marker_in_archive() -> bytes:
    """Return the marker inside an archive, compressed, so that only who opens the archive sees it."""
    return _archive("canary.txt", marker())


def deep_archive() -> bytes:
    """Return archives in one another, more of them than ``MaxRecursion`` allows, and nothing inside."""
    content = b"nothing"
    for depth in range(_DEEP):
        content = _archive(f"{depth}.zip", content)
    return content


def _archive(name: str, content: bytes) -> bytes:
    import zipfile  # noqa: PLC0415 - a megabyte that only an agent beside a running clamd needs

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def signatures() -> Mapping[PurePosixPath, bytes]:
    """Return the signature files."""
    return {
        SIGNATURES: f"{NAME}:0:*:{marker().hex()}\n".encode(),
        PUA_SIGNATURES: f"{PUA_NAME}:0:*:{pua_marker().hex()}\n".encode(),
    }


def render(
    found: Mapping[PurePosixPath, bytes | None],
    kept: Mapping[str, Any],
    *,
    wanted: bool,
    was_managed: bool,
    managed: bool,
) -> tuple[dict[PurePosixPath, bytes | None], dict[str, str]]:
    """Return the signature files, where ``wanted``, and what to keep, while ``managed``, of files before us."""
    files: dict[PurePosixPath, bytes | None] = {}
    keep: dict[str, str] = {}
    for path, ours in signatures().items():
        before = base64.b64decode(kept[str(path)]) if str(path) in kept else None
        if before is None and not was_managed and found.get(path) != ours:
            before = found.get(path)
        files[path] = ours if wanted else before
        if managed and before is not None:
            keep[str(path)] = base64.b64encode(before).decode()
    return files, keep
