r"""Where settings of the firewall land: values of a policy store in the registry, properties of what is in effect.

Names and types of values are those of Group Policy's store. Source: Microsoft, [MS-GPFAS] 2.2.1 and 2.2.3. That the
store of device management holds the same ones is an assumption (``docs/windows-macos.md``). Properties are those of
``MSFT_NetFirewallProfile`` and ``MSFT_NetSecuritySettingData``. Source: Microsoft, *WFASCIMProv*.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from shieldwall.agent.host.registry import document_path
from shieldwall.contract.ids import SettingId

PREFIX: Final = "vendor_msft_firewall_mdmstore_"
RULES: Final = SettingId(f"{PREFIX}firewallrules_{{firewallrulename}}")
PROFILES: Final = {"domainprofile": "Domain", "privateprofile": "Private", "publicprofile": "Public"}
"""Profiles as settings name them, and as Windows does."""
RULES_KEY: Final = "FirewallRules"

Answer: TypeAlias = Literal["same", "opposite", "action", "number", "text"]
"""How a property answers: as the setting asks, the opposite, with the number of an action, or with the value."""


class PolicyStore(Struct, frozen=True, kw_only=True):
    """A part of the registry from which the firewall takes policy; ``private`` is its key for private networks."""

    key: str
    private: str

    @property
    def path(self) -> PurePosixPath:
        """The document that it is."""
        return document_path(self.key)

    def subkey(self, profile: str) -> str:
        """Name the key of a profile, given as Windows names it."""
        return self.private if profile == "Private" else f"{profile}Profile"


MDM_STORE: Final = PolicyStore(
    key=r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\Mdm", private="StandardProfile"
)
"""The store of device management. Group Policy neither writes nor clears it."""
GROUP_POLICY_STORE: Final = PolicyStore(
    key=r"HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall", private="PrivateProfile"
)
"""The store of Group Policy, which every other tool that sets policy writes to as well."""
RECORDS: Final = document_path(r"HKLM\SOFTWARE\Shieldwall\WindowsFirewall")
"""Our own notes of which settings stand in the store, each as a policy said it."""


class Place(Struct, frozen=True, kw_only=True):
    """Where one setting lands.

    ``below`` and ``name`` are key and value relative to that of the profile, or of the store. ``property`` shows what
    is in effect; it is empty where none does. ``cuts`` are numbers with which the device may lose its network.
    """

    name: str
    below: str = ""
    property: str = ""
    answer: Answer = "same"
    is_text: bool = False
    cuts: tuple[int, ...] = ()


PROFILE_PLACES: Final[Mapping[str, Place]] = {
    "enablefirewall": Place(name="EnableFirewall", property="Enabled", cuts=(1,)),
    "disablestealthmode": Place(name="DisableStealthMode"),
    "shielded": Place(name="DoNotAllowExceptions", property="AllowInboundRules", answer="opposite", cuts=(1,)),
    "disableunicastresponsestomulticastbroadcast": Place(
        name="DisableUnicastResponsesToMulticastBroadcast",
        property="AllowUnicastResponseToMulticast",
        answer="opposite",
    ),
    "enablelogdroppedpackets": Place(name="LogDroppedPackets", below="Logging", property="LogBlocked"),
    "enablelogsuccessconnections": Place(name="LogSuccessfulConnections", below="Logging", property="LogAllowed"),
    "enablelogignoredrules": Place(name="LogIgnoredRules", below="Logging", property="LogIgnored"),
    "logmaxfilesize": Place(name="LogFileSize", below="Logging", property="LogMaxSizeKilobytes", answer="number"),
    "logfilepath": Place(name="LogFilePath", below="Logging", property="LogFileName", answer="text", is_text=True),
    "disableinboundnotifications": Place(name="DisableNotifications", property="NotifyOnListen", answer="opposite"),
    "authappsallowuserprefmerge": Place(
        name="AllowUserPrefMerge", below="AuthorizedApplications", property="AllowUserApps", cuts=(0,)
    ),
    "globalportsallowuserprefmerge": Place(
        name="AllowUserPrefMerge", below="GloballyOpenPorts", property="AllowUserPorts", cuts=(0,)
    ),
    "allowlocalpolicymerge": Place(name="AllowLocalPolicyMerge", property="AllowLocalFirewallRules", cuts=(0,)),
    "allowlocalipsecpolicymerge": Place(name="AllowLocalIPsecPolicyMerge", property="AllowLocalIPsecRules", cuts=(0,)),
    "defaultoutboundaction": Place(
        name="DefaultOutboundAction", property="DefaultOutboundAction", answer="action", cuts=(1,)
    ),
    "defaultinboundaction": Place(
        name="DefaultInboundAction", property="DefaultInboundAction", answer="action", cuts=(1,)
    ),
    "disablestealthmodeipsecsecuredpacketexemption": Place(
        name="DisableStealthModeIPsecSecuredPacketExemption", property="EnableStealthModeForIPsec", answer="opposite"
    ),
}
"""What stands in each profile, by the last word of the setting."""

GLOBAL_PLACES: Final[Mapping[str, Place]] = {
    "crlcheck": Place(name="StrongCRLCheck", cuts=(1, 2)),
    "disablestatefulftp": Place(name="DisableStatefulFTP", property="EnableStatefulFtp", answer="opposite"),
    "enablepacketqueue": Place(name="EnablePacketQueue"),
    "ipsecexempt": Place(name="IPsecExempt"),
    "opportunisticallymatchauthsetperkm": Place(name="IPsecOpportunisticallyMatchAuthSetPerKM"),
    "presharedkeyencoding": Place(name="PresharedKeyEncoding"),
    "saidletime": Place(name="SAIdlTime", property="MaxSAIdleTimeSeconds", answer="number"),
}
"""What holds whatever the profile. The value's name ``SAIdlTime`` is spelled as Microsoft does."""
SUMS: Final = frozenset({"enablepacketqueue", "ipsecexempt"})
"""Settings of several options whose values add up."""
IPSEC: Final = frozenset({"ipsecexempt", "presharedkeyencoding", "crlcheck"})
"""Of which each change may end connections that IPsec protects."""

_NOWHERE: Final[Mapping[str, str]] = {
    "device_vendor_msft_policy_config_audit_": (
        "Audit policy is no part of the registry and the firewall; it is set with auditpol or Group Policy."
    ),
    "device_vendor_msft_policy_config_networklistmanager_": (
        "Nothing is published about where Windows keeps what a network is recognised by; only its MDM channel sets it."
    ),
    f"{PREFIX}hypervvmsettings_": (
        "The firewall of virtual machines (WSL) has a store of its own that only the MDM channel of Windows reaches."
    ),
    f"{PREFIX}global_enableauditmode": "Nothing is published about where Windows keeps the audit mode of its firewall.",
}


def why_nowhere(setting: SettingId) -> str | None:
    """Say why a setting of the firewall's policies has no place; ``None`` for every other setting."""
    return next((reason for prefix, reason in _NOWHERE.items() if setting.startswith(prefix)), None)


def place_of(setting: SettingId) -> tuple[str, Place] | None:
    """Return profile (as Windows names it, empty for what holds in all) and place of a setting that is no rule."""
    group, _, last = setting.removeprefix(PREFIX).partition("_")
    if not setting.startswith(PREFIX):
        return None
    if group in PROFILES and last in PROFILE_PLACES:
        return PROFILES[group], PROFILE_PLACES[last]
    if group == "global" and last in GLOBAL_PLACES:
        return "", GLOBAL_PLACES[last]
    return None


def value_at(store: PolicyStore, profile: str, place: Place) -> tuple[str, str]:
    """Return key and name of the value in the store's document."""
    parts = [store.subkey(profile) if profile else "", place.below]
    return "\\".join(part for part in parts if part), place.name
