"""ClamAV."""

from shieldwall.agent.providers.clamav.provider import ClamavProvider

__all__ = ["ClamavProvider"]
