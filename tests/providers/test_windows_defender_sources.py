"""Whose a value of Defender is: a policy's, a Group Policy's, a local administrator's, tamper protection's, its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import policies as p
from tests.support import windows_defender as w
from tests.support.windows_defender import DefendedMachine

from shieldwall.agent.applier.sources import SettingSource, Source
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.testing.windows.defender import FEATURES, POLICY

ARCHIVES: Final = f"{w.POLICY}allowarchivescanning"
EMAIL: Final = f"{w.POLICY}allowemailscanning"
LOAD: Final = f"{w.POLICY}avgcpuloadfactor"
PATHS: Final = f"{w.POLICY}excludedpaths"
HTTP: Final = f"{w.CONFIGURATION}disablehttpparsing"
REAL_TIME: Final = f"{w.POLICY}allowrealtimemonitoring"
SCAN: Final = POLICY + r"\Scan"


@pytest.fixture
def machine(tmp_path: Path) -> DefendedMachine:
    return DefendedMachine(tmp_path)


def sources(machine: DefendedMachine) -> dict[str, SettingSource]:
    return {each.setting: each for each in machine.applier.sources()}


def told(source: SettingSource) -> tuple[Source, Any, Any]:
    return source.source, source.value, source.local


def test_what_nobody_set_is_the_products_own(machine: DefendedMachine) -> None:
    found = sources(machine)

    assert told(found[ARCHIVES]) == (Source.DEFAULT, f"{ARCHIVES}_1", None)
    assert told(found[LOAD]) == (Source.DEFAULT, 50, None)
    assert {each.source for each in found.values()} == {Source.DEFAULT}


def test_what_a_local_administrator_set_is_theirs(machine: DefendedMachine) -> None:
    machine.defender.local |= {
        "DisableArchiveScanning": True,
        "ExclusionPath": (r"D:\Data",),
        "DisableHttpParsing": True,
    }

    found = sources(machine)

    assert told(found[ARCHIVES]) == (Source.LOCAL_ADMINISTRATOR, f"{ARCHIVES}_0", None)
    assert told(found[PATHS]) == (Source.LOCAL_ADMINISTRATOR, [r"D:\Data"], None)
    assert told(found[HTTP]) == (Source.LOCAL_ADMINISTRATOR, f"{HTTP}_1", None)
    assert found[EMAIL].source is Source.DEFAULT


def test_what_a_group_policy_says_is_its_own_and_beats_local_preferences(machine: DefendedMachine) -> None:
    machine.windows.registry.fill(SCAN, {"DisableArchiveScanning": RegistryValue.dword(1)})
    machine.defender.local |= {"DisableArchiveScanning": False}

    assert told(sources(machine)[ARCHIVES]) == (Source.GROUP_POLICY, f"{ARCHIVES}_0", None)


def test_what_a_policy_of_ours_holds_is_the_policys_whatever_others_want(machine: DefendedMachine) -> None:
    machine.windows.registry.fill(SCAN, {"DisableArchiveScanning": RegistryValue.dword(1)})
    machine.defender.local |= {"DisableHttpParsing": True}
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_1"), p.choice(HTTP, "_0"), p.number(LOAD, 30)))

    found = sources(machine)

    assert told(found[ARCHIVES]) == (Source.POLICY, f"{ARCHIVES}_1", f"{ARCHIVES}_0")
    assert told(found[LOAD]) == (Source.POLICY, 30, None)
    assert found[HTTP].source is Source.POLICY


def test_what_tamper_protection_keeps_is_neither_the_policys_nor_anybodys(machine: DefendedMachine) -> None:
    machine.defender.tamper_protected = True
    machine.enforce(w.antivirus(p.choice(REAL_TIME, "_0"), p.choice(EMAIL, "_1")))

    found = sources(machine)

    assert told(found[REAL_TIME])[:2] == (Source.TAMPER_PROTECTION, f"{REAL_TIME}_1")
    assert told(found[EMAIL])[:2] == (Source.POLICY, f"{EMAIL}_1")


@pytest.mark.parametrize("protects", [False, True])
def test_exclusions_that_tamper_protection_keeps_out_are_its_own(machine: DefendedMachine, protects: bool) -> None:
    machine.defender.tamper_protected = True
    machine.windows.registry.fill(FEATURES, {"TPExclusions": RegistryValue.dword(int(protects))})
    machine.enforce(w.antivirus(p.texts(PATHS, r"D:\Data")))

    found = told(sources(machine)[PATHS])

    assert found[:2] == ((Source.TAMPER_PROTECTION, []) if protects else (Source.POLICY, [r"D:\Data"]))


def test_asking_changes_nothing(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(EMAIL, "_1"), p.choice(HTTP, "_1")))
    calls, operations = list(machine.windows.cim.calls), list(machine.windows.registry.operations)

    sources(machine)

    assert machine.windows.cim.calls == calls
    assert machine.windows.registry.operations == operations
