"""Microsoft Defender for Endpoint on Linux."""

from shieldwall.agent.providers.mdatp.provider import MdatpProvider

__all__ = ["MdatpProvider"]
