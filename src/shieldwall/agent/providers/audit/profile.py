"""The settings of the audit profile as plain data, out of settings and back. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.providers import landing
from shieldwall.agent.providers.base import Desired, Files, ProviderError
from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import decode_any, encode

ENABLED: Final = "audit.enabled"
PACK: Final = "audit.packs."
EXECUTION: Final = "audit.packs.execution"
WATCHES: Final = "audit.watches"
USERS: Final = "audit.excludedUsers"
PROGRAMS: Final = "audit.excludedPrograms"
BACKLOG: Final = "audit.limits.backlog"
WAIT_TIME: Final = "audit.limits.backlogWaitTime"
RATE: Final = "audit.limits.rate"
FAILURE: Final = "audit.failureMode"
LOGIN_UID: Final = "audit.loginUidImmutable"
IMMUTABLE: Final = "audit.immutable"
BEHAVIOR: Final = "antivirusEngine.behaviorMonitoring"
GLOBAL_EXCLUSIONS: Final = "exclusionSettings.exclusions"

_OWN: Final = "audit."
_FOR_LINUX: Final = "linux_"
_ALSO: Final = (BEHAVIOR, GLOBAL_EXCLUSIONS)
_GROUPS: Final = frozenset({"audit.limits"})
_SETTINGS: Final = "settings"
_HOLDS: Final = "holds"


class Profile(Struct, frozen=True, kw_only=True):
    """What is asked for, by landing place; what is not asked for stands as the catalog says it holds."""

    asked: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether the profile's rules are loaded."""
        return self.asked.get(ENABLED) is True

    @property
    def watches_behavior(self) -> bool:
        """Whether the antivirus profile wants what programs do to be watched."""
        return self.asked.get(BEHAVIOR) == "enabled"

    @property
    def audits(self) -> bool:
        """Whether anything is written down at all."""
        return self.is_on or self.watches_behavior

    def value(self, place: str) -> Any:
        """Return what is asked of a place, else what holds there by default; ``None`` where nothing does."""
        return self.asked.get(place, self.defaults.get(place))

    def items(self, place: str) -> tuple[Any, ...]:
        """Return a list."""
        return tuple(self.asked.get(place, ()))


class Vocabulary(Struct, frozen=True, kw_only=True):
    """The settings that are ours, by landing place."""

    catalog: Catalog
    places: Mapping[SettingId, str]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, catalog: Catalog) -> Vocabulary:
        """Find them in the catalog."""
        ours = {
            setting: definition
            for setting, definition in catalog.definitions.items()
            if setting.startswith(_FOR_LINUX) and definition.landing is not None and _is_ours(definition.landing)
        }
        places = {setting: definition.landing or "" for setting, definition in ours.items()}
        defaults = {
            definition.landing or "": definition.landing_default
            for definition in ours.values()
            if definition.kind is not Kind.GROUP and definition.landing_default is not None
        }
        return cls(catalog=catalog, places=places, defaults=defaults)

    def place(self, setting: SettingId) -> str | None:
        """Return where a setting lands, ``None`` when it is none of ours."""
        return self.places.get(setting)

    def profile(self, desired: Desired) -> Profile:
        """Understand settings. Raises: ProviderError where a value does not fit its definition."""
        asked = {
            place: landing.encode(self.catalog, setting, value)
            for setting, value in desired.items()
            if (place := self.places.get(setting)) is not None
        }
        return Profile(asked=asked, defaults=self.defaults)

    def remember(self, desired: Desired, contents: Files) -> bytes:
        """Write down settings, and what the other files hold because of them."""
        plain = {setting: landing.encode(self.catalog, setting, value) for setting, value in desired.items()}
        holds = {str(path): _digest(content) for path, content in contents.items()}
        return encode({_SETTINGS: plain, _HOLDS: holds}) + b"\n"

    def remembered(self, content: bytes | None) -> Desired:
        """Read the settings that ``remember`` wrote; bytes that it never writes say nothing."""
        desired, _ = self._read(content)
        return desired

    def held(self, memory: bytes | None, files: Files) -> Desired:
        """Read the settings back, if the other files are as they were written."""
        desired, holds = self._read(memory)
        is_whole = all(_digest(files.get(PurePosixPath(path))) == digest for path, digest in holds.items())
        return desired if is_whole else {}

    def _read(self, content: bytes | None) -> tuple[Desired, Mapping[str, str | None]]:
        if content is None:
            return {}, {}
        try:
            plain = decode_any(content.removesuffix(b"\n"))
            settings, holds = plain[_SETTINGS], plain[_HOLDS]
            found = {
                SettingId(setting): landing.decode(self.catalog, SettingId(setting), value)
                for setting, value in settings.items()
                if setting in self.places
            }
            desired = {setting: value for setting, value in found.items() if value is not None}
            again = {setting: landing.encode(self.catalog, setting, value) for setting, value in desired.items()}
            is_ours = encode({_SETTINGS: again, _HOLDS: holds}) + b"\n" == content
            return (desired, dict(holds)) if is_ours else ({}, {})
        except (InvalidJsonError, ProviderError, KeyError, TypeError, AttributeError, ValueError):
            return {}, {}


def _is_ours(place: str) -> bool:
    return place in _ALSO or (place.startswith(_OWN) and "[]" not in place and place not in _GROUPS)


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
