"""Memory that was used once and is not needed: given back, so that a service at rest weighs little."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return free memory to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
