"""Laws of Defender's settings on Windows: what is written is what is read, and letting go leaves no trace."""

from __future__ import annotations

from typing import ClassVar, Final

import pytest
from hypothesis import strategies as st
from tests.support import every_setting
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings
from tests.support.windows_defender import ANTIVIRUS, CATALOG, EXCLUSIONS, EXPERIENCE, REDUCTION, UPDATES

from shieldwall.agent.host import preferences
from shieldwall.agent.host.registry import RegistryValue, Tree, ValueKind, encode
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers.base import Desired, Files
from shieldwall.agent.providers.windows_defender.landings import (
    ASR_KEY,
    PER_RULE_KEY,
    RULES_KEY,
    ReportOnly,
    landings,
    properties,
)
from shieldwall.agent.providers.windows_defender.provider import WindowsDefenderProvider, defender
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.policy.flatten import put
from shieldwall.policy.values import SettingValue, as_set
from shieldwall.testing.windows.cim import PretendCim

PLACES: Final = landings(CATALOG)
PROVIDER: Final[WindowsDefenderProvider] = defender(CATALOG, PretendCim())[0]
POLICIES, CENTER, PREFERENCES = PROVIDER.files()

_KEYS: Final = (
    "",
    "Scan",
    "SCAN",
    "Real-Time Protection",
    "Exclusions",
    r"Exclusions\Paths",
    r"exclusions\paths",
    ASR_KEY,
    RULES_KEY,
    PER_RULE_KEY,
    "Policy Manager",
    "Notifications",
)
_NAMES: Final = (
    "",
    "DisableArchiveScanning",
    "disablearchivescanning",
    "DisableBehaviorMonitoring",
    "Exclusions_Paths",
    "ExploitGuard_ASR_Rules",
    "BE9BA2D9-53EA-4CDC-84E5-9B1EEEE46550",
    "be9ba2d9-53ea-4cdc-84e5-9b1eeee46550",
    r"C:\a",
    r"c:\A",
    "PUAProtection",
    "UILockdown",
)
_DATA: Final = st.one_of(
    st.integers(0, 3).map(RegistryValue.dword),
    st.sampled_from(["", "0", "1", "6", "a|b", "x>y"]).map(RegistryValue.text),
    st.just(RegistryValue(ValueKind.MULTI_SZ, ("a", "b"))),
    st.just(RegistryValue(ValueKind.BINARY, b"\x00")),
)


def _unlike(names: list[str]) -> bool:
    return len({same_name(name) for name in names}) == len(names)


def trees() -> st.SearchStrategy[Tree]:
    keys = st.lists(st.sampled_from(_KEYS), max_size=5, unique=True).filter(_unlike)
    names = st.lists(st.sampled_from(_NAMES), max_size=4, unique=True).filter(_unlike)

    @st.composite
    def drawn(draw: st.DrawFn) -> Tree:
        return {key: {name: draw(_DATA) for name in draw(names)} for key in _with_those_above(draw(keys))}

    return drawn()


def _with_those_above(keys: list[str]) -> list[str]:
    """Add the keys in which these are: none is there without them."""
    found = {"": ""}
    for key in keys:
        parts = key.split("\\")
        for length in range(1, len(parts) + 1):
            above = "\\".join(parts[:length])
            found.setdefault(same_name(above), above)
    return list(found.values())


def some_settings() -> st.SearchStrategy[Desired]:
    """A few settings with values, as policies are resolved: unordered lists sorted."""
    few = st.lists(st.sampled_from(sorted(PLACES)), max_size=10, unique=True)
    return few.flatmap(lambda names: desired_settings(CATALOG, names)).map(as_resolved)


def preference_documents() -> st.SearchStrategy[bytes]:
    values = st.booleans() | st.integers(0, 6)
    return st.dictionaries(st.sampled_from(sorted(properties(PLACES.values()))), values).map(preferences.encode)


def as_resolved(desired: Desired) -> Desired:
    return {
        setting: as_set(value) if isinstance(value, tuple) and not CATALOG.definition(setting).ordered else value
        for setting, value in desired.items()
    }


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents: ClassVar[st.SearchStrategy[Files]] = st.fixed_dictionaries(
        {
            POLICIES: st.none() | trees().map(encode),
            CENTER: st.none() | trees().map(encode),
            PREFERENCES: st.none() | preference_documents(),
        }
    )
    desired = some_settings()


@pytest.mark.parametrize("template", [ANTIVIRUS, EXCLUSIONS, EXPERIENCE, UPDATES, REDUCTION])
def test_every_setting_of_every_profile_reads_as_it_was_written(template: TemplateId) -> None:
    wanted: dict[SettingId, SettingValue] = {}
    for path in every_setting.paths(CATALOG, CATALOG.templates[template]):
        values: dict[SettingId, SettingValue] = {}
        put(CATALOG, every_setting.policy(CATALOG, path), values)
        definition = CATALOG.definition(path[-1][0])
        assert definition.children or path[-1][0] in PLACES, f"{path[-1][0]} lands nowhere"
        wanted |= values

    rendered = PROVIDER.render(dict.fromkeys(PROVIDER.files()), wanted, {})
    found = PROVIDER.read(rendered.files)

    only_told = {setting for setting in wanted if isinstance(PLACES[setting], ReportOnly)}
    assert rendered.rejected.keys() == only_told
    assert found == {setting: value for setting, value in wanted.items() if setting not in only_told}


@pytest.mark.parametrize("setting", sorted(PLACES))
def test_every_option_of_every_choice_reads_as_it_was_written(setting: SettingId) -> None:
    for option in CATALOG.definition(setting).options:
        is_list = CATALOG.definition(setting).kind.value == "choiceCollection"
        wanted: SettingValue = (option.item_id,) if is_list else option.item_id
        rendered = PROVIDER.render(dict.fromkeys(PROVIDER.files()), {setting: wanted}, {})

        assert setting in rendered.rejected or PROVIDER.read(rendered.files) == {setting: wanted}
