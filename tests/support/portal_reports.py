"""What the devices of the furnished tenant (``portal_scene``) say of their settings: what agents say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection

from shieldwall.agent.applier.values import shown
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest, SettingId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import traits_of
from shieldwall.policy.explain import explain
from shieldwall.policy.outcomes import Conflict, Decided, Reason, Resolution
from shieldwall.policy.prepared import PreparedPolicy, prepare
from shieldwall.policy.resolve import resolve_prepared
from shieldwall.server.manager.policies import document_of
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.policies import revisions

_PROVIDERS: Final = {
    ("Linux", True): "nftables",
    ("Linux", False): "mdatp",
    ("Windows", True): "windowsfirewall",
    ("Windows", False): "windowsdefender",
    ("macOS", True): "macosfirewall",
    ("macOS", False): "mdatp",
}
"""Who carries a setting out on a system, and whether it is one of the firewall."""
_INAPPLICABLE: Final = {
    Reason.OTHER_PLATFORM: "The policy is for another platform.",
    Reason.AGENT_TOO_OLD: "Agent too old: this one does not know the setting, a newer one does.",
}
_ENGINE: Final = "The engine does not follow its configuration."
_FIREWALL: Final = "Another program took the rules out of the kernel."


@dataclass(frozen=True, kw_only=True)
class Reports:
    """Decides what devices shall have as they do themselves, and tells of it."""

    catalog: Catalog
    _prepared: dict[Digest, PreparedPolicy] = field(default_factory=dict)

    def of(self, connection: Connection, number: int, device: Device, target: Target) -> StatusReport:
        """Say how the settings of the ``number``-th device are; some devices are in some trouble."""
        wanted = [item.digest for item in target.items]
        for digest, revision in revisions.find_many(
            connection, [each for each in wanted if each not in self._prepared]
        ).items():
            self._prepared[digest] = prepare(self.catalog, document_of(revision))
        resolved = resolve_prepared(
            self.catalog,
            [self._prepared[each] for each in wanted],
            target.conflict_rules,
            traits_of(device.os_type, device.catalog_version),
        )
        told = [self._told(number + 3 * place, device, each) for place, each in enumerate(resolved.settings.values())]
        return StatusReport(target=None, settings=tuple(sorted(told, key=lambda each: each.setting)))

    def _told(self, number: int, device: Device, resolution: Resolution) -> SettingStatus:
        match resolution:
            case Decided():
                return self._decided(number, device, resolution)
            case Conflict():
                return SettingStatus(
                    setting=resolution.setting,
                    state=SettingState.CONFLICT,
                    code="conflict",
                    reason=explain(self.catalog, resolution),
                    rule=resolution.rule,
                    policies=tuple(sorted(each.policy for each in resolution.contenders)),
                )
            case _:
                return SettingStatus(
                    setting=resolution.setting,
                    state=SettingState.NOT_APPLICABLE,
                    code=resolution.reason,
                    reason=_INAPPLICABLE[resolution.reason],
                    policies=tuple(sorted(each.policy for each in resolution.contenders)),
                )

    def _decided(self, number: int, device: Device, decided: Decided) -> SettingStatus:
        value = shown(self.catalog, decided.setting, decided.value)
        is_firewall = self._is_firewall(decided.setting)
        fine = SettingStatus(
            setting=decided.setting,
            state=SettingState.SUCCEEDED,
            provider=_PROVIDERS[device.os_type, is_firewall],
            value=value,
            read_back=value,
            written=True,
            effective=True,
            rule=decided.rule,
            policies=decided.winners,
            losers=decided.losers,
        )
        match number % 37:
            case 5:
                reason = _FIREWALL if is_firewall else _ENGINE
                return replace(fine, state=SettingState.ERROR, code="notEffective", reason=reason, effective=False)
            case 12 | 19:
                return replace(
                    fine, code="repaired", reason="The setting had been changed on the device and was put back."
                )
            case 21 if not is_firewall:
                reason = "It holds after the next restart."
                return replace(fine, state=SettingState.PENDING, code="restartNeeded", reason=reason, effective=False)
            case _:
                return fine

    def _is_firewall(self, setting: SettingId) -> bool:
        return self.catalog.families.get(setting) == "endpointSecurityFirewall"
