"""freshclam, which gets ClamAV its definitions."""

from shieldwall.agent.providers.freshclam.provider import FreshclamProvider

__all__ = ["FreshclamProvider"]
