"""Which exclusions we refuse: those that cannot be meant as written, and those that hide what must be seen.

An exclusion is a hole in the protection. Some holes are never worth it: the whole system, a volume, an interpreter (it
runs anything), this agent, the antivirus engine and its quarantine, every program of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.exclusions import unix, windows
from shieldwall.catalog.exclusions.extensions import extension_faults
from shieldwall.catalog.exclusions.landscape import Landscape
from shieldwall.catalog.exclusions.linux import LINUX
from shieldwall.catalog.exclusions.macos import MACOS
from shieldwall.catalog.exclusions.windows_places import WINDOWS
from shieldwall.catalog.faults import Fault
from shieldwall.catalog.model import Syntax

__all__ = ["faults"]

_UNIX: Final[dict[str, Landscape]] = {"linux": LINUX, "macOS": MACOS}


def faults(syntax: Syntax, text: str, platform: str = "linux") -> Iterator[Fault]:
    """Yield what is wrong with the text of an exclusion; nothing for a good one."""
    landscape = _UNIX.get(platform, LINUX)
    match syntax:
        case Syntax.EXCLUSION_PATH:
            yield from unix.path_faults(landscape, text, wildcards=True)
        case Syntax.EXCLUSION_PATH_LITERAL:
            yield from unix.path_faults(landscape, text, wildcards=False)
        case Syntax.EXCLUSION_PROCESS:
            yield from unix.process_faults(landscape, text, wildcards=True)
        case Syntax.EXCLUSION_PROCESS_PATH:
            yield from unix.process_path_faults(landscape, text)
        case Syntax.EXCLUSION_EXTENSION:
            yield from extension_faults(landscape, text)
        case Syntax.WINDOWS_EXCLUSION_PATH:
            yield from windows.path_faults(text)
        case Syntax.WINDOWS_EXCLUSION_PROCESS:
            yield from windows.process_faults(text)
        case Syntax.WINDOWS_EXCLUSION_EXTENSION:
            yield from extension_faults(WINDOWS, text)
        case _:
            pass
