"""Policies for Defender enforced on a pretended Windows machine, and what is said where something stands against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support import policies as p
from tests.support import windows_defender as w
from tests.support.windows_defender import DefendedMachine

from shieldwall.agent.applier.failures import ReleaseIncompleteError
from shieldwall.agent.host.cim import CimError, LanguageModeError
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.providers.windows_defender.provider import defender
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.contract.status import SettingState
from shieldwall.testing.windows.defender import POLICY

REAL_TIME = f"{w.POLICY}allowrealtimemonitoring"
ARCHIVES = f"{w.POLICY}allowarchivescanning"
CLOUD = f"{w.POLICY}allowcloudprotection"
SCAN_DAY = f"{w.POLICY}schedulescanday"
SCAN_TIME = f"{w.POLICY}schedulescantime"
CHANNEL = f"{w.CONFIGURATION}engineupdateschannel"
HTTP = f"{w.CONFIGURATION}disablehttpparsing"
PATHS = f"{w.POLICY}excludedpaths"
MERGE = f"{w.CONFIGURATION}disablelocaladminmerge"
OFFICE = f"{w.RULES}_blockallofficeapplicationsfromcreatingchildprocesses"
MACROS = f"{w.RULES}_blockjavascriptorvbscriptfromlaunchingdownloadedexecutablecontent"


@pytest.fixture
def machine(tmp_path: Path) -> DefendedMachine:
    return DefendedMachine(tmp_path)


def windows(document: PolicyDocument) -> PolicyDocument:
    return msgspec.structs.replace(document, platforms="windows10", technologies="mdm,microsoftSense")


def reduction(*rules: SettingInstance) -> PolicyDocument:
    return windows(p.document(2, p.items(w.RULES, rules), template=w.REDUCTION))


def test_policies_and_preferences_take_effect(machine: DefendedMachine) -> None:
    told = machine.enforce(
        w.antivirus(
            p.choice(ARCHIVES, "_0"),
            p.choice(CLOUD, "_1"),
            p.choice(SCAN_DAY, "_3"),
            p.number(SCAN_TIME, 150),
            p.choice(CHANNEL, "_4"),
            p.choice(HTTP, "_1"),
            p.texts(PATHS, r"D:\Data", r"E:\More"),
        )
    )

    assert {name: (one.state, one.effective) for name, one in told.items()} == dict.fromkeys(
        told, (SettingState.SUCCEEDED, True)
    )
    assert len(told) == 7
    shown = machine.defender.preferences()
    assert (shown["DisableArchiveScanning"], shown["ScanScheduleTime"], shown["EngineUpdatesChannel"]) == (
        True,
        "02:30:00",
        4,
    )
    assert shown["DisableHttpParsing"] is True
    assert shown["ExclusionPath"] == (r"D:\Data", r"E:\More")


def test_letting_go_leaves_registry_and_preferences_as_they_were(machine: DefendedMachine) -> None:
    machine.windows.registry.fill(POLICY + r"\Scan", {"DisableArchiveScanning": RegistryValue.dword(0)})
    machine.defender.local["DisableHttpParsing"] = False
    before = {path: machine.host.read_file(path) for path in machine.provider.files()}

    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(HTTP, "_1"), p.texts(PATHS, r"D:\Data")))
    changed = {path: machine.host.read_file(path) for path in machine.provider.files()}
    machine.applier.release()

    assert {path: machine.host.read_file(path) for path in machine.provider.files()} == before
    assert sum(changed[path] != before[path] for path in before) == 2  # policies and preferences


def test_rules_are_written_with_their_modes_and_exclusions(machine: DefendedMachine) -> None:
    told = machine.enforce(
        reduction(
            p.choice(OFFICE, "_block", p.texts(f"{OFFICE}_perruleexclusions", r"C:\Tools\a.exe", r"C:\Tools\b.exe")),
            p.choice(MACROS, "_warn"),
        )
    )

    assert {one.state for one in told.values()} == {SettingState.SUCCEEDED}
    assert told[OFFICE].effective
    assert told[f"{OFFICE}_perruleexclusions"].effective
    assert (told[MACROS].effective, told[MACROS].code) == (True, "warnsAsBlock")
    asr = POLICY + r"\Windows Defender Exploit Guard\ASR"
    rule = machine.windows.registry.value(asr + r"\ASROnlyPerRuleExclusions", "d4f940ab-401b-4efc-aadc-ad5f3c50688a")
    assert rule == RegistryValue.text(r"C:\Tools\a.exe>C:\Tools\b.exe")


def test_what_tamper_protection_keeps_is_found_by_reading_back(machine: DefendedMachine) -> None:
    machine.defender.tamper_protected = True

    told = machine.enforce(w.antivirus(p.choice(REAL_TIME, "_0"), p.choice(CLOUD, "_1"), p.choice(SCAN_DAY, "_3")))

    blocked = told[REAL_TIME]
    assert (blocked.state, blocked.code) == (SettingState.ERROR, "blockedByTamperProtection")
    assert (blocked.written, blocked.effective) == (True, False)
    assert blocked.reason == "Defender took the setting and keeps 'Allowed': tamper protection is on (source: ATP)."
    assert told[CLOUD].state is SettingState.SUCCEEDED  # what protection keeps is what is wanted
    assert told[SCAN_DAY].state is SettingState.SUCCEEDED


def test_what_is_blocked_is_not_fought_over(machine: DefendedMachine) -> None:
    machine.defender.tamper_protected = True
    machine.enforce(w.antivirus(p.choice(REAL_TIME, "_0"), p.choice(ARCHIVES, "_1")))
    operations = len(machine.windows.registry.operations)

    codes = {w.by_setting(machine.applier.refresh())[REAL_TIME].code for _ in range(12)}

    assert codes == {"blockedByTamperProtection"}
    assert len(machine.windows.registry.operations) == operations
    machine.windows.registry.fill(POLICY + r"\Scan", {"DisableArchiveScanning": RegistryValue.dword(1)})
    assert w.by_setting(machine.applier.refresh())[ARCHIVES].code == "repaired"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"deaf": {"DisableHttpParsing"}}, "notInEffect"),
        ({"invalid": {"DisableHttpParsing"}}, "invalidValue"),
        ({"unsupported": {"DisableHttpParsing"}}, "notSupportedOnEdition"),
    ],
)
def test_one_preference_that_is_not_taken_leaves_the_others_alone(
    machine: DefendedMachine, how: dict[str, set[str]], code: str
) -> None:
    for name, value in how.items():
        setattr(machine.defender, name, value)

    told = machine.enforce(w.antivirus(p.choice(HTTP, "_1"), p.choice(CHANNEL, "_4"), p.choice(SCAN_DAY, "_3")))

    assert (told[HTTP].state, told[HTTP].effective) == (SettingState.ERROR, False)
    assert str(told[HTTP].reason).endswith(f"({code})")
    assert told[CHANNEL].state is told[SCAN_DAY].state is SettingState.SUCCEEDED
    assert machine.defender.local == {"EngineUpdatesChannel": 4}


def test_a_refused_preference_is_tried_again_and_counts_for_no_contest(machine: DefendedMachine) -> None:
    machine.defender.invalid = {"DisableHttpParsing"}
    machine.enforce(w.antivirus(p.choice(HTTP, "_1"), p.choice(ARCHIVES, "_0")))
    codes = {w.by_setting(machine.applier.refresh())[HTTP].code for _ in range(12)}
    assert codes == {"notEffective"}

    machine.defender.invalid = set()
    machine.windows.registry.fill(POLICY + r"\Scan", {"DisableArchiveScanning": RegistryValue.dword(0)})
    told = w.by_setting(machine.applier.refresh())

    assert told[HTTP].effective
    assert told[ARCHIVES].effective


def test_a_service_that_is_gone_is_an_engine_that_does_not_answer(machine: DefendedMachine) -> None:
    machine.defender.stopped = True

    told = machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(HTTP, "_1")))

    for setting, written in ((ARCHIVES, True), (HTTP, False)):
        assert (told[setting].state, told[setting].code) == (SettingState.ERROR, "notEffective")
        assert (told[setting].written, told[setting].effective) == (written, False)
        assert told[setting].reason == (
            "Microsoft Defender Antivirus does not answer: The service has stopped. (0x800106ba) (engineNotAnswering)"
        )
    assert machine.provider.product_version(machine.host) == "engineNotAnswering"
    machine.defender.stopped = False
    told = w.by_setting(machine.applier.refresh())
    assert (told[ARCHIVES].effective, told[HTTP].effective) == (True, True)


def test_policies_can_be_let_go_while_the_service_is_gone_and_preferences_wait_for_it(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))
    machine.defender.stopped = True
    machine.applier.release()
    assert machine.windows.registry.value(POLICY + r"\Scan", "DisableArchiveScanning") is None

    machine.defender.stopped = False
    machine.enforce(w.antivirus(p.choice(HTTP, "_1")))
    machine.defender.stopped = True
    with pytest.raises(ReleaseIncompleteError, match="service is stopped"):
        machine.applier.release()
    machine.defender.stopped = False
    machine.applier.release()
    assert machine.defender.preferences()["DisableHttpParsing"] is False


def test_a_service_that_stops_while_it_is_observed(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))
    machine.defender.stopped = True

    (seen,) = machine.provider.observe(machine.host, machine.provider.read(files_of(machine))).values()

    assert (seen.effective, seen.code) == (False, "engineNotAnswering")


def files_of(machine: DefendedMachine) -> Any:
    return {path: machine.host.read_file(path) for path in machine.provider.files()[:2]}


@pytest.mark.parametrize(
    ("mode", "code"),
    [("Passive Mode", "passiveMode"), ("EDR Block Mode", "passiveMode"), ("Not running", "engineNotAnswering")],
)
def test_a_mode_in_which_another_program_protects_is_said(machine: DefendedMachine, mode: str, code: str) -> None:
    machine.defender.mode = mode

    told = machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(CHANNEL, "_4")))

    assert (told[ARCHIVES].state, told[ARCHIVES].effective) == (SettingState.ERROR, False)
    assert code in str(told[ARCHIVES].reason)
    assert mode in str(told[ARCHIVES].reason)
    assert told[CHANNEL].effective  # how it updates itself does not depend on who protects


def test_what_waits_for_a_restart_is_pending(machine: DefendedMachine) -> None:
    told = machine.enforce(w.antivirus(p.choice(f"{w.POLICY}allowonaccessprotection", "_0"), p.choice(MERGE, "_1")))

    on_access = told[f"{w.POLICY}allowonaccessprotection"]
    assert (on_access.state, on_access.code) == (SettingState.PENDING, "restartNeeded")
    machine.defender.restart()
    told = w.by_setting(machine.applier.refresh())
    assert told[f"{w.POLICY}allowonaccessprotection"].effective
    assert (told[MERGE].state, told[MERGE].code) == (SettingState.SUCCEEDED, "notShown")


def test_powershell_in_constrained_language_mode_is_named(machine: DefendedMachine) -> None:
    machine.windows.cim.failure = LanguageModeError("PowerShell runs in Constrained Language Mode.")

    told = machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))

    assert (told[ARCHIVES].state, told[ARCHIVES].code) == (SettingState.ERROR, "constrainedLanguageMode")


def test_management_that_refuses_proves_nothing(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))
    machine.windows.cim.failure = CimError("Access denied.", status=0x80041003)

    (seen,) = machine.provider.observe(machine.host, {SettingId(ARCHIVES): f"{ARCHIVES}_0"}).values()

    assert (seen.effective, seen.code) == (None, "managementRefused")


@pytest.mark.parametrize(
    ("option", "is_on", "effective"), [("_0", True, True), ("_2", True, True), ("_1", True, False)]
)
def test_tamper_protection_itself_is_told_and_never_set(
    machine: DefendedMachine, option: str, is_on: bool, effective: bool
) -> None:
    machine.defender.tamper_protected = is_on
    document = windows(p.document(3, p.choice(w.TAMPER_PROTECTION, option), template=w.EXPERIENCE))

    told = machine.enforce(document)[w.TAMPER_PROTECTION]

    assert (told.state, told.code, told.effective) == (SettingState.NOT_APPLICABLE, "reportOnly", effective)
    assert not told.written


def test_exclusions_of_others_are_taken_out_of_the_policy_and_come_back(machine: DefendedMachine) -> None:
    registry, key = machine.windows.registry, POLICY + r"\Exclusions"
    registry.fill(key, {"Exclusions_Paths": RegistryValue.dword(1)})
    registry.fill(key + r"\Paths", {r"c:\theirs": RegistryValue.text("0"), r"d:\data": RegistryValue.text("0")})

    told = machine.enforce(w.antivirus(p.texts(PATHS, r"D:\Data")))

    assert told[PATHS].read_back == [r"D:\Data"]
    assert machine.defender.preferences()["ExclusionPath"] == (r"D:\Data",)
    machine.applier.release()
    assert machine.defender.preferences()["ExclusionPath"] == (r"c:\theirs", r"d:\data")


def test_a_path_in_two_cases_is_one_exclusion(machine: DefendedMachine) -> None:
    told = machine.enforce(w.antivirus(p.texts(PATHS, r"D:\Data", r"d:\DATA")))

    assert told[PATHS].state is SettingState.SUCCEEDED
    assert [item.code for item in told[PATHS].items] == ["sameAsAnother"]


def test_a_policy_key_of_another_place_is_used(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    key = POLICY + r"\Policy Manager"
    provider, _ = defender(w.CATALOG, machine.windows.cim, policy_key=key)

    rendered = provider.render(dict.fromkeys(provider.files()), {SettingId(ARCHIVES): f"{ARCHIVES}_0"}, {})

    assert str(provider.files()[0]).endswith("Windows Defender/Policy Manager")
    assert provider.read(rendered.files) == {ARCHIVES: f"{ARCHIVES}_0"}
