"""One level out of three settings, and what is overruled."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from shieldwall.agent.providers.clamav import ClamavProvider, directives, levels
from shieldwall.agent.providers.clamav.levels import ENFORCEMENT_LEVEL, PASSIVE_MODE, REAL_TIME_PROTECTION, Level
from shieldwall.agent.providers.clamav.provider import CONFIGURATION
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

ENGINE = "linux_mdatp_managed_antivirusengine_"


@pytest.mark.parametrize(
    ("protection", "passive", "level", "overruled"),
    [
        (None, None, None, set()),
        (True, None, Level.REAL_TIME, set()),
        (False, None, Level.ON_DEMAND, set()),
        (None, True, Level.PASSIVE, set()),
        (None, False, Level.ON_DEMAND, set()),
        (True, True, Level.PASSIVE, {REAL_TIME_PROTECTION}),
        (True, False, Level.REAL_TIME, set()),
        (False, True, Level.PASSIVE, set()),
        (False, False, Level.ON_DEMAND, set()),
    ],
)
def test_the_older_settings_alone(
    protection: bool | None, passive: bool | None, level: Level | None, overruled: set[str]
) -> None:
    told = {REAL_TIME_PROTECTION: protection, PASSIVE_MODE: passive}
    values = {landing: value for landing, value in told.items() if value is not None}

    assert levels.level_of(values) is level
    assert levels.superseded(values) == overruled


@pytest.mark.parametrize(("level", "protection", "passive"), list(product(Level, (True, False), (True, False))))
def test_the_level_decides_and_what_says_otherwise_is_overruled(level: Level, protection: bool, passive: bool) -> None:
    values: dict[str, Any] = {ENFORCEMENT_LEVEL: level.value, REAL_TIME_PROTECTION: protection, PASSIVE_MODE: passive}

    overruled = levels.superseded(values)

    assert levels.level_of(values) is level
    assert ENFORCEMENT_LEVEL not in overruled
    assert (PASSIVE_MODE in overruled) is (passive is not (level is Level.PASSIVE))
    # "Audit" is neither protection nor its absence, so either is overruled by it.
    assert (REAL_TIME_PROTECTION in overruled) is (level is Level.AUDIT or protection is not (level is Level.REAL_TIME))
    assert {landing: values[landing] for landing in values if landing not in overruled} == dict(
        directives.plan(values).values
    )


def test_what_holds_without_us_is_what_lines_of_others_say() -> None:
    provider = ClamavProvider(load())
    files = {CONFIGURATION: b"ScanArchive false\nMaxThreads 7\nScanArchive yes\n"}

    managed = provider.render(files, {SettingId(ENGINE + "maximumondemandscanthreads"): 3}, {})

    expected = {
        SettingId(ENGINE + "scanarchives"): ENGINE + "scanarchives_false",
        SettingId(ENGINE + "maximumondemandscanthreads"): 7,
    }
    assert provider.local(files, {}) == provider.local(managed.files, managed.kept) == expected
