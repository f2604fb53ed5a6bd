"""What our files held before management, as it travels in ``kept``. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.providers.base import Files, Kept
from shieldwall.agent.providers.nftables.units import ALL_FILES, SCRIPT

_BEFORE: Final = "before"


def as_kept(former: Files) -> dict[str, Any]:
    """Write down contents; files that were not there need no word."""
    present = {str(path): base64.b64encode(content).decode() for path, content in former.items() if content is not None}
    return {_BEFORE: dict(sorted(present.items()))}


def remembered(kept: Kept) -> Mapping[str, str] | None:
    """Read what was written down; ``None`` before management."""
    if _BEFORE not in kept:
        return None
    before = kept[_BEFORE]
    if before is None or isinstance(before, str):  # when the script was the only file, its content stood here
        return {} if before is None else {str(SCRIPT): before}
    return dict(before)


def former_files(before: Mapping[str, str]) -> dict[PurePosixPath, bytes | None]:
    """Return the content that each of our files had."""
    return {path: base64.b64decode(before[str(path)]) if str(path) in before else None for path in ALL_FILES}
