"""Every setting takes effect on a machine that was written from the documentation, not from the provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support import windows_defender as w
from tests.support.windows_defender import CATALOG, DefendedMachine

from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.providers.windows_defender.landings import PolicyNames, ReportOnly, landings
from shieldwall.catalog.model import Kind, SettingDefinition, Tamper
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue
from shieldwall.testing.windows.defender import FEATURES
from shieldwall.testing.windows.machine import SERVER_2022

PLACES: Final = landings(CATALOG)
NOT_SHOWN: Final = {
    f"{w.CONFIGURATION}archivemaxdepth",
    f"{w.CONFIGURATION}archivemaxsize",
    f"{w.CONFIGURATION}disablelocaladminmerge",
    *(setting for setting in PLACES if setting.startswith(w.CENTER)),
}
"""Settings of which Defender shows nothing, so that nobody can tell."""
WITH_RESTART: Final = f"{w.POLICY}allowonaccessprotection"
SETTINGS: Final = sorted(setting for setting, place in PLACES.items() if not isinstance(place, ReportOnly))


def values(definition: SettingDefinition) -> Iterator[SettingValue]:
    """Yield values that differ from one another as much as they may."""
    match definition.kind:
        case Kind.CHOICE:
            yield from (option.item_id for option in definition.options)
        case Kind.CHOICE_COLLECTION:
            yield from ((option.item_id,) for option in definition.options)
        case Kind.SIMPLE_INTEGER:
            yield from {definition.limits.minimum or 0, definition.limits.maximum or 7, 5}
        case Kind.SIMPLE_STRING:
            yield from ("Example", "Other example")
        case _ if definition.limits.allowed:
            yield from (definition.limits.allowed, definition.limits.allowed[:1])
        case _:
            yield from ((r"C:\A b", r"D:\Ä\*.txt"), (r"C:\c.exe",))


def hold(machine: DefendedMachine, setting: SettingId, value: SettingValue) -> None:
    """Write a setting as the engine does, without anything else."""
    host, provider = machine.host, machine.provider
    before = {path: host.read_file(path) for path in provider.files()}
    for path, content in provider.render(before, {setting: value}, {}).files.items():
        if content != before[path]:
            host.write_file(path, content)
    machine.defender.restart()


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_value_of_every_setting_takes_effect(tmp_path: Path, setting: SettingId) -> None:
    machine = DefendedMachine(tmp_path)

    for value in values(CATALOG.definition(setting)):
        hold(machine, setting, value)
        seen = machine.provider.observe(machine.host, {setting: value})[setting]

        assert (seen.effective, seen.code) == ((None, "notShown") if setting in NOT_SHOWN else (True, seen.code))
        assert seen.code in {"", "notShown", "warnsAsBlock"}


@pytest.mark.parametrize("setting", sorted(set(SETTINGS) - NOT_SHOWN))
def test_no_value_is_taken_for_another(tmp_path: Path, setting: SettingId) -> None:
    machine = DefendedMachine(tmp_path)
    wanted, other = list(values(CATALOG.definition(setting)))[:2]
    hold(machine, setting, other)

    seen = machine.provider.observe(machine.host, {setting: wanted})[setting]

    assert (seen.effective, seen.code) == (False, "notInEffect")


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if CATALOG.definition(each).tamper_protected is Tamper.ALWAYS]
)
def test_whatever_tamper_protection_keeps_is_said_to_be_kept_by_it(tmp_path: Path, setting: SettingId) -> None:
    machine = DefendedMachine(tmp_path)
    machine.defender.tamper_protected = True
    blocked = []

    for value in values(CATALOG.definition(setting)):
        hold(machine, setting, value)
        seen = machine.provider.observe(machine.host, {setting: value})[setting]
        blocked.append((seen.effective, seen.code))

    assert (False, "blockedByTamperProtection") in blocked
    assert set(blocked) <= {(False, "blockedByTamperProtection"), (True, "")}


@pytest.mark.parametrize("setting", [each for each, place in PLACES.items() if isinstance(place, PolicyNames)])
def test_a_list_to_which_others_add_holds_what_is_wanted(tmp_path: Path, setting: SettingId) -> None:
    machine = DefendedMachine(tmp_path)
    windows = CATALOG.definition(setting).windows
    assert windows is not None
    machine.windows.cim.invoke(
        "root/Microsoft/Windows/Defender", "MSFT_MpPreference", "Add", {str(windows.preference): [r"E:\theirs"]}
    )
    hold(machine, setting, (r"C:\ours",))

    seen = machine.provider.observe(machine.host, {setting: (r"c:\OURS",)})[setting]

    assert seen.effective


@pytest.mark.parametrize("protects", [False, True])
def test_exclusions_are_kept_by_tamper_protection_where_it_is_for_them(tmp_path: Path, protects: bool) -> None:
    machine = DefendedMachine(tmp_path)
    machine.defender.tamper_protected = True
    machine.windows.registry.fill(FEATURES, {"TPExclusions": RegistryValue.dword(int(protects))})
    setting = SettingId(f"{w.POLICY}excludedpaths")
    hold(machine, setting, (r"C:\ours",))

    seen = machine.provider.observe(machine.host, {setting: (r"C:\ours",)})[setting]

    assert (seen.effective, seen.code) == ((False, "blockedByTamperProtection") if protects else (True, ""))


def test_lists_that_the_asker_may_not_see_prove_nothing(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    setting = SettingId(f"{w.POLICY}excludedpaths")
    machine.defender.local["ExclusionPath"] = ("N/A: Must be an administrator to view exclusions",)

    seen = machine.provider.observe(machine.host, {setting: (r"C:\ours",)})[setting]

    assert (seen.effective, seen.code) == (None, "notShown")


@pytest.mark.parametrize(("let_on", "expected"), [(False, (False, "notInUse")), (True, (True, ""))])
def test_network_protection_of_a_server_must_be_let_on_as_well(
    tmp_path: Path, let_on: bool, expected: tuple[bool, str]
) -> None:
    machine = DefendedMachine(tmp_path, SERVER_2022)
    machine.defender.local["AllowNetworkProtectionOnWinServer"] = let_on
    setting = SettingId(f"{w.POLICY}enablenetworkprotection")
    hold(machine, setting, f"{setting}_1")

    seen = machine.provider.observe(machine.host, {setting: f"{setting}_1"})[setting]

    assert (seen.effective, seen.code) == expected
