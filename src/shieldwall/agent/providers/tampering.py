"""What providers say when a product's own tamper protection keeps a value from being changed."""

from __future__ import annotations

from typing import ClassVar

from shieldwall.agent.providers.base import ProviderError


class BlockedByTamperProtectionError(ProviderError):
    """The product's tamper protection refused a change, or took it and kept what was there."""

    code: ClassVar[str] = "blockedByTamperProtection"
    remedy: ClassVar[str] = (
        "Turn the product's tamper protection off, or have it let the Shieldwall applier pass, where it is managed; "
        "the setting is tried again at the next check-in."
    )
