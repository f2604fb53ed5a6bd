"""What a change of a policy changes in what it says, setting by setting. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.server.portal.policies.wizard.form_fields import Settings
from shieldwall.server.portal.policies.wizard.hints import told_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSetting:
    """A setting that says something else afterwards; of a list, the lines that go and those that come."""

    setting: SettingId
    name: str
    category: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    is_new: bool
    is_gone: bool


def compared_settings(catalog: Catalog, before: Settings, after: Settings) -> tuple[ComparedSetting, ...]:
    """Return the settings that differ, in the order of the new ones and then those that go."""
    former = {each.setting: each for each in told_settings(catalog, before)}
    later = {each.setting: each for each in told_settings(catalog, after)}
    found: list[ComparedSetting] = []
    for setting in dict.fromkeys((*later, *former)):
        was, now = former.get(setting), later.get(setting)
        old, new = (was.lines if was else ()), (now.lines if now else ())
        if was is not None and now is not None and old == new:
            continue
        told = now or was
        assert told is not None, "a setting that is on neither side is not compared"
        found.append(
            ComparedSetting(
                setting=setting,
                name=told.name,
                category=told.category,
                before=tuple(line for line in old if line not in new),
                after=tuple(line for line in new if line not in old),
                is_new=was is None,
                is_gone=now is None,
            )
        )
    return tuple(found)
