"""Microsoft Defender for Endpoint on Windows: onboarding, offboarding, and whether samples may be fetched."""

from __future__ import annotations

from shieldwall.agent.providers.windows_edr.provider import WindowsEdrProvider

__all__ = ["WindowsEdrProvider"]
