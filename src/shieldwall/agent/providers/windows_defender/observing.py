"""Whether what was written holds: Defender is asked, and what stands against it is named. Pure but for the question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shieldwall.agent.host.cim import CimError
from shieldwall.agent.host.preferences import INVALID_ARGUMENT, NOT_SUPPORTED
from shieldwall.agent.providers.base import RESTART_NEEDED, Observation
from shieldwall.agent.providers.tampering import BlockedByTamperProtectionError
from shieldwall.agent.providers.windows_defender import rules, shown
from shieldwall.agent.providers.windows_defender.asking import Sayings
from shieldwall.agent.providers.windows_defender.landings import (
    Landing,
    PolicyNumber,
    PolicyText,
    Preference,
    ReportOnly,
    RuleMode,
)
from shieldwall.agent.providers.windows_defender.policies import number_of
from shieldwall.catalog.model import SettingDefinition, Tamper
from shieldwall.policy.values import SettingValue

_ON: Final = frozenset({"Onboarding", "ControlledConfig_Onboarding"})
_WARN: Final = 6
_NORMAL: Final = frozenset({"", "Normal"})
_PASSIVE: Final = frozenset({"Passive Mode", "SxS Passive Mode", "SxS", "EDR Block Mode"})
"""``AMRunningMode`` where another antivirus program protects. Source: Microsoft, *Defender Antivirus compatibility*."""
_REFUSED: Final = {
    INVALID_ARGUMENT: ("invalidValue", "Defender calls the value invalid"),
    NOT_SUPPORTED: ("notSupportedOnEdition", "This edition of Windows does not have the setting"),
}
_LONGEST: Final = 512
NETWORK_PROTECTION: Final = "device_vendor_msft_policy_config_defender_enablenetworkprotection"
_LETS_ON: Final = "AllowNetworkProtectionOnWinServer"


def judge(  # noqa: PLR0911 - one return per finding, from the gravest on
    definition: SettingDefinition,
    place: Landing,
    wanted: SettingValue,
    sayings: Sayings,
    refusals: Mapping[str, CimError],
) -> Observation:
    """Say whether one setting is in effect, and if not, what keeps it from being so."""
    if isinstance(place, ReportOnly):
        return _tamper_protection(definition, wanted, sayings)
    if _is_of_app(place):
        return Observation(effective=None, code="notShown", reason="Windows Security does not tell what it shows.")
    if sayings.failure is not None:
        failure = sayings.failure
        gone = failure.code == "engineNotAnswering"
        return Observation(
            effective=False if gone else None, code=failure.code, reason=failure.cause[:_LONGEST], lasting=True
        )
    mode = _running_mode(place, sayings)
    if mode is not None:
        return mode
    if not shown.is_shown(definition, place):
        return Observation(effective=None, code="notShown", reason="Defender does not show this setting.")
    found = shown.value_shown(definition, place, sayings.preferences, sayings.status)
    if found is not None and shown.holds(definition, place, wanted, found):
        return _in_effect(definition, place, wanted, sayings)
    if isinstance(place, Preference) and place.name in refusals:
        return _refused(refusals[place.name])
    if found is None:
        return Observation(effective=None, code="notShown", reason="Defender shows no value of this setting.")
    return _not_in_effect(definition, found, sayings)


def on_server(definition: SettingDefinition, wanted: SettingValue, seen: Observation, sayings: Sayings) -> Observation:
    """Correct what was seen where Windows Server needs one thing more: network protection must be let on there.

    Source: Microsoft, *Set-MpPreference*, ``AllowNetworkProtectionOnWinServer``; no published setting has it.
    """
    if definition.id != NETWORK_PROTECTION or not seen.effective or not number_of(definition, wanted):
        return seen
    if sayings.preferences.get(_LETS_ON) is not False:
        return seen
    reason = f"Windows Server does nothing of it before Set-MpPreference -{_LETS_ON} $true was called on the device."
    return Observation(effective=False, code="notInUse", reason=reason, lasting=True)


def may_settle(seen: Observation) -> bool:
    """Say whether another look in a moment may see something else: Defender still shows a former value."""
    return seen.code in {"notInEffect", BlockedByTamperProtectionError.code}


def blocks(definition: SettingDefinition, sayings: Sayings) -> bool:
    """Say whether tamper protection may keep a setting from taking another value."""
    if definition.tamper_protected is Tamper.CONDITIONAL and not sayings.protects_exclusions:
        return False
    return sayings.is_tamper_protected and definition.tamper_protected is not Tamper.NO


def _tamper_protection(definition: SettingDefinition, wanted: SettingValue, sayings: Sayings) -> Observation:
    option = definition.option(str(wanted))
    is_on = sayings.status.get("IsTamperProtected")
    if option is None or not isinstance(is_on, bool):
        return Observation(effective=None, code="notShown", reason="Defender does not tell of tamper protection.")
    state = f"Tamper protection is {'on' if is_on else 'off'}{_who(sayings)}."
    return Observation(effective=is_on is (option.value in _ON), code="reportOnly", reason=state, lasting=True)


def _running_mode(place: Landing, sayings: Sayings) -> Observation | None:
    """Say so where another program protects instead; preferences, such as how to update, hold all the same."""
    mode = sayings.text("AMRunningMode")
    if mode in _NORMAL or isinstance(place, Preference):
        return None
    if mode in _PASSIVE:
        reason = (
            f"Defender runs in {mode}: another antivirus program protects this device, so the setting does nothing."
        )
        return Observation(effective=False, code="passiveMode", reason=reason, lasting=True)
    reason = f"Defender's service does not protect (AMRunningMode: {mode[:64]})."
    return Observation(effective=False, code="engineNotAnswering", reason=reason, lasting=True)


def _in_effect(definition: SettingDefinition, place: Landing, wanted: SettingValue, sayings: Sayings) -> Observation:
    if definition.may_need_reboot and sayings.needs_restart:
        return _restart()
    if isinstance(place, RuleMode) and number_of(definition, wanted) == _WARN:
        rule = rules.RULES.get(place.guid)
        if rule is not None and not rule.warns:
            return Observation(effective=True, code="warnsAsBlock", reason="The rule cannot warn and blocks instead.")
    return Observation(effective=True)


def _not_in_effect(definition: SettingDefinition, found: SettingValue, sayings: Sayings) -> Observation:
    if blocks(definition, sayings):
        return Observation(
            effective=False,
            code=BlockedByTamperProtectionError.code,
            reason=f"Defender took the setting and keeps {_words(definition, found)}: tamper protection is on"
            f"{_who(sayings)}.",
            lasting=True,
        )
    if definition.may_need_reboot and sayings.needs_restart:
        return _restart()
    reason = f"Defender shows {_words(definition, found)} although the policy is written."
    return Observation(effective=False, code="notInEffect", reason=reason[:_LONGEST], lasting=True)


def _restart() -> Observation:
    return Observation(
        effective=None, code=RESTART_NEEDED, reason="Defender takes this setting with the next restart of the device."
    )


def _refused(error: CimError) -> Observation:
    code, words = _REFUSED.get(error.status, (error.code, "Defender refused the setting"))
    return Observation(effective=False, code=code, reason=f"{words}: {error.cause}"[:_LONGEST], lasting=True)


def _who(sayings: Sayings) -> str:
    source = sayings.text("TamperProtectionSource")
    return f" (source: {source[:64]})" if source else ""


def _words(definition: SettingDefinition, value: SettingValue) -> str:
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    option = definition.option(value) if isinstance(value, str) else None
    return f"'{option.display_name}'" if option is not None else repr(value)[:128]


def _is_of_app(place: Landing) -> bool:
    return isinstance(place, PolicyNumber | PolicyText) and place.center
