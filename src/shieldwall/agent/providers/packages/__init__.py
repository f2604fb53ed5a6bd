"""Packages of the platform, updated in a window."""

from shieldwall.agent.providers.packages.provider import PackagesProvider

__all__ = ["PackagesProvider"]
