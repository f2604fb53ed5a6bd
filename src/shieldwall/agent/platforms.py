"""The platforms that a device can be of, in the words that each part of the product has for them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog

LINUX: Final = "linux"
WINDOWS: Final = "windows10"
MACOS: Final = "macOS"
PLATFORMS: Final = (LINUX, WINDOWS, MACOS)
"""The platforms of policies. Windows 11 and Windows Server take those of ``windows10``."""
PACKAGE_WORDS: Final[Mapping[str, str]] = {LINUX: "linux", WINDOWS: "windows", MACOS: "macos"}
"""What onboarding and offboarding packages call them."""
_PROFILES: Final[Mapping[str, str]] = {LINUX: "linux", WINDOWS: "windows", MACOS: "macOS"}
"""What the index of the catalog calls them."""
THIS_PLATFORM: Final = {"win32": WINDOWS, "darwin": MACOS}.get(sys.platform, LINUX)
"""The platform that this program runs on."""


def catalog_of(platform: str) -> Catalog:
    """Load what devices of a platform need of the catalog. Raises: BrokenCatalogError."""
    return load(platform=_PROFILES[platform])
