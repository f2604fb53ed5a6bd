"""Files that a provider owns as a whole: what stood there before is remembered, and comes back. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.providers.base import Files, Kept

_BEFORE: Final = "before"


def render(
    found: Files, wanted: Mapping[PurePosixPath, bytes | None], kept: Kept, *, managed: bool, was_managed: bool
) -> tuple[dict[PurePosixPath, bytes | None], dict[str, Any]]:
    """Return the files as ``wanted`` while ``managed``, else as before, and what to keep.

    ``was_managed`` says that the files found are ours although nothing is kept of what was before: that memory was
    lost, and the files go when they are let go. ``wanted`` names every file that is ever owned.
    """
    before = _unpacked(kept) if _BEFORE in kept else {} if was_managed else dict(found)
    earlier = {path: before.get(path) for path in wanted}
    if not managed:
        return earlier, {}
    packed = {str(path): base64.b64encode(content).decode() for path, content in earlier.items() if content is not None}
    return dict(wanted), {_BEFORE: packed}


def _unpacked(kept: Kept) -> dict[PurePosixPath, bytes | None]:
    return {PurePosixPath(path): base64.b64decode(content) for path, content in kept[_BEFORE].items()}
