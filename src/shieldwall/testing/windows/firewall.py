r"""Windows Firewall as it is documented: what holds is made of its stores, and told through its classes.

Assumptions, and where they are written:

* Three stores: device management (``…\FirewallPolicy\Mdm``), Group Policy (``…\Policies\Microsoft\WindowsFirewall``)
  and local (``…\FirewallPolicy``), with the names of [MS-GPFAS] in each. The key of device management is in Microsoft's
  own list of what its diagnostics collect; that it holds the same names is assumed.
* A setting comes from the first store that has it. That device management comes before Group Policy is assumed;
  ``precedence`` turns it around. Without any, the defaults of *Firewall CSP* hold.
* Rules of all stores hold together, local ones only in profiles that merge them; a block beats what allows, rules beat
  the default action. Microsoft, *Windows Firewall rules*.
* A rule that cannot be read takes those of its store with it (0x80070057), as in Intune's blocks since 21H2;
  ``all_or_nothing`` turns that off. Microsoft, *Endpoint security firewall policy*; practitioners.
* A service that does not run answers 0x80070426 (ERROR_SERVICE_NOT_ACTIVE). Microsoft, *System Error Codes*.
* The service takes up a change of a store at once.

To check on a real machine: ``docs/windows-macos.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from shieldwall.agent.host.cim import FIREWALL, CimError, CimValue, Properties
from shieldwall.agent.host.registry.model import Tree, folded, same_name
from shieldwall.testing.windows.cim import no_such_method
from shieldwall.testing.windows.firewall_rules import Packet, PretendRule, UnreadableRuleError
from shieldwall.testing.windows.registry import PretendRegistry

Source: TypeAlias = Literal["mdm", "groupPolicy", "local"]

LOCAL: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
KEYS: Final[Mapping[Source, str]] = {
    "mdm": rf"{LOCAL}\Mdm",
    "groupPolicy": r"HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall",
    "local": LOCAL,
}
_PRIVATE: Final[Mapping[Source, str]] = {
    "mdm": "StandardProfile",
    "groupPolicy": "PrivateProfile",
    "local": "StandardProfile",
}
_SOURCES: Final[Mapping[Source, tuple[str, int]]] = {
    "local": ("PersistentStore", 1),
    "groupPolicy": ("GroupPolicy", 2),
    "mdm": ("Mdm", 6),
}
PROFILES: Final = ("Domain", "Private", "Public")
INVALID_ARGUMENT: Final = 0x80070057
SERVICE_NOT_ACTIVE: Final = 0x80070426

_FLAGS: Final[Mapping[str, tuple[str, str, bool, int]]] = {
    "Enabled": ("", "EnableFirewall", False, 1),
    "AllowInboundRules": ("", "DoNotAllowExceptions", True, 0),
    "AllowLocalFirewallRules": ("", "AllowLocalPolicyMerge", False, 1),
    "AllowLocalIPsecRules": ("", "AllowLocalIPsecPolicyMerge", False, 1),
    "AllowUserApps": ("AuthorizedApplications", "AllowUserPrefMerge", False, 1),
    "AllowUserPorts": ("GloballyOpenPorts", "AllowUserPrefMerge", False, 1),
    "AllowUnicastResponseToMulticast": ("", "DisableUnicastResponsesToMulticastBroadcast", True, 0),
    "NotifyOnListen": ("", "DisableNotifications", True, 0),
    "EnableStealthModeForIPsec": ("", "DisableStealthModeIPsecSecuredPacketExemption", True, 1),
    "LogAllowed": ("Logging", "LogSuccessfulConnections", False, 0),
    "LogBlocked": ("Logging", "LogDroppedPackets", False, 0),
    "LogIgnored": ("Logging", "LogIgnoredRules", False, 0),
}
"""Properties by key, value, whether they ask the opposite question, and the default of the value."""
_ACTIONS: Final = {"DefaultInboundAction": 1, "DefaultOutboundAction": 0}
_LOG: Final = r"%systemroot%\system32\LogFiles\Firewall\pfirewall.log"
_FILTERS: Final = (
    *("MSFT_NetProtocolPortFilter", "MSFT_NetAddressFilter", "MSFT_NetApplicationFilter", "MSFT_NetServiceFilter"),
    *("MSFT_NetInterfaceTypeFilter", "MSFT_NetInterfaceFilter", "MSFT_NetNetworkLayerSecurityFilter"),
)


@dataclass(slots=True)
class PretendFirewall:
    """The firewall of one machine; a component of its management. ``running`` is its service."""

    registry: PretendRegistry
    precedence: Sequence[Source] = ("mdm", "groupPolicy", "local")
    all_or_nothing: bool = True
    running: bool = True
    errors: list[int] = field(default_factory=list)
    """What the service noted in its log when a store was read last."""

    @property
    def classes(self) -> Sequence[tuple[str, str]]:
        """See ``CimComponent.classes``."""
        names = ("MSFT_NetFirewallProfile", "MSFT_NetSecuritySettingData", "MSFT_NetFirewallRule", *_FILTERS)
        return tuple((FIREWALL, name) for name in names)

    def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:
        """See ``CimComponent.instances``. Raises: CimError: The service does not run, or there is no such store."""
        if not self.running:
            raise CimError("The service has not been started.", status=SERVICE_NOT_ACTIVE)
        sources = self._sources(options.get("PolicyStore", "PersistentStore"))
        match class_name.casefold():
            case "msft_netfirewallprofile":
                return [self._profile(profile, sources) for profile in PROFILES]
            case "msft_netsecuritysettingdata":
                return [self._settings(sources)]
            case "msft_netfirewallrule":
                return [self._rule(source, rule) for source, rule in self._rules(sources)]
            case _:
                return [{"InstanceID": rule.id, **rule.filters} for _, rule in self._rules(sources)]

    def invoke(self, class_name: str, method: str, arguments: Properties) -> Properties:  # noqa: ARG002 - port
        """See ``CimComponent.invoke``. Raises: CimError."""
        raise no_such_method(class_name, method)

    def passes(self, packet: Packet) -> bool:
        """Say whether a packet that opens a connection passes."""
        shown = self._profile(packet.profile, self.precedence)
        if shown["Enabled"] != 1:
            return True
        if packet.incoming and shown["AllowInboundRules"] != 1:
            return False
        deciding = [rule for _, rule in self._rules(self.precedence) if rule.matches(packet)]
        if deciding:
            return not any(rule.blocks for rule in deciding)
        return shown["DefaultInboundAction" if packet.incoming else "DefaultOutboundAction"] == 2

    def _sources(self, store: str) -> Sequence[Source]:
        match store.casefold():
            case "activestore":
                return self.precedence
            case "rsop":
                return ("groupPolicy",)
            case "persistentstore":
                return ("local",)
            case _:
                raise CimError(f"There is no policy store {store}.", status=INVALID_ARGUMENT)

    def _profile(self, profile: str, sources: Sequence[Source]) -> Properties:
        whole = len(sources) > 1  # a single store says what it does not configure
        row: dict[str, CimValue] = {"Name": profile, "InstanceID": f"MSFT|FW|FirewallProfile|{profile}"}
        for name, (below, value, opposite, default) in _FLAGS.items():
            number = self._value(profile, below, value, sources, default if whole else None)
            row[name] = 2 if number is None else int(bool(number) is not opposite)
        for name, default in _ACTIONS.items():
            number = self._value(profile, "", name, sources, default if whole else None)
            row[name] = 0 if number is None else (4 if number else 2)
        row["LogMaxSizeKilobytes"] = self._value(profile, "Logging", "LogFileSize", sources, 4096 if whole else None)
        row["LogFileName"] = self._value(profile, "Logging", "LogFilePath", sources, _LOG if whole else None)
        return row

    def _settings(self, sources: Sequence[Source]) -> Properties:
        return {
            "EnableStatefulFtp": int(not self._value("", "", "DisableStatefulFTP", sources, 0)),
            "MaxSAIdleTimeSeconds": self._value("", "", "SAIdlTime", sources, 300),
        }

    def _value(
        self, profile: str, below: str, name: str, sources: Sequence[Source], default: int | str | None
    ) -> int | str | None:
        for source in sources:
            key = _PRIVATE[source] if profile == "Private" else f"{profile}Profile" if profile else ""
            place = "\\".join(part for part in (key, below) if part)
            found = folded(self._tree(source)).get(same_name(place), {}).get(same_name(name))
            if found is not None and isinstance(found[1].data, int | str):
                return found[1].data
        return default

    def _rules(self, sources: Sequence[Source]) -> Iterator[tuple[Source, PretendRule]]:
        for source in sources:
            rules = self._taken(source)
            if source == "local" and len(sources) > 1:
                merged = [name for name in PROFILES if self._profile(name, sources)["AllowLocalFirewallRules"] == 1]
                rules = [narrowed for rule in rules if (narrowed := rule.only_in(merged)) is not None]
            yield from ((source, rule) for rule in rules)

    def _taken(self, source: Source) -> list[PretendRule]:
        taken: list[PretendRule] = []
        for name, value in folded(self._tree(source)).get(same_name("FirewallRules"), {}).values():
            try:
                taken.append(PretendRule.read(name, str(value.data)))
            except UnreadableRuleError:
                self.errors.append(INVALID_ARGUMENT)
                if self.all_or_nothing:
                    return []
        return taken

    def _rule(self, source: Source, rule: PretendRule) -> Properties:
        store, kind = _SOURCES[source]
        return {**rule.row, "PolicyStoreSource": store, "PolicyStoreSourceType": kind}

    def _tree(self, source: Source) -> Tree:
        return self.registry.read(KEYS[source]) or {}
