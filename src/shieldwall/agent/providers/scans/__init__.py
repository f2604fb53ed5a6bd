"""Scans with ClamAV: schedule, consequences, allowed threats and indicators."""

from shieldwall.agent.providers.scans.provider import ScansProvider

__all__ = ["ScansProvider"]
