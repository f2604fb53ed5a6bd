"""Changes of Defender's settings over time: killed in the middle, changed by others, policies that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.support import policies as p
from tests.support import windows_defender as w
from tests.support.pretend_products import Killed
from tests.support.windows_defender import DefendedMachine

from shieldwall.agent.host.cim import Properties
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.host.registry.operations import DeleteValue
from shieldwall.contract.status import SettingState
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.defender import POLICY

ARCHIVES: Final = f"{w.POLICY}allowarchivescanning"
LOAD: Final = f"{w.POLICY}avgcpuloadfactor"
CHANNEL: Final = f"{w.CONFIGURATION}engineupdateschannel"
HTTP: Final = f"{w.CONFIGURATION}disablehttpparsing"
SCAN: Final = POLICY + r"\Scan"


@pytest.fixture
def machine(tmp_path: Path) -> DefendedMachine:
    return DefendedMachine(tmp_path)


def contents(machine: DefendedMachine) -> Sequence[bytes | None]:
    return [machine.host.read_file(path) for path in machine.provider.files()]


@pytest.mark.parametrize("survived", [0, 1])
def test_who_is_killed_between_two_calls_goes_back(
    machine: DefendedMachine, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    machine.enforce(w.antivirus(p.number(LOAD, 20)))
    before = contents(machine)
    calls: list[str] = []

    def killed(cim: PretendCim, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        if len(calls) == survived:
            raise Killed
        calls.append(method)
        return invoke(cim, namespace, class_name, method, arguments)

    invoke = PretendCim.invoke
    with monkeypatch.context() as patched:
        patched.setattr(PretendCim, "invoke", killed)
        with pytest.raises(Killed):
            machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(CHANNEL, "_4"), p.choice(HTTP, "_1")))
    assert contents(machine) != before

    assert machine.applier.recover() == ("windowsdefender",)

    assert contents(machine) == before


def test_defender_is_given_a_moment_to_read_its_policies(machine: DefendedMachine) -> None:
    machine.provider.product_version(machine.host)
    machine.defender.read_policies_after(9)

    told = machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.number(LOAD, 20)))

    assert (told[ARCHIVES].effective, told[LOAD].effective) == (True, True)
    assert 0 < machine.seconds < 10


def test_what_does_not_show_in_time_is_not_waited_for_again(machine: DefendedMachine) -> None:
    machine.defender.read_policies_after(1000)
    told = machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))
    assert (told[ARCHIVES].code, machine.seconds) == ("notEffective", 10)

    machine.seconds += 50
    machine.applier.refresh()

    assert machine.seconds == 60


def test_a_preference_that_somebody_changed_is_put_back(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(CHANNEL, "_4")))
    machine.defender.local["EngineUpdatesChannel"] = 2

    told = w.by_setting(machine.applier.refresh())[CHANNEL]

    assert (told.state, told.code) == (SettingState.SUCCEEDED, "repaired")
    assert machine.defender.local["EngineUpdatesChannel"] == 4


def test_a_group_policy_that_comes_again_and_again_is_contested(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_1")))
    for _ in range(4):
        machine.windows.registry.fill(SCAN, {"DisableArchiveScanning": RegistryValue.dword(1)})
        told = w.by_setting(machine.applier.refresh())

        assert told[ARCHIVES].code in {"repaired", "contested"}

    assert w.by_setting(machine.applier.refresh())[ARCHIVES].code == "contested"


def test_a_policy_that_speaks_of_less_gives_the_rest_back(machine: DefendedMachine) -> None:
    machine.defender.local["DisableHttpParsing"] = True
    before = contents(machine)
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(HTTP, "_0"), p.number(LOAD, 20)))

    machine.enforce(w.antivirus(p.number(LOAD, 30)))

    shown = machine.defender.preferences()
    assert (shown["DisableArchiveScanning"], shown["DisableHttpParsing"], shown["ScanAvgCPULoadFactor"]) == (
        False,
        True,
        30,
    )
    machine.enforce()
    assert contents(machine) == before


def test_values_of_others_that_came_meanwhile_stay(machine: DefendedMachine) -> None:
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_0")))
    machine.windows.registry.fill(SCAN, {"Theirs": RegistryValue.dword(7)})

    machine.applier.release()

    assert machine.windows.registry.value(SCAN, "Theirs") == RegistryValue.dword(7)
    assert machine.windows.registry.value(SCAN, "DisableArchiveScanning") is None


@pytest.mark.parametrize("again", [True, False])
def test_a_group_policy_that_ended_meanwhile_does_not_come_back(machine: DefendedMachine, *, again: bool) -> None:
    """It takes its value away once; put back by us, nobody would ever take it away."""
    machine.windows.registry.fill(SCAN, {"DisableArchiveScanning": RegistryValue.dword(1)})
    machine.enforce(w.antivirus(p.choice(ARCHIVES, "_1")))
    machine.windows.registry.carry_out(SCAN, DeleteValue("", "DisableArchiveScanning"))
    if again:
        assert w.by_setting(machine.applier.refresh())[ARCHIVES].code == "repaired"
        assert machine.windows.registry.value(SCAN, "DisableArchiveScanning") == RegistryValue.dword(0)

    machine.applier.release()

    assert machine.windows.registry.value(SCAN, "DisableArchiveScanning") is None


@pytest.mark.parametrize("before", [None, 20])
@pytest.mark.parametrize("again", [True, False])
def test_what_somebody_changed_meanwhile_does_not_outlast_us(
    machine: DefendedMachine, before: int | None, *, again: bool
) -> None:
    """It may be an attack, and a repaired one must not come back with the end of a policy."""
    if before is not None:
        machine.windows.registry.fill(SCAN, {"AvgCPULoadFactor": RegistryValue.dword(before)})
    machine.enforce(w.antivirus(p.number(LOAD, 30)))
    machine.windows.registry.fill(SCAN, {"AvgCPULoadFactor": RegistryValue.dword(99)})
    if again:
        assert w.by_setting(machine.applier.refresh())[LOAD].code == "repaired"

    machine.applier.release()

    held = machine.windows.registry.value(SCAN, "AvgCPULoadFactor")
    assert held == (None if before is None else RegistryValue.dword(before))


def test_a_group_policy_that_says_the_same_stays(machine: DefendedMachine) -> None:
    machine.windows.registry.fill(SCAN, {"AvgCPULoadFactor": RegistryValue.dword(30)})
    machine.enforce(w.antivirus(p.number(LOAD, 30)))
    machine.applier.release()
    assert machine.windows.registry.value(SCAN, "AvgCPULoadFactor") == RegistryValue.dword(30)


def test_what_holds_is_not_written_again(machine: DefendedMachine) -> None:
    document = w.antivirus(p.choice(ARCHIVES, "_0"), p.choice(CHANNEL, "_4"))
    machine.enforce(document)
    calls, operations = len(machine.windows.cim.calls), len(machine.windows.registry.operations)

    machine.enforce(document)
    machine.applier.refresh()

    assert (len(machine.windows.cim.calls), len(machine.windows.registry.operations)) == (calls, operations)
