"""What can be said of a device before it answers: its platform, and the catalog its agent knows.

A setting with one part that is too new counts as too new as a whole: a firewall rule without the condition that the
agent cannot read would match more than its author meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from shieldwall.contract.settings import ChoiceCollectionSetting, ChoiceSetting, SettingInstance, walk
from shieldwall.policy.outcomes import Reason

Version: TypeAlias = tuple[int, ...]
"""A catalog version as numbers, so that 2026.11.10 comes after 2026.11.9."""

OLDEST: Final[Version] = ()
PLATFORMS: Final[Mapping[str, str]] = MappingProxyType(
    {"Linux": "linux", "macOS": "macOS", "Windows": "windows10", "Windows Server": "windows10"}
)
"""The platform of policies that a device's operating system takes."""


class Traits(Struct, frozen=True):
    """What decides which settings apply to a device. An agent that names no catalog version is taken as current."""

    platform: str
    catalog_version: str = ""

    def reason_against(self, platforms: str, needed: Version) -> Reason | None:
        """Say why a setting does not apply here, ``None`` when it does."""
        if self.platform not in platforms.split(","):
            return Reason.OTHER_PLATFORM
        known = parse_version(self.catalog_version)
        return Reason.AGENT_TOO_OLD if known is not None and known < needed else None


def traits_of(os_type: str, catalog_version: str) -> Traits:
    """Return the traits of a device with this operating system; an unknown one takes no policy."""
    return Traits(PLATFORMS.get(os_type, ""), catalog_version)


def parse_version(text: str) -> Version | None:
    """Read a catalog version such as ``2026.11.2``; ``None`` for anything else."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else None


def chosen(instance: SettingInstance) -> tuple[str, ...]:
    """Return the options that an instance itself, not what is inside it, is set to."""
    match instance:
        case ChoiceSetting(value=choice):
            return (choice.value,)
        case ChoiceCollectionSetting(values=choices):
            return tuple(choice.value for choice in choices)
        case _:
            return ()


def set_apart(
    settings: Iterable[SettingInstance], is_known: Callable[[SettingInstance], bool]
) -> tuple[tuple[SettingInstance, ...], tuple[SettingInstance, ...]]:
    """Set apart the settings with a part that is not known: first those that are whole, then the others."""
    whole: list[SettingInstance] = []
    others: list[SettingInstance] = []
    for instance in settings:
        readable = all(is_known(part) for part in walk((instance,)))
        (whole if readable else others).append(instance)
    return tuple(whole), tuple(others)
