"""Windows Firewall: profiles and rules in a policy store of the registry, read back from what is in effect."""

from __future__ import annotations

from shieldwall.agent.providers.windows_firewall.places import GROUP_POLICY_STORE, MDM_STORE, PolicyStore
from shieldwall.agent.providers.windows_firewall.provider import WindowsFirewallProvider

__all__ = ["GROUP_POLICY_STORE", "MDM_STORE", "PolicyStore", "WindowsFirewallProvider"]
