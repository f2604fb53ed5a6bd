"""Puts collections of cycles off until a process serves: imported before everything else.

What a process loads and puts together at its start is no garbage. Looking it over again and again, while it grew to a
million objects, was a quarter of an admin process's start.
"""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 20_000
"""So many more objects than before, and the collector looks at them: a millisecond's work."""

gc.disable()


def spare_collections() -> None:
    """Let the collector of cycles look at what requests leave behind alone, and that seldom.

    What is there after the start stays; looked over again and again it was a tenth of a check-in.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 50)
    gc.enable()
