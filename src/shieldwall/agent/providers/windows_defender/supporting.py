"""Why a setting of Defender cannot be enforced on a machine. Pure."""

from __future__ import annotations

from typing import Final

from shieldwall.agent.host.windows_machine import BUILD_2012_R2, BUILD_2016, WindowsMachine, parsed_version
from shieldwall.agent.providers.windows_defender import rules
from shieldwall.agent.providers.windows_defender.asking import Looked, Sayings
from shieldwall.agent.providers.windows_defender.landings import (
    Landing,
    PolicyNumber,
    PolicyText,
    RuleExclusions,
    RuleMode,
)
from shieldwall.catalog.model import SettingDefinition

NOT_HERE: Final = "Microsoft Defender Antivirus is not on this device."
_NOT_DELIVERED: Final = "Device control is not delivered through this channel."
_UNSUPPORTED: Final = "This channel does not deliver the setting; its vendor withdraws it."
_NO_PLACE: Final = "Nothing is published about where Windows keeps this setting."
_SERVERS_ONLY: Final = frozenset({"AllowDatagramProcessingOnWinServer"})
_DOWN_LEVEL_ONLY: Final = frozenset({"AllowNetworkProtectionDownLevel"})
"""Network protection needs to be let on where Windows is older than it. Microsoft, *Set-MpPreference*."""
_NETWORK_PROTECTION_BUILD: Final = 16299


def why_not(definition: SettingDefinition, place: Landing | None, looked: Looked) -> str:
    """Say why a setting cannot be enforced here; empty when it can."""
    machine, sayings = looked.machine, looked.sayings
    return (
        _nowhere(definition, place)
        or (NOT_HERE if sayings.absent and not _is_of_app(place) else "")
        or _machine(machine)
        or _server(definition, place, machine)
        or _version(definition, place, machine)
        or _platform(definition, sayings)
    )


def _nowhere(definition: SettingDefinition, place: Landing | None) -> str:
    if "_devicecontrol" in definition.id:
        return _NOT_DELIVERED
    if not definition.supported:
        return _UNSUPPORTED
    return _NO_PLACE if place is None else ""


def _machine(machine: WindowsMachine) -> str:
    if machine.is_server_core and machine.version and machine.build <= BUILD_2016:
        return f"Server Core of {machine.caption} is not supported; Windows Server 2019 is the first that is."
    if machine.is_server and machine.version and machine.build < BUILD_2012_R2:
        return f"{machine.caption} is not supported; Windows Server 2012 R2 is the first that is."
    return ""


def _server(definition: SettingDefinition, place: Landing | None, machine: WindowsMachine) -> str:
    preference = definition.windows.preference if definition.windows else None
    if _is_of_app(place) and machine.is_server_core:
        return "Server Core has no Windows Security app."
    if preference in _SERVERS_ONLY and not machine.is_server:
        return "The setting is for Windows Server alone."
    if preference in _DOWN_LEVEL_ONLY and machine.build > BUILD_2016 and machine.build >= _NETWORK_PROTECTION_BUILD:
        return "The setting lets network protection on where Windows is older than it; this Windows is not."
    return ""


def _version(definition: SettingDefinition, place: Landing | None, machine: WindowsMachine) -> str:
    if isinstance(place, RuleMode | RuleExclusions):
        return rules.why_not(place.guid, machine)  # the rules' own table is more exact than the catalog's version
    if machine.is_server or not machine.version or definition.minimum_version is None:
        return ""  # what is published are versions of Windows clients
    needed = parsed_version(definition.minimum_version)
    if machine.version < needed:
        return f"The setting needs Windows {definition.minimum_version} or later; this is {machine.written_version}."
    return ""


def _platform(definition: SettingDefinition, sayings: Sayings) -> str:
    """Say so where Defender itself is too old: it does not have a property that the setting is shown by."""
    preference = definition.windows.preference if definition.windows else None
    if preference is None or not sayings.preferences or preference in sayings.preferences:
        return ""
    version = sayings.text("AMProductVersion") or "of unknown version"
    return f"Defender's platform {version} is too old: it does not know {preference}. Update the platform."


def _is_of_app(place: Landing | None) -> bool:
    return isinstance(place, PolicyNumber | PolicyText) and place.center
