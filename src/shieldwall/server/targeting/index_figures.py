"""What is said of a targeting index to whoever need not load what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NAMED_IN: Final = "targeting.boards"
"""The file in the directory of a running server that names the directory in shared memory."""


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """How the index is, for whoever watches the server."""

    devices: int = 0
    lag_seconds: float = 0.0
    """How long ago it had read all that was committed."""
    memory_bytes: int = 0
