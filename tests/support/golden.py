"""Files that hold what a test must find, to be read by people as well.

``SHIELDWALL_WRITE_GOLDEN=1 pytest …`` writes them anew; what changed is then seen in the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

DIRECTORY: Final = Path(__file__).parents[1] / "providers/golden"


def same_as_golden(name: str, found: Mapping[str, Any]) -> None:
    """Compare with ``tests/providers/golden/<name>.json``."""
    path = DIRECTORY / f"{name}.json"
    written = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if os.environ.get("SHIELDWALL_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8"), f"{name} is not what it was; see {path}"


def documents(files: Mapping[PurePosixPath, bytes | None]) -> dict[str, Any]:
    """Return files of JSON as they are shown, those that are not there left out."""
    return {str(path): json.loads(content) for path, content in files.items() if content is not None}
