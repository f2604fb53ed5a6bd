"""Loads ``structlog`` without what it holds ready for people at a terminal: imported before anything that logs.

A process of the server writes JSON. Where ``rich`` is installed, and for our command line it is, ``structlog`` would
load it for tracebacks in colour; that is a tenth of a gateway's start. It does without where there is none.
"""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["structlog"]

_UNUSED: Final = "rich"

_present = sys.modules.get(_UNUSED)
sys.modules[_UNUSED] = None  # type: ignore[assignment]  # so an import of it fails: the import system, "sys.modules"
try:
    import structlog
finally:
    del sys.modules[_UNUSED]
    if _present is not None:
        sys.modules[_UNUSED] = _present
