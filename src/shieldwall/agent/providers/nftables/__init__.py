"""Linux firewall rules by way of nftables: one table of our own, every other table untouched."""

from shieldwall.agent.providers.nftables.provider import NftablesProvider

__all__ = ["NftablesProvider"]
