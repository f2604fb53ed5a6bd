"""A device that crashes again and again after new policies goes back to the old; then it only gets stronger."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import LEVEL, RETENTION, THREADS, catalog, choice, document, documents, number
from tests.support.pretend_products import HandUptime, Killed, PretendDevice, PretendProvider, RiskyProvider
from tests.support.reports import by_provider, only

from shieldwall.agent.applier import stability
from shieldwall.agent.applier.state import Footing, Stage, State
from shieldwall.agent.applier.strengthening import only_strengthening
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.resolve import resolve

GOOD = [document(1, choice(LEVEL, "_1"), number(RETENTION, 90))]
BAD = [document(1, choice(LEVEL, "_2"), number(RETENTION, 30))]
WORSE = [document(1, choice(LEVEL, "_2"), number(RETENTION, 31))]
PROGRAM = "applier"


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    providers = [PretendProvider("first", [LEVEL, THREADS]), PretendProvider("second", [RETENTION])]
    return PretendDevice(directory=tmp_path / "state", providers=providers)


def crash(device: PretendDevice, times: int = 1, *, after: float = 10.0) -> Stage:
    """Let the program die and start again."""
    stage = Stage.NORMAL
    for _ in range(times):
        device.uptime.pass_by(after)
        device.applier().recover()
        stage = device.applier().note_start(PROGRAM)
    return stage


def lives(device: PretendDevice, seconds: float) -> None:
    for _ in range(int(seconds // 60)):
        device.uptime.pass_by(60)
        device.applier().refresh()


def settled(device: PretendDevice, policies: list[PolicyDocument]) -> dict[str, bytes]:
    device.applier().note_start(PROGRAM)
    device.applier().enforce(policies)
    lives(device, 660)
    return {str(path): content for path, content in device.files.items()}


def files(device: PretendDevice) -> dict[str, bytes]:
    return {str(path): content for path, content in device.files.items()}


def test_the_third_crash_returns_to_the_policies_before(device: PretendDevice) -> None:
    good = settled(device, GOOD)
    device.applier().enforce(BAD)

    assert crash(device, 2) is Stage.NORMAL
    assert files(device) != good
    assert crash(device) is Stage.LAST_KNOWN_GOOD

    assert files(device) == good
    for report in (device.applier().refresh(), device.applier().enforce(BAD)):
        status = by_provider(report, LEVEL)["first"]
        assert (status.state, status.code) == (SettingState.ERROR, "lastKnownGood")
        assert (status.value, status.read_back) == (f"{LEVEL}_2", f"{LEVEL}_1")
        assert files(device) == good


def test_with_policies_that_are_held_back_those_that_hold_are_still_guarded(device: PretendDevice) -> None:
    good = settled(device, GOOD)
    device.applier().enforce(BAD)
    crash(device, 3)
    device.files.clear()

    device.applier().refresh()

    assert files(device) == good


def test_the_first_policies_of_all_go_back_to_before_management(device: PretendDevice) -> None:
    device.applier().note_start(PROGRAM)
    device.applier().enforce(BAD)

    assert crash(device, 3) is Stage.LAST_KNOWN_GOOD

    assert device.files == {}
    assert only(device.applier().refresh(), RETENTION).code == "lastKnownGood"


def test_another_target_is_tried(device: PretendDevice) -> None:
    settled(device, GOOD)
    device.applier().enforce(BAD, target=digest_of("bad"))
    crash(device, 3)

    report = device.applier().enforce(WORSE, target=digest_of("worse"))

    assert only(report, RETENTION).state is SettingState.SUCCEEDED
    assert device.applier().stage() is Stage.NORMAL


def test_crashes_long_after_a_change_are_not_its_fault(device: PretendDevice) -> None:
    settled(device, GOOD)

    assert crash(device, 10) is Stage.NORMAL


def test_crashes_that_came_after_ten_minutes_do_not_count_although_nobody_looked(device: PretendDevice) -> None:
    device.applier().note_start(PROGRAM)
    device.applier().enforce(BAD)

    assert crash(device, 5, after=601) is Stage.NORMAL


def test_a_clean_stop_is_no_crash(device: PretendDevice) -> None:
    settled(device, GOOD)
    device.applier().enforce(BAD)
    for _ in range(10):
        device.applier().note_stop(PROGRAM)
        assert crash(device) is Stage.NORMAL


def test_an_orderly_reboot_is_no_crash(device: PretendDevice) -> None:
    settled(device, GOOD)
    device.applier().enforce(BAD)
    for _ in range(10):
        device.applier().note_stop(PROGRAM)
        device.uptime.reboot()
        assert crash(device) is Stage.NORMAL


def test_an_unexpected_boot_is_one_crash_however_many_programs_start(device: PretendDevice) -> None:
    good = settled(device, GOOD)
    device.applier().note_start("agent")
    device.applier().enforce(BAD)
    stages = []
    for _ in range(3):
        device.uptime.reboot(seconds=5.0)
        device.applier().recover()
        stages += [device.applier().note_start(PROGRAM), device.applier().note_start("agent")]

    assert stages == [Stage.NORMAL] * 4 + [Stage.LAST_KNOWN_GOOD] * 2
    assert files(device) == good


def test_policies_that_crash_the_device_while_they_are_applied_count_as_well(device: PretendDevice) -> None:
    good = settled(device, GOOD)
    for _ in range(3):
        device.fault = dying_at_load
        with pytest.raises(Killed):
            device.applier().enforce(BAD)
        device.no_more_faults()
        crash(device)

    assert device.applier().stage() is Stage.LAST_KNOWN_GOOD
    device.fault = dying_at_load
    report = device.applier().enforce(BAD)
    assert only(report, RETENTION).code == "lastKnownGood"
    assert files(device) == good


def dying_at_load(step: str, _number: int) -> None:
    if step.startswith("load"):
        raise Killed


def in_safe_mode(device: PretendDevice) -> dict[str, bytes]:
    good = settled(device, GOOD)
    device.applier().enforce(BAD)
    assert crash(device, 5) is Stage.LAST_KNOWN_GOOD
    assert crash(device) is Stage.SAFE_MODE
    return good


def test_three_more_crashes_lead_to_safe_mode_with_the_same_policies(device: PretendDevice) -> None:
    good = in_safe_mode(device)

    assert files(device) == good
    assert only(device.applier().refresh(), RETENTION).code == "safeMode"


def test_safe_mode_takes_what_strengthens_and_nothing_else(device: PretendDevice) -> None:
    in_safe_mode(device)

    report = device.applier().enforce([document(1, choice(LEVEL, "_0"), number(RETENTION, 5), number(THREADS, 3))])

    assert only(report, LEVEL).state is SettingState.SUCCEEDED
    assert only(report, LEVEL).read_back == f"{LEVEL}_0"
    assert (only(report, RETENTION).code, only(report, RETENTION).read_back) == ("safeMode", 90)
    assert only(report, THREADS).code == "safeMode"
    assert device.applier().refresh() == report


def test_safe_mode_removes_nothing_and_says_so(device: PretendDevice) -> None:
    good = in_safe_mode(device)

    report = device.applier().enforce([])

    assert files(device) == good
    assert {status.code for status in report.settings} == {"safeMode"}
    assert {status.setting for status in report.settings} == {LEVEL, RETENTION}


def test_crashes_in_safe_mode_take_back_even_what_strengthened(device: PretendDevice) -> None:
    good = in_safe_mode(device)
    device.applier().enforce([document(1, choice(LEVEL, "_0"))])
    assert files(device) != good

    assert crash(device, 3) is Stage.SAFE_MODE

    assert files(device) == good


def test_safe_mode_ends_after_a_calm_hour_and_what_waited_holds(device: PretendDevice) -> None:
    in_safe_mode(device)
    device.applier().enforce([document(1, number(RETENTION, 5))])
    lives(device, 3540)
    assert device.applier().stage() is Stage.SAFE_MODE

    lives(device, 120)

    assert device.applier().stage() is Stage.NORMAL
    assert only(device.applier().refresh(), RETENTION).read_back == 5
    assert only(device.applier().enforce(WORSE), RETENTION).state is SettingState.SUCCEEDED


def test_a_crash_begins_the_calm_hour_anew(device: PretendDevice) -> None:
    in_safe_mode(device)
    lives(device, 3000)
    crash(device)
    lives(device, 3000)

    assert device.applier().stage() is Stage.SAFE_MODE


def test_the_target_that_led_to_safe_mode_is_not_tried_again_when_it_ends(device: PretendDevice) -> None:
    good = in_safe_mode(device)

    lives(device, 4000)

    assert device.applier().stage() is Stage.LAST_KNOWN_GOOD
    assert files(device) == good


def test_releasing_ends_it(device: PretendDevice) -> None:
    in_safe_mode(device)

    device.applier().release()

    assert device.files == {}
    assert device.applier().stage() is Stage.NORMAL
    assert only(device.applier().enforce(BAD), RETENTION).state is SettingState.SUCCEEDED


def test_an_unconfirmed_change_goes_back_first(tmp_path: Path) -> None:
    device = PretendDevice(directory=tmp_path / "state", providers=[RiskyProvider("first", [RETENTION])])
    device.applier().note_start(PROGRAM)
    device.applier().enforce(BAD)

    crash(device)

    assert device.files == {}
    assert only(device.applier().refresh(), RETENTION).code == "connectivityRollback"


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("enforce"), st.integers(0, 3)),
        st.tuples(st.just("crash"), st.sampled_from(["applier", "agent"])),
        st.tuples(st.just("stop"), st.sampled_from(["applier", "agent"])),
        st.tuples(st.just("boot"), st.booleans()),
        st.tuples(st.just("pass"), st.integers(1, 5000)),
    ),
    max_size=60,
)


@given(events=_EVENTS)
def test_no_history_falls_without_three_crashes_and_every_three_on_trial_fall(
    events: list[tuple[str, object]],
) -> None:
    """An oracle that only counts: crashes since the last change, fall, or ten minutes of life in one boot."""
    uptime, state, counted = HandUptime(), State(), 0
    state = msgspec.structs.replace(state, footing=stability.started(state, "applier", uptime.now()))
    for event, detail in events:
        before = state.footing
        match event, detail:
            case "enforce", int():
                target = digest_of(detail)
                if before.trial is None or before.trial.target != target:
                    counted = 0
                state = msgspec.structs.replace(
                    state,
                    footing=stability.offered(stability.tried(state, target, uptime.now()), target),
                    target=target,
                )
            case "pass", int(seconds):
                uptime.pass_by(seconds)
                state = msgspec.structs.replace(state, footing=stability.passed(state, uptime.now()))
            case "stop", str(program):
                state = msgspec.structs.replace(state, footing=stability.stopped(before, program))
                continue
            case _:
                program = detail if isinstance(detail, str) else "applier"
                unclean = bool(before.running) if event == "boot" else program in before.running
                if event == "boot":
                    uptime.reboot()
                on_trial = stability.passed(state, uptime.now()).trial is not None
                state = msgspec.structs.replace(state, footing=stability.started(state, program, uptime.now()))
                counted += unclean and on_trial
                fell = state.footing.fallen is not None and (
                    before.fallen is None or (state.footing.trial != before.trial and counted == 3)
                )
                assert fell == (counted == 3), "exactly the third crash on trial falls"
                counted %= 3
        if state.footing.trial is None:
            counted = 0
        assert state.footing.trial is None or state.footing.trial.crashes == counted
        assert _is_sound(state.footing)


def _is_sound(footing: Footing) -> bool:
    return footing.trial is None or 0 <= footing.trial.crashes < stability.CRASHES


@given(before=documents(), after=documents())
def test_only_strengthening_changes_no_setting_for_the_worse(
    before: list[PolicyDocument], after: list[PolicyDocument]
) -> None:
    holding, wanted = resolve(catalog(), before), resolve(catalog(), after)

    chosen = only_strengthening(catalog(), holding, wanted)

    was, asked, now = holding.decided(), wanted.decided(), chosen.decided()
    for setting in was.keys() | now.keys():
        change = classify(catalog(), setting, was.get(setting), now.get(setting))
        assert change in {ChangeClass.STRENGTHEN, ChangeClass.NEUTRAL}
        assert now.get(setting) in (was.get(setting), asked.get(setting))
        if classify(catalog(), setting, was.get(setting), asked.get(setting)) is ChangeClass.STRENGTHEN:
            assert now.get(setting) == asked.get(setting)
    assert only_strengthening(catalog(), chosen, wanted).decided() == now, "asking again changes nothing"
