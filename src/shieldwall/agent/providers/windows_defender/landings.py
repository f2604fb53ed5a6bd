"""Where each setting of Defender lands on a Windows machine: a value of a policy, or a preference.

What Group Policy has a value for is written there: policies hold against local preferences, and Defender reads them at
once. What only exists as a preference is set as one. Facts: the catalog (``windows`` of each setting); the shapes of
lists, ASR rules and threat severities: Microsoft, *Policy CSP - ADMX_MicrosoftDefenderAntivirus*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import SettingId

POLICY_KEY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender"
"""Where Group Policy keeps what Defender is told, and where settings management of its vendor is seen to write."""
CENTER_KEY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender Security Center"
"""The same for the app that shows Windows Security."""

ASR_KEY: Final = r"Windows Defender Exploit Guard\ASR"
RULES_KEY: Final = ASR_KEY + r"\Rules"
PER_RULE_KEY: Final = ASR_KEY + r"\ASROnlyPerRuleExclusions"
_FOLDER_ACCESS_KEY: Final = r"Windows Defender Exploit Guard\Controlled Folder Access"
_OURS: Final = (
    "device_vendor_msft_policy_config_defender_",
    "device_vendor_msft_defender_configuration_",
    "device_vendor_msft_policy_config_windowsdefendersecuritycenter_",
    "vendor_msft_defender_configuration_tamperprotection_options",
)
_SWITCHES: Final[Mapping[str, tuple[str, str]]] = {
    r"Exclusions\Extensions": ("Exclusions", "Exclusions_Extensions"),
    r"Exclusions\Paths": ("Exclusions", "Exclusions_Paths"),
    r"Exclusions\Processes": ("Exclusions", "Exclusions_Processes"),
    ASR_KEY + r"\ASROnlyExclusions": (ASR_KEY, "ExploitGuard_ASR_ASROnlyExclusions"),
    _FOLDER_ACCESS_KEY + r"\AllowedApplications": (
        _FOLDER_ACCESS_KEY,
        "ExploitGuard_ControlledFolderAccess_AllowedApplications",
    ),
    _FOLDER_ACCESS_KEY + r"\ProtectedFolders": (
        _FOLDER_ACCESS_KEY,
        "ExploitGuard_ControlledFolderAccess_ProtectedFolders",
    ),
}
RULES_SWITCH: Final = (ASR_KEY, "ExploitGuard_ASR_Rules")
PER_RULE_SWITCH: Final = (ASR_KEY, "ExploitGuard_ASR_ASROnlyPerRuleExclusions")
SEVERITY_KEY: Final = r"Threats\ThreatSeverityDefaultAction"
SEVERITY_SWITCH: Final = ("Threats", "Threats_ThreatSeverityDefaultAction")


class PolicyNumber(Struct, frozen=True, kw_only=True):
    """A DWORD. ``inverted``: the product asks the opposite question. ``center``: it is the app's, not Defender's."""

    key: str
    name: str
    inverted: bool = False
    center: bool = False


class PolicyText(Struct, frozen=True, kw_only=True):
    """A text; a list in it is joined by ``|``."""

    key: str
    name: str
    center: bool = False


class PolicyNames(Struct, frozen=True, kw_only=True):
    """A list: each item is the name of a value below ``key``; ``switch`` says that the list counts."""

    key: str
    switch: tuple[str, str]


class RuleMode(Struct, frozen=True, kw_only=True):
    """The mode of one attack surface reduction rule, and ``ThreatSeverity`` alike: a number as text beside a switch."""

    guid: str

    @property
    def key(self) -> str:
        """The key of the value."""
        return RULES_KEY

    @property
    def name(self) -> str:
        """The name of the value."""
        return self.guid

    @property
    def switch(self) -> tuple[str, str]:
        """What makes the value count."""
        return RULES_SWITCH


class ThreatSeverity(Struct, frozen=True, kw_only=True):
    """What is done about threats of one severity; ``name`` is its number."""

    name: str

    @property
    def key(self) -> str:
        """The key of the value."""
        return SEVERITY_KEY

    @property
    def switch(self) -> tuple[str, str]:
        """What makes the value count."""
        return SEVERITY_SWITCH


class RuleExclusions(Struct, frozen=True, kw_only=True):
    """What one rule leaves out: one text, joined by ``>``."""

    guid: str


class Preference(Struct, frozen=True, kw_only=True):
    """A property of MSFT_MpPreference that no policy has. ``boolean``: it is true or false, else a number."""

    name: str
    boolean: bool


class ReportOnly(Struct, frozen=True):
    """Nobody but the vendor's own service can set it; whether it is as wanted is told."""


Landing: TypeAlias = (
    PolicyNumber | PolicyText | PolicyNames | RuleMode | ThreatSeverity | RuleExclusions | Preference | ReportOnly
)


def is_defenders(setting: SettingId) -> bool:
    """Say whether a setting is about Defender or the app that shows it, wherever it lands."""
    return setting.startswith(_OURS)


def landings(catalog: Catalog) -> Mapping[SettingId, Landing]:
    """Return where each setting of the catalog lands; those that land nowhere are left out, groups among them."""
    found: dict[SettingId, Landing] = {}
    for setting, definition in catalog.definitions.items():
        if is_defenders(setting) and definition.supported and definition.kind is not Kind.GROUP_COLLECTION:
            landing = _landing(catalog, definition)
            if landing is not None:
                found[setting] = landing
    return found


def properties(places: Iterable[Landing]) -> frozenset[str]:
    """Return the properties of MSFT_MpPreference that are set as such."""
    return frozenset(place.name for place in places if isinstance(place, Preference))


def _landing(  # noqa: PLR0911 - one return per kind reads as the table it is
    catalog: Catalog, definition: SettingDefinition
) -> Landing | None:
    windows = definition.windows
    if windows is None:
        return None
    guid = _rule(catalog, definition)
    key = None if windows.registry_key is None else _below(windows.registry_key)
    match windows.registry_value, definition.kind:
        case _, Kind.CHOICE if guid is not None:
            return RuleMode(guid=guid)
        case _, Kind.SIMPLE_STRING_COLLECTION if guid is not None:
            return RuleExclusions(guid=guid)
        case str(name), Kind.CHOICE if key == SEVERITY_KEY:
            return ThreatSeverity(name=name)
        case str(name), (Kind.CHOICE | Kind.SIMPLE_INTEGER) if key is not None:
            center = _is_center(windows.registry_key)
            return PolicyNumber(key=key, name=name, inverted=windows.registry_inverted, center=center)
        case str(name), (Kind.SIMPLE_STRING | Kind.SIMPLE_STRING_COLLECTION) if key is not None:
            return PolicyText(key=key, name=name, center=_is_center(windows.registry_key))
        case None, Kind.SIMPLE_STRING_COLLECTION if key is not None and key in _SWITCHES:
            return PolicyNames(key=key, switch=_SWITCHES[key])
        case None, _ if windows.preference is not None:
            boolean = {option.value for option in definition.options} == {0, 1}
            return Preference(name=windows.preference, boolean=boolean)
        case None, _ if windows.status is not None:
            return ReportOnly()
    return None


def _rule(catalog: Catalog, definition: SettingDefinition) -> str | None:
    """Return the GUID, in lower case, of the rule that a setting switches or leaves something out of."""
    if "_attacksurfacereductionrules_" not in definition.id:
        return None
    rule = definition
    if definition.kind is not Kind.CHOICE:
        rule = catalog.definition(definition.depends_on[0].parent)
    return str(rule.options[0].value).partition("=")[0].lower()


def _is_center(key: str | None) -> bool:
    return key is not None and f"{key}\\".startswith(f"{CENTER_KEY}\\")


def _below(key: str) -> str:
    """Return a key's path below that of its policy."""
    root = CENTER_KEY if _is_center(key) else POLICY_KEY
    return key.removeprefix(root).removeprefix("\\")
