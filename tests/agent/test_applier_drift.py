"""Drift is put back, with the name of whoever caused it, and nobody gets drawn into a fight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import LEVEL, RETENTION, choice, document, number
from tests.support.pretend_products import PretendDevice, PretendProvider
from tests.support.reports import by_provider, only

from shieldwall.agent.applier import contest
from shieldwall.agent.applier.state import Repair
from shieldwall.agent.applier.uptime import Moment
from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Rendered
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState, SettingStatus
from shieldwall.contract.strict_json import encode

FILE = PurePosixPath("/etc/first/0.conf")
POLICY = document(1, choice(LEVEL, "_0"), number(RETENTION, 90))


class Nursed(PretendProvider):
    """A product whose engine dies, and is brought back."""

    dead = False

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        assert desired
        if not self.dead:
            return ()
        self.activate(host)
        self.dead = False
        return ("The scanner had stopped and was started again.",)


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    providers = [PretendProvider("first", [LEVEL]), Nursed("second", [RETENTION])]
    device = PretendDevice(directory=tmp_path / "state", providers=providers)
    device.applier().enforce([POLICY])
    device.no_more_faults()
    return device


def fought(device: PretendDevice, *, who: str = "") -> SettingStatus:
    """Somebody empties the file, and the applier looks."""
    device.files[FILE] = b""
    return only(device.applier().refresh({FILE: who} if who else {}), LEVEL)


def is_held(device: PretendDevice) -> bool:
    return device.files[FILE] != b""


class Keeping(PretendProvider):
    """Keeps its memory in tuples, which are lists once they were written and read."""

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        rendered = super().render(files, desired, kept)
        return msgspec.structs.replace(rendered, kept={**rendered.kept, "places": (("a", "b"),)} if desired else {})


def test_a_look_that_finds_nothing_writes_nothing(tmp_path: Path) -> None:
    device = PretendDevice(directory=tmp_path / "state", providers=[Keeping("first", [LEVEL])])
    applier = device.applier()
    report, file = applier.enforce([POLICY]), device.directory / "state.json"
    before = file.stat()

    assert applier.refresh() == report
    assert applier.refresh() == report
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_who_was_seen_is_named(device: PretendDevice) -> None:
    status = fought(device, who="/usr/bin/vim (uid 0)")

    assert (status.state, status.code) == (SettingState.SUCCEEDED, "repaired")
    assert status.reason == "Changed by /usr/bin/vim (uid 0) and put back."


def test_who_was_seen_without_anything_to_put_back_is_not_named(device: PretendDevice) -> None:
    assert only(device.applier().refresh({FILE: "/usr/bin/vim (uid 0)"}), LEVEL).reason is None


def test_names_are_bounded(device: PretendDevice) -> None:
    assert len(fought(device, who="x" * 5000).reason or "") < 300


def test_the_third_time_within_an_hour_it_is_contested_and_still_put_back(device: PretendDevice) -> None:
    for _ in range(2):
        assert fought(device).code == "repaired"
        device.uptime.pass_by(60)

    status = fought(device, who="/usr/bin/puppet (uid 0)")

    assert (status.state, status.code) == (SettingState.ERROR, "contested")
    assert "/usr/bin/puppet (uid 0)" in (status.reason or "")
    assert is_held(device)
    assert only(device.applier().refresh(), RETENTION).state is SettingState.SUCCEEDED


def test_what_is_contested_is_put_back_less_often(device: PretendDevice) -> None:
    for _ in range(3):
        fought(device)
    device.no_more_faults()

    device.uptime.pass_by(300)
    assert fought(device).code == "contested"
    assert not is_held(device)
    assert device.steps == []
    device.uptime.pass_by(301)
    assert fought(device).code == "contested"
    assert is_held(device)


def test_after_a_quiet_hour_it_is_a_setting_like_others(device: PretendDevice) -> None:
    for _ in range(3):
        fought(device)
    assert only(device.applier().refresh(), LEVEL).code == "contested"

    device.uptime.pass_by(3601)

    assert only(device.applier().refresh(), LEVEL).code is None
    assert fought(device).code == "repaired"


def test_a_reboot_forgets_nothing_before_an_hour_has_passed(device: PretendDevice) -> None:
    for _ in range(3):
        fought(device)
    device.uptime.reboot(seconds=30)

    assert fought(device).code == "contested"
    device.uptime.seconds = 3700.0
    assert fought(device).code == "repaired"


def test_a_component_that_loses_its_settings_again_and_again_is_contested_too(device: PretendDevice) -> None:
    codes = []
    for _ in range(4):
        device.loaded["first"] = b""
        codes.append(only(device.applier().refresh(), LEVEL).code)

    assert codes == ["repaired", "repaired", "contested", "contested"]
    assert device.loaded["first"] == b"", "the fourth within ten minutes waits"


def test_in_a_fight_of_a_day_nothing_is_applied_more_than_ten_times_an_hour(device: PretendDevice) -> None:
    loads: list[float] = []
    for _ in range(24 * 60):
        before = device.steps.count("load first")
        fought(device)
        loads += [device.uptime.seconds] * (device.steps.count("load first") - before)
        device.uptime.pass_by(60)

    assert max(sum(at <= other < at + 3600 for other in loads) for at in loads) <= 10
    assert len(loads) > 24 * 4, "it is not given up either"


def test_other_settings_of_the_same_product_are_put_back_at_once(tmp_path: Path) -> None:
    other = SettingId("linux_mdatp_managed_antivirusengine_scanarchives")
    provider = PretendProvider("first", [LEVEL, other], files=1)
    device = PretendDevice(directory=tmp_path / "state", providers=[provider])
    device.applier().enforce([document(1, choice(LEVEL, "_0"))])
    level = device.files[FILE]
    for _ in range(3):
        fought(device)
    device.applier().enforce([document(1, choice(LEVEL, "_0"), choice(other, "_true"))])
    device.files[FILE] = level

    report = device.applier().refresh()

    assert (only(report, LEVEL).code, only(report, other).code) == ("contested", "repaired")
    assert device.files[FILE] != level


def test_a_new_policy_is_applied_at_once_in_the_middle_of_a_fight(device: PretendDevice) -> None:
    for _ in range(5):
        fought(device)

    device.applier().enforce([document(1, choice(LEVEL, "_1"))])

    assert only(device.applier().refresh(), LEVEL).read_back == f"{LEVEL}_1"


def test_a_full_disk_keeps_no_component_from_coming_back(device: PretendDevice) -> None:
    loaded = dict(device.loaded)
    device.loaded["first"] = b""

    def full(step: str, _number: int) -> None:
        if step.startswith(("write", "before")):
            raise DiskFullError("The disk is full.")

    device.fault = full
    assert only(device.applier().refresh(), LEVEL).code == "repaired"
    assert device.loaded == loaded


def test_a_component_that_died_is_brought_back_and_that_is_told_once(device: PretendDevice) -> None:
    provider = device.providers[1]
    assert isinstance(provider, Nursed)
    provider.dead = True
    device.loaded["second"] = b""

    status = by_provider(device.applier().refresh(), RETENTION)["second"]

    assert (status.state, status.code, status.effective) == (SettingState.SUCCEEDED, "restored", True)
    assert status.reason == "The scanner had stopped and was started again."
    again = by_provider(device.applier().refresh(), RETENTION)["second"]
    assert again.code is None


def test_where_nothing_is_wanted_nothing_is_nursed(device: PretendDevice) -> None:
    device.applier().enforce([])
    provider = device.providers[1]
    assert isinstance(provider, Nursed)
    provider.dead = True

    device.applier().refresh()

    assert provider.dead


def test_reports_of_a_fight_say_the_same_for_as_long_as_it_lasts(device: PretendDevice) -> None:
    for _ in range(3):
        fought(device, who="/usr/bin/puppet (uid 0)")
    reports = set()
    for _ in range(5):
        device.uptime.pass_by(61)
        device.files[FILE] = b""
        reports.add(encode(device.applier().refresh()))

    assert len(reports) == 1, "a report that changes every minute tells nothing new"
    assert b"puppet" in reports.pop()


SETTINGS = st.sampled_from([SettingId("a"), SettingId("b")])


@given(attempts=st.lists(st.tuples(st.integers(0, 1200), st.sets(SETTINGS, min_size=1)), max_size=80))
def test_no_rhythm_of_changes_leads_to_more_than_ten_repairs_an_hour(
    attempts: list[tuple[int, set[SettingId]]],
) -> None:
    now, repairs, made = 0.0, tuple[Repair, ...](), list[float]()
    for pause, drifted in attempts:
        now += pause
        moment = Moment(boot="b", seconds=now)
        contested = contest.contested(repairs, "p", moment)
        if contest.may_repair(repairs, "p", drifted, moment):
            repairs = (
                *contest.recent(repairs, moment),
                Repair(provider="p", settings=tuple(sorted(drifted)), at=moment),
            )
            made.append(now)
        else:
            assert drifted <= contested or len(made) >= 10, "only what is contested waits"
    assert all(sum(at <= other < at + 3600 for other in made) <= contest.MOST_AN_HOUR for at in made)
