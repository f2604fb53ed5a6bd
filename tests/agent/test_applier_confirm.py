"""A change that may cut the device off stays only where somebody proves in time that it did not."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from tests.support.policies import FILE_SYSTEMS, LEVEL, RETENTION, choice, document, number
from tests.support.pretend_products import Killed, PretendDevice, PretendProvider, RiskyProvider
from tests.support.private_namespaces import mount, privately
from tests.support.reports import by_provider, only

from shieldwall.agent.applier.confirming import CONFIRM_SECONDS, NothingToConfirmError, OtherChangeError, TooLateError
from shieldwall.agent.applier.store import BusyError, Store
from shieldwall.agent.host.errors import DiskFullError, HostError
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import digest_of

FIRST = PurePosixPath("/etc/first/0.conf")
BEFORE = {FIRST: b"somebody = else\n"}
GOOD = document(1, number(RETENTION, 90))
CUTTING = document(1, number(RETENTION, 30))
ANTIVIRUS = document(2, choice(LEVEL, "_0"))


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    return a_device(tmp_path)


def a_device(directory: Path) -> PretendDevice:
    """The first product may cut the device off, the second never does."""
    providers = [RiskyProvider("first", [RETENTION, FILE_SYSTEMS]), PretendProvider("second", [LEVEL])]
    return PretendDevice(directory=directory / "state", providers=providers, files=dict(BEFORE))


def confirmed(device: PretendDevice, *policies: PolicyDocument) -> dict[PurePosixPath, bytes]:
    device.applier().enforce(policies)
    device.applier().confirm(nonce_of(device))
    return dict(device.files)


def nonce_of(device: PretendDevice) -> str:
    waiting = device.applier().unconfirmed()
    assert waiting is not None
    return waiting.nonce


def assert_running_as_written(device: PretendDevice) -> None:
    for provider in device.providers:
        path = provider.files()[0]
        if path in device.files or provider.name in device.loaded:
            assert device.loaded.get(provider.name, b"") == device.files.get(path, b"")


def test_a_change_waits_and_is_a_success_once_confirmed(device: PretendDevice) -> None:
    waiting = only(device.applier().enforce([GOOD]), RETENTION)
    assert (waiting.state, waiting.code, waiting.effective) == (SettingState.PENDING, "unconfirmed", True)

    told = device.applier().unconfirmed()
    assert told is not None
    assert (told.providers, told.seconds_left, told.deadline) == (("first",), 600.0, 1600.0)
    device.uptime.pass_by(599)
    assert device.applier().revert_if_due() == ()
    device.applier().confirm(told.nonce)

    assert device.applier().unconfirmed() is None
    device.uptime.pass_by(10_000)
    assert device.applier().revert_if_due() == ()
    assert only(device.applier().refresh(), RETENTION).state is SettingState.SUCCEEDED


def test_what_cannot_cut_anything_off_is_committed_at_once(device: PretendDevice) -> None:
    report = device.applier().enforce([ANTIVIRUS])

    assert only(report, LEVEL).state is SettingState.SUCCEEDED
    assert device.applier().unconfirmed() is None


def test_the_policy_says_how_long_a_change_waits(device: PretendDevice) -> None:
    template = next(
        each.id
        for each in device.catalog.templates.values()
        if CONFIRM_SECONDS in {member.definition for member in each.settings}
    )
    firewall = document(7, number(CONFIRM_SECONDS, 45), template=template)

    device.applier().enforce([GOOD, firewall])

    told = device.applier().unconfirmed()
    assert told is not None
    assert told.seconds_left == 45.0


def time_over(device: PretendDevice) -> None:
    device.uptime.pass_by(600)
    assert device.applier().revert_if_due() == ("first",)


def time_over_and_nobody_looked(device: PretendDevice) -> None:
    device.uptime.pass_by(600)
    device.applier().refresh()


def restarted(device: PretendDevice) -> None:
    assert device.applier().recover() == ("first",)


def rebooted(device: PretendDevice) -> None:
    device.loaded.clear()
    device.uptime.reboot()
    assert device.applier().revert_if_due() == ("first",)


def rebooted_into_a_longer_uptime(device: PretendDevice) -> None:
    device.uptime.reboot(seconds=1100.0)
    assert device.applier().recover() == ("first",)


def confirmed_too_late(device: PretendDevice) -> None:
    nonce = nonce_of(device)
    device.uptime.pass_by(600)
    with pytest.raises(TooLateError):
        device.applier().confirm(nonce)


ENDS = [
    time_over,
    time_over_and_nobody_looked,
    restarted,
    rebooted,
    rebooted_into_a_longer_uptime,
    confirmed_too_late,
]


@pytest.mark.parametrize("end", ENDS)
def test_unconfirmed_it_goes_back_alone_and_is_not_tried_again(
    device: PretendDevice, end: Callable[[PretendDevice], None]
) -> None:
    confirmed(device, GOOD)
    first = {path: content for path, content in device.files.items() if path.parts[2] == "first"}
    device.applier().enforce([CUTTING, ANTIVIRUS])

    end(device)

    assert {path: content for path, content in device.files.items() if path.parts[2] == "first"} == first
    assert device.loaded["first"] == first[FIRST]
    assert device.applier().unconfirmed() is None
    for report in (device.applier().refresh(), device.applier().enforce([CUTTING, ANTIVIRUS])):
        status = only(report, RETENTION)
        assert (status.state, status.code) == (SettingState.ERROR, "connectivityRollback")
        assert (status.value, status.read_back) == (30, 90)
        assert only(report, LEVEL).state is SettingState.SUCCEEDED
        assert device.files[FIRST] == first[FIRST]


def test_after_going_back_what_held_before_is_still_guarded(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    time_over(device)
    device.files[FIRST] = b"nothing of ours\n"

    device.applier().refresh()

    assert b"nothing of ours" in device.files[FIRST]
    assert good[FIRST].removeprefix(b"somebody = else\n") in device.files[FIRST]


def test_another_target_is_tried_again(device: PretendDevice) -> None:
    confirmed(device, GOOD)
    device.applier().enforce([CUTTING], target=digest_of("one"))
    time_over(device)
    assert by_provider(device.applier().enforce([CUTTING], target=digest_of("one")), RETENTION)["first"].code == (
        "connectivityRollback"
    )

    status = only(device.applier().enforce([CUTTING], target=digest_of("two")), RETENTION)

    assert (status.state, status.read_back) == (SettingState.PENDING, 30)


def test_of_two_changes_in_one_window_both_go_back(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    earlier = nonce_of(device)
    device.uptime.pass_by(300)
    device.applier().enforce([document(1, number(RETENTION, 10))])

    with pytest.raises(OtherChangeError):
        device.applier().confirm(earlier)
    device.uptime.pass_by(599)
    assert device.applier().revert_if_due() == ()
    time_over(device)

    assert device.files == good


def test_a_change_of_others_within_the_window_stays(device: PretendDevice) -> None:
    confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    nonce = nonce_of(device)
    device.applier().enforce([CUTTING, ANTIVIRUS])
    assert nonce_of(device) == nonce

    time_over(device)

    report = device.applier().refresh()
    assert only(report, LEVEL).state is SettingState.SUCCEEDED
    assert only(report, RETENTION).code == "connectivityRollback"


def test_going_back_to_what_was_confirmed_needs_no_confirmation(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])

    status = only(device.applier().enforce([GOOD]), RETENTION)

    assert status.state is SettingState.SUCCEEDED
    assert device.applier().unconfirmed() is None
    assert device.files == good


def test_putting_back_what_was_confirmed_needs_no_confirmation(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.files[FIRST] = b"somebody = else\n"

    assert only(device.applier().refresh(), RETENTION).code == "repaired"

    assert device.applier().unconfirmed() is None
    assert device.files == good


def test_unassigning_and_releasing_need_no_confirmation(device: PretendDevice) -> None:
    device.applier().enforce([GOOD])
    device.applier().enforce([])
    assert device.applier().unconfirmed() is None
    assert device.files == BEFORE
    device.applier().enforce([GOOD])
    device.applier().release()

    assert device.applier().unconfirmed() is None
    device.uptime.pass_by(1000)
    assert device.applier().revert_if_due() == ()
    assert device.files == BEFORE


def test_a_first_change_goes_back_to_before_management(device: PretendDevice) -> None:
    device.applier().enforce([CUTTING])

    time_over(device)

    assert device.files == BEFORE
    assert only(device.applier().refresh(), RETENTION).code == "connectivityRollback"
    device.applier().release()
    assert device.files == BEFORE


def test_nothing_can_be_confirmed_that_does_not_wait(device: PretendDevice) -> None:
    with pytest.raises(NothingToConfirmError):
        device.applier().confirm("0" * 32)
    device.applier().enforce([GOOD])
    nonce = nonce_of(device)
    with pytest.raises(OtherChangeError):
        device.applier().confirm(nonce[::-1])
    device.applier().confirm(nonce)
    with pytest.raises(NothingToConfirmError):
        device.applier().confirm(nonce)


def test_each_change_has_a_name_of_its_own(device: PretendDevice) -> None:
    nonces = set()
    for days in range(5):
        device.applier().enforce([document(1, number(RETENTION, 10 + days))])
        nonces.add(nonce_of(device))
        device.applier().confirm(nonce_of(device))
    assert len(nonces) == 5


def test_a_change_that_failed_does_not_wait(device: PretendDevice) -> None:
    confirmed(device, GOOD)
    device.refusing.add("first")

    assert only(device.applier().enforce([CUTTING]), RETENTION).state is SettingState.ERROR

    assert device.applier().unconfirmed() is None
    device.refusing.clear()
    assert only(device.applier().refresh(), RETENTION).state is SettingState.PENDING, "it was never tried"


def test_a_product_that_cannot_tell_may_cut_off(device: PretendDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_files: object) -> bool:
        raise ValueError

    monkeypatch.setattr(device.providers[0], "may_cut_off", broken)

    device.applier().enforce([GOOD])

    assert device.applier().unconfirmed() is not None


def test_while_another_is_at_work_nothing_goes_back_and_nothing_is_confirmed(device: PretendDevice) -> None:
    device.applier().enforce([GOOD])
    nonce = nonce_of(device)
    device.uptime.pass_by(600)
    with Store(device.directory).locked():
        for act in (device.applier().revert_if_due, lambda: device.applier().confirm(nonce)):
            with pytest.raises(BusyError):
                act()
        assert device.applier().unconfirmed() is not None
    assert device.applier().revert_if_due() == ("first",)


def test_what_may_cut_off_is_carried_out_last(device: PretendDevice) -> None:
    device.applier().enforce([GOOD, ANTIVIRUS])

    loads = [step for step in device.steps if step.startswith("load")]
    assert loads == ["load second", "load first"]


def test_killed_at_any_step_of_a_risky_change_it_never_stays_unnoticed(tmp_path: Path) -> None:
    """Whatever instant it was: after a restart the device is as it was confirmed, and the next try is whole."""
    for last in itertools.count():
        device = a_device(tmp_path / str(last))
        good = confirmed(device, GOOD)
        device.no_more_faults()
        device.fault = killing(last)
        try:
            device.applier().enforce([CUTTING])
        except Killed:
            device.no_more_faults()
        else:
            break
        device.applier().recover()
        assert device.files == good
        assert_running_as_written(device)
        assert device.applier().unconfirmed() is None

        device.applier().enforce([CUTTING, ANTIVIRUS])
        assert only(device.applier().refresh(), LEVEL).state is SettingState.SUCCEEDED
        device.applier().release()
        assert device.files == BEFORE
    assert last >= 6


def test_killed_at_any_step_of_going_back_it_still_goes_back(tmp_path: Path) -> None:
    for last in itertools.count():
        device = a_device(tmp_path / str(last))
        good = confirmed(device, GOOD)
        device.applier().enforce([CUTTING])
        device.uptime.pass_by(600)
        device.no_more_faults()
        device.fault = killing(last)
        try:
            device.applier().revert_if_due()
        except Killed:
            device.no_more_faults()
        else:
            break
        device.applier().recover()
        assert device.files == good
        assert_running_as_written(device)
        assert only(device.applier().refresh(), RETENTION).code == "connectivityRollback"
    assert last >= 4


def test_killed_while_confirming_it_is_confirmed_or_goes_back(tmp_path: Path) -> None:
    outcomes = set()
    for last in range(2):
        device = a_device(tmp_path / str(last))
        good = confirmed(device, GOOD)
        device.applier().enforce([CUTTING])
        new = dict(device.files)
        device.no_more_faults()
        device.fault = killing(last)
        with pytest.raises(Killed):
            device.applier().confirm(nonce_of(device))
        device.no_more_faults()
        device.applier().recover()
        assert device.files in (good, new)
        assert_running_as_written(device)
        outcomes.add(device.files == new)
    assert outcomes == {True, False}


def test_with_a_full_or_read_only_disk_the_component_goes_back_all_the_same(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    device.uptime.pass_by(600)
    device.fault = refusing_writes

    for _ in range(3):
        with pytest.raises(HostError):
            device.applier().revert_if_due()
        assert device.loaded["first"] == good[FIRST], "reachable, although nothing could be written"

    device.no_more_faults()
    assert device.applier().revert_if_due() == ("first",)
    assert device.files == good
    assert device.loaded["first"] == good[FIRST]
    assert device.applier().recover() == ()


@pytest.mark.root
def test_on_a_disk_that_became_read_only_a_change_goes_back_all_the_same(tmp_path: Path) -> None:
    """As the kernel makes one that is damaged, in the middle of the time to confirm."""

    def on_its_own_disk() -> None:
        mount("-t", "tmpfs", "disk", str(tmp_path))
        device = a_device(tmp_path / "device")
        good = confirmed(device, GOOD)
        device.applier().enforce([CUTTING])
        device.uptime.pass_by(600)
        device.fault = refusing_writes
        mount("-o", "remount,ro", str(tmp_path))

        for _ in range(2):
            with pytest.raises(HostError):
                device.applier().revert_if_due()
            assert device.loaded["first"] == good[FIRST], "reachable, although nothing could be written"

        mount("-o", "remount,rw", str(tmp_path))
        device.no_more_faults()
        assert device.applier().revert_if_due() == ("first",)
        assert device.files == good

    privately(on_its_own_disk)


@pytest.mark.parametrize("is_start", [False, True], ids=["time is over", "started anew"])
def test_on_a_disk_that_syncs_nothing_a_change_goes_back_all_the_same(
    device: PretendDevice, monkeypatch: pytest.MonkeyPatch, *, is_start: bool
) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    device.uptime.pass_by(600)
    device.fault = refusing_writes

    def refuses(_descriptor: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(HostError):
        device.applier().recover() if is_start else device.applier().revert_if_due()

    assert device.loaded["first"] == good[FIRST]


def test_without_room_for_the_way_back_nothing_is_tried(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.fault = refusing_writes
    loaded = dict(device.loaded)

    with pytest.raises(DiskFullError):
        device.applier().enforce([CUTTING])

    assert device.files == good
    assert device.loaded == loaded
    assert device.applier().unconfirmed() is None


def test_a_confirmation_that_cannot_be_remembered_does_not_count(device: PretendDevice) -> None:
    good = confirmed(device, GOOD)
    device.applier().enforce([CUTTING])
    device.fault = refusing_writes
    with pytest.raises(DiskFullError):
        device.applier().confirm(nonce_of(device))
    device.no_more_faults()

    time_over(device)

    assert device.files == good


def killing(last: int) -> Callable[[str, int], None]:
    def fault(_step: str, number: int) -> None:
        if number == last:
            raise Killed

    return fault


def refusing_writes(step: str, _number: int) -> None:
    if step.startswith(("write", "before")):
        raise DiskFullError("The disk is full.")


@pytest.mark.parametrize("lasting", [False, True], ids=["one write fails", "the disk stays full"])
def test_with_a_disk_that_refuses_at_any_step_nothing_stays_that_nobody_confirmed(
    tmp_path: Path, *, lasting: bool
) -> None:
    refused = 0
    for first in range(20):
        device = a_device(tmp_path / str(first))
        good = confirmed(device, GOOD)
        device.no_more_faults()

        def fault(step: str, number: int, first: int = first) -> None:
            nonlocal refused
            if step.startswith(("write", "before")) and (number >= first if lasting else number == first):
                refused += 1
                raise DiskFullError("The disk is full.")

        device.fault = fault
        with contextlib.suppress(DiskFullError):
            device.applier().enforce([CUTTING])
        device.uptime.pass_by(600)
        with contextlib.suppress(DiskFullError):
            device.applier().revert_if_due()
        assert device.loaded["first"] == good[FIRST], "reachable, whatever the disk says"
        device.no_more_faults()
        device.applier().revert_if_due()
        device.applier().recover()

        assert device.files == good
        assert_running_as_written(device)
        assert device.applier().unconfirmed() is None
    assert refused >= 6
