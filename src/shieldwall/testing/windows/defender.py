"""Microsoft Defender Antivirus of a pretended Windows machine: its preferences, its policies, its status.

What it assumes, and where that is written, stands in ``docs/windows-macos.md``. In short: policies hold against
preferences; lists of both are united unless a policy forbids it; of rules the policy's mode counts; tamper protection
keeps the defaults and says yes to whoever changes them; a service that is stopped answers 0x800106ba.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shieldwall.agent.host.cim import DEFENDER, CimError, CimValue, Properties
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.host.registry.model import same_name
from shieldwall.testing.windows.cim import no_such_method
from shieldwall.testing.windows.defender_policies import (
    ASR,
    DEFAULTS,
    LISTS,
    PROPERTIES,
    PROTECTED,
    SEVERITIES,
    THREATS,
    ListPolicy,
)
from shieldwall.testing.windows.registry import PretendRegistry

POLICY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender"
FEATURES: Final = r"HKLM\SOFTWARE\Microsoft\Windows Defender\Features"
_ONE: Final = RegistryValue.dword(1)
_EXCLUSIONS: Final = frozenset({"ExclusionPath", "ExclusionExtension", "ExclusionProcess"})
"""With ``TPExclusions`` under tamper protection no list counts but one of Intune, which no stand-in has."""
PREFERENCE: Final = "MSFT_MpPreference"
STATUS: Final = "MSFT_MpComputerStatus"
SERVICE_STOPPED: Final = 0x800106BA
INVALID_ARGUMENT: Final = 0x80070057
NOT_SUPPORTED: Final = 65000
_RESTART: Final = (("Real-Time Protection", "DisableOnAccessProtection"), ("", "DisableLocalAdminMerge"))
"""Policies that Defender takes with the next restart. Source: the catalog (settings that may need a restart)."""


@dataclass(slots=True)
class PretendDefender:
    """One Defender; a component of ``PretendCim``.

    ``stopped``: the service does not answer. ``mode`` is ``AMRunningMode``. ``unknown`` are properties that this
    platform does not have, ``invalid`` and ``unsupported`` those that it refuses to set, ``deaf`` those that it takes
    and does not keep.
    """

    registry: PretendRegistry
    local: dict[str, CimValue] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    tamper_protected: bool = False
    tamper_source: str = "ATP"
    stopped: bool = False
    mode: str = "Normal"
    version: str = "4.18.25080.5"
    unknown: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)
    unsupported: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    _slow: int = field(default=0, init=False)
    _former: PretendRegistry | None = field(default=None, init=False)
    _booted: dict[tuple[str, str], RegistryValue | None] = field(init=False)

    def __post_init__(self) -> None:
        """Take what needs a restart as it is now."""
        self.restart()

    @property
    def classes(self) -> Sequence[tuple[str, str]]:
        """See ``CimComponent.classes``."""
        return ((DEFENDER, PREFERENCE), (DEFENDER, STATUS))

    def restart(self) -> None:
        """Start the machine anew: what waited for that holds."""
        self._booted = {place: self._policy(*place) for place in _RESTART}

    def read_policies_after(self, answers: int) -> None:
        """Go on showing the policies that there are now until so many questions were answered."""
        self._slow, self._former = answers, copy.deepcopy(self.registry)

    def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:  # noqa: ARG002 - port
        """See ``CimComponent.instances``. Raises: CimError: the service is stopped."""
        self._answer()
        self._slow = max(0, self._slow - 1)
        self._former = self._former if self._slow else None
        return (self.preferences() if class_name.casefold() == PREFERENCE.casefold() else self.status(),)

    def invoke(self, class_name: str, method: str, arguments: Properties) -> Properties:
        """See ``CimComponent.invoke``. Raises: CimError: refused; not where tamper protection keeps the value."""
        self._answer()
        if class_name.casefold() != PREFERENCE.casefold() or method not in {"Set", "Add", "Remove"}:
            raise no_such_method(class_name, method)
        for name in arguments:
            self._refuse(name)
        for name, value in arguments.items():
            if name not in self.deaf and not self._is_protected(name):
                self._take(method, name, value)
        return {"ReturnValue": 0}

    def preferences(self) -> Properties:
        """Return what holds: policies, preferences, defaults; under tamper protection what it keeps."""
        single = {name: self._single(name) for name in DEFAULTS if name not in LISTS}
        lists = {name: self._list(name, policy) for name, policy in LISTS.items()}
        rules, exclusions = self._rules(), self._names(ASR + r"\ASROnlyPerRuleExclusions")
        found: dict[str, CimValue] = {
            **single,
            **lists,
            "AttackSurfaceReductionRules_Ids": tuple(rules),
            "AttackSurfaceReductionRules_Actions": tuple(rules.values()),
        }
        if self._policy(ASR, "ExploitGuard_ASR_ASROnlyPerRuleExclusions") == RegistryValue.dword(1):
            found["AttackSurfaceReductionRules_RuleSpecificExclusions_Id"] = tuple(exclusions)
            found["AttackSurfaceReductionRules_RuleSpecificExclusions"] = tuple(
                str(value.data).replace(">", "|") for value in exclusions.values()
            )
        else:
            found["AttackSurfaceReductionRules_RuleSpecificExclusions"] = ()
            found["AttackSurfaceReductionRules_RuleSpecificExclusions_Id"] = ()
        return {name: value for name, value in found.items() if name not in self.unknown}

    def status(self) -> Properties:
        """Return what ``Get-MpComputerStatus`` tells."""
        shown = self.preferences()
        real_time = shown.get("DisableRealtimeMonitoring") is False and self.mode == "Normal"
        on_access = self._booted[_RESTART[0]] != RegistryValue.dword(1) or self.tamper_protected
        return {
            "AMRunningMode": self.mode,
            "AMServiceEnabled": True,
            "AMProductVersion": self.version,
            "AMServiceVersion": self.version,
            "RealTimeProtectionEnabled": real_time,
            "BehaviorMonitorEnabled": real_time and shown.get("DisableBehaviorMonitoring") is False,
            "IoavProtectionEnabled": real_time and shown.get("DisableIOAVProtection") is False,
            "OnAccessProtectionEnabled": real_time and on_access,
            "IsTamperProtected": self.tamper_protected,
            "TamperProtectionSource": self.tamper_source if self.tamper_protected else "N/A",
            "RebootRequired": any(self._policy(*place) != booted for place, booted in self._booted.items()),
        }

    def _answer(self) -> None:
        if self.stopped:
            raise CimError("The service has stopped.", status=SERVICE_STOPPED)

    def _refuse(self, name: str) -> None:
        if name in self.unsupported:
            raise CimError(f"{name}: not supported.", status=NOT_SUPPORTED)
        known = name in DEFAULTS and name not in self.unknown
        if not known or name in self.invalid:
            raise CimError(f"{name}: The parameter is incorrect.", status=INVALID_ARGUMENT)

    def _is_protected(self, name: str) -> bool:
        return self.tamper_protected and name in PROTECTED

    def _take(self, method: str, name: str, value: CimValue) -> None:
        present = self.local.get(name, ())
        if name not in LISTS:
            if method == "Remove":
                self.local.pop(name, None)
            else:
                self.local[name] = value
            return
        items = [str(item) for item in present] if isinstance(present, list | tuple) else []
        given = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
        folded = {same_name(item) for item in given}
        left = [item for item in items if same_name(item) not in folded]
        self.local[name] = tuple(left if method == "Remove" else given if method == "Set" else [*left, *given])

    def _single(self, name: str) -> CimValue:
        if self._is_protected(name):
            return PROTECTED[name]
        severity = SEVERITIES.get(name)
        if severity is not None and self._policy(THREATS, "Threats_ThreatSeverityDefaultAction") is not None:
            found = self._policy(THREATS + r"\ThreatSeverityDefaultAction", severity)
            if found is not None:
                return int(str(found.data))
        policy = PROPERTIES.get(name)
        value = None if policy is None else self._policy(policy.key, policy.name)
        if policy is not None and value is not None:
            return policy.read(value)
        return self.local.get(name, DEFAULTS[name])

    def _list(self, name: str, policy: ListPolicy) -> CimValue:
        of_policy: tuple[str, ...] = ()
        if self._policy(policy.switch_key, policy.switch) == RegistryValue.dword(1):
            of_policy = tuple(self._names(policy.key))
        local = self.local.get(name, ())
        if self.tamper_protected and name in _EXCLUSIONS and self.registry.value(FEATURES, "TPExclusions") == _ONE:
            return ()
        merged = self._booted[_RESTART[1]] != RegistryValue.dword(1)
        own = [str(item) for item in local] if merged and isinstance(local, list | tuple) else []
        return tuple({same_name(item): item for item in [*of_policy, *own]}.values())

    def _rules(self) -> dict[str, int]:
        rules = dict(self.rules)
        if self._policy(ASR, "ExploitGuard_ASR_Rules") == RegistryValue.dword(1):
            rules |= {guid.lower(): int(str(mode.data)) for guid, mode in self._names(ASR + r"\Rules").items()}
        return rules

    def _policy(self, key: str, name: str) -> RegistryValue | None:
        return (self._former or self.registry).value(f"{POLICY}\\{key}" if key else POLICY, name)

    def _names(self, key: str) -> dict[str, RegistryValue]:
        return dict(((self._former or self.registry).read(f"{POLICY}\\{key}") or {}).get("", {}))
