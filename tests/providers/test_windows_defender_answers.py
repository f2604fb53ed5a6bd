"""Whatever Defender answers: nothing that it shows makes a report fail, and nothing odd is taken for a success."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.support.windows_defender import CATALOG, CONFIGURATION, POLICY, RULES

from shieldwall.agent.host.cim import CimValue
from shieldwall.agent.providers.windows_defender import observing, shown, sourcing
from shieldwall.agent.providers.windows_defender.asking import Sayings
from shieldwall.agent.providers.windows_defender.landings import ReportOnly, landings
from shieldwall.catalog.model import Kind
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

PLACES: Final = landings(CATALOG)
NAMES: Final = sorted(
    {
        *(definition.windows.preference or "" for definition in CATALOG.definitions.values() if definition.windows),
        "AttackSurfaceReductionRules_Actions",
        "AttackSurfaceReductionRules_RuleSpecificExclusions_Id",
        "AllowNetworkProtectionOnWinServer",
    }
)
STATUS: Final = (
    "AMRunningMode",
    "IsTamperProtected",
    "TamperProtectionSource",
    "RebootRequired",
    "OnAccessProtectionEnabled",
    "AMProductVersion",
)
LEAVES: Final = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["Normal", "Passive Mode", "02:00:00", "N/A: hidden", "a|b", "2026-01-01T02:00:00.0000000Z"])
)
ANSWERS: Final[st.SearchStrategy[CimValue]] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def wanted(setting: SettingId) -> SettingValue:
    definition = CATALOG.definition(setting)
    if definition.options:
        option = definition.options[0].item_id
        return (option,) if definition.kind is Kind.CHOICE_COLLECTION else option
    if definition.kind is Kind.SIMPLE_INTEGER:
        return 5
    return "Example" if definition.kind is Kind.SIMPLE_STRING else ("C:\\a",)


@given(
    preferences=st.dictionaries(st.sampled_from(NAMES), ANSWERS),
    status=st.dictionaries(st.sampled_from(STATUS), ANSWERS),
    is_server=st.booleans(),
)
def test_nothing_that_defender_answers_makes_a_report_fail(
    preferences: dict[str, CimValue], status: dict[str, CimValue], is_server: bool
) -> None:
    sayings = Sayings(preferences=preferences, status=status)

    for setting, place in PLACES.items():
        definition = CATALOG.definition(setting)
        seen = observing.judge(definition, place, wanted(setting), sayings, {})
        if is_server:
            seen = observing.on_server(definition, wanted(setting), seen, sayings)
        assert len(seen.reason) <= 600
        windows = definition.windows
        name = windows.preference or windows.status if windows else None
        if seen.effective and not isinstance(place, ReportOnly) and RULES not in setting:
            assert name in {**preferences, **status}
    written = {setting: wanted(setting) for setting in PLACES}
    sourcing.others(CATALOG, PLACES, group_policy={}, written=written, sayings=sayings)


def test_a_time_is_read_in_each_way_that_it_is_written() -> None:
    setting = SettingId(f"{POLICY}schedulescantime")
    definition, place = CATALOG.definition(setting), PLACES[setting]

    for text in ("02:30:00", "2:30", "2026-11-26T02:30:00.0000000Z", "02:30:00.0000000"):
        assert shown.value_shown(definition, place, {"ScanScheduleTime": text}, {}) == 150
    for text in ("1.02:30:00", "half past two", "2:3", "-02:30:00"):
        assert shown.value_shown(definition, place, {"ScanScheduleTime": text}, {}) is None


def test_yes_and_no_are_not_numbers_of_a_channel() -> None:
    setting = SettingId(f"{CONFIGURATION}engineupdateschannel")
    definition, place = CATALOG.definition(setting), PLACES[setting]

    assert shown.value_shown(definition, place, {"EngineUpdatesChannel": 0}, {}) == f"{setting}_0"
    assert shown.value_shown(definition, place, {"EngineUpdatesChannel": 9}, {}) == 9
