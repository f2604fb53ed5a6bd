"""The rules of attack surface reduction as plain data, out of settings and back. Pure.

A rule is named as in its landing place: ``restrictPtrace`` of ``hardening.rules.restrictPtrace``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.providers import landing
from shieldwall.agent.providers.base import Desired, ProviderError
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import decode_any, encode

EVERY_RULE: Final = "allRules"
"""Stands for a rule in the landing place of exclusions from all rules."""
PTRACE_SCOPE: Final = "hardening.ptraceScope"
DIRECTORIES: Final = "hardening.directoriesWithoutExecution"
SERVICES: Final = "hardening.networkServices"
DOCUMENT_ROOTS: Final = "hardening.documentRoots"

_PREFIX: Final = SettingId("linux_shieldwall_attacksurfacereduction")
_GROUP: Final = "hardening.rules"
_RULE: Final = f"{_GROUP}."
_EXCLUSIONS: Final = "hardening.exclusions."
_MEMBER_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        PTRACE_SCOPE: "restrictPtrace",
        DIRECTORIES: "blockExecutionFromWorldWritableDirectories",
        SERVICES: "blockShellFromNetworkServices",
        DOCUMENT_ROOTS: "blockWebShellCreation",
    }
)


class Mode(StrEnum):
    """What a rule does. Off leaves everything as it is without us."""

    OFF = "off"
    AUDIT = "audit"
    BLOCK = "block"


class Rules(Struct, frozen=True, kw_only=True):
    """Rules with their modes, and what they are about, by landing place."""

    modes: Mapping[str, Mode] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def mode(self, rule: str) -> Mode:
        """Return a rule's mode; one that nobody speaks about is off."""
        return self.modes.get(rule, Mode.OFF)

    def among(self, mode: Mode) -> frozenset[str]:
        """Return the rules of one mode."""
        return frozenset(rule for rule, own in self.modes.items() if own is mode)

    def exclusions(self, rule: str) -> tuple[str, ...]:
        """Return what a rule leaves out: its own exclusions, then those from all rules."""
        own = self.members.get(_EXCLUSIONS + rule, ())
        return (*own, *(path for path in self.members.get(_EXCLUSIONS + EVERY_RULE, ()) if path not in own))

    def texts(self, place: str) -> tuple[str, ...]:
        """Return a list that a rule is about, empty when nobody speaks about it."""
        return tuple(self.members.get(place, ()))

    @property
    def ptrace_scope(self) -> int:
        """How far the restriction of ptrace goes: 1 own children, 2 administrators, 3 nobody."""
        return int(self.members.get(PTRACE_SCOPE, 1))


class Vocabulary(Struct, frozen=True, kw_only=True):
    """The settings of the profile, by landing place."""

    catalog: Catalog
    places: Mapping[SettingId, str]

    @classmethod
    def of(cls, catalog: Catalog) -> Vocabulary:
        """Find the profile's settings in the catalog."""
        places = {
            setting: definition.landing
            for setting, definition in catalog.definitions.items()
            if setting.startswith(_PREFIX) and definition.landing is not None and definition.landing != _GROUP
        }
        return cls(catalog=catalog, places=places)

    def rule_of(self, setting: SettingId) -> str | None:
        """Return the rule that a setting is, or belongs to; ``None`` when it is none of the profile's."""
        place = self.places.get(setting)
        if place is None:
            return None
        for prefix in (_RULE, _EXCLUSIONS):
            if place.startswith(prefix):
                return place.removeprefix(prefix)
        return _MEMBER_OF.get(place)

    def is_rule(self, setting: SettingId) -> bool:
        """Say whether a setting is a rule itself, and not a part of one."""
        return self.places.get(setting, "").startswith(_RULE)

    def is_exclusion(self, setting: SettingId) -> bool:
        """Say whether a setting lists what rules leave out."""
        return self.places.get(setting, "").startswith(_EXCLUSIONS)

    def parse(self, desired: Desired) -> Rules:
        """Understand settings. Raises: ProviderError where a value does not fit its definition."""
        modes: dict[str, Mode] = {}
        members: dict[str, Any] = {}
        for setting, value in desired.items():
            rule = self.rule_of(setting)
            if rule is None:
                continue
            content = landing.encode(self.catalog, setting, value)
            if self.is_rule(setting):
                modes[rule] = Mode(content)
            else:
                members[self.places[setting]] = content
        return Rules(modes=modes, members=members)

    def remember(self, desired: Desired) -> bytes:
        """Write settings down so that ``remembered`` reads them back."""
        plain = {setting: landing.encode(self.catalog, setting, value) for setting, value in desired.items()}
        return encode(plain) + b"\n"

    def remembered(self, content: bytes | None) -> Desired:
        """Read what ``remember`` wrote; bytes that it never writes say nothing."""
        if content is None:
            return {}
        try:
            plain = decode_any(content.removesuffix(b"\n"))
            desired = {
                SettingId(setting): landing.decode(self.catalog, SettingId(setting), value)
                for setting, value in plain.items()
                if setting in self.places
            }
            known = {setting: value for setting, value in desired.items() if value is not None}
            return known if self.remember(known) == content else {}
        except (InvalidJsonError, ProviderError, AttributeError):
            return {}
