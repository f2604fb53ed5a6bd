"""What the gate decides without kernel and engine: mounts, memory, restraint, answers."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import cast

import pytest

from shieldwall.agent.broker import mounts, settings, verdicts
from shieldwall.agent.broker.engine import Answer, meaning
from shieldwall.agent.broker.fanotify import Group
from shieldwall.agent.broker.keeper import Keeper
from shieldwall.agent.broker.processes import Process
from shieldwall.agent.broker.settings import Settings
from shieldwall.agent.broker.telling import MOST_A_SECOND, Found, Restraint, Trouble
from shieldwall.agent.broker.verdicts import CLEAN, Cache, Key
from shieldwall.agent.sentry import settings as sentry_settings
from shieldwall.agent.sentry.watch import Sentry

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw,nosuid,noexec shared:2 - proc proc rw
24 22 0:30 / /run rw,nosuid,noexec shared:3 - tmpfs tmpfs rw
25 22 0:31 / /srv/with\040space rw shared:4 master:7 - xfs /dev/sdb rw
26 22 0:32 / /net rw - nfs4 server:/x rw
27 22 0:33 / /fuse rw - fuse.sshfs x rw
28 22 0:34 / /data rw,noexec - ext4 /dev/sdc rw
29 22 0:34 /bin /programs rw - ext4 /dev/sdc rw
a line that is none
"""
SETTINGS = Settings(mode="block", engine_socket="/s", engine_databases="/d")


def points(**choice: object) -> list[str]:
    told: dict[str, object] = {"unmonitored": ("nfs", "fuse"), "mute_noexec": False, "within": None, **choice}
    return [watch.point for watch in mounts.watched(mounts.parse(MOUNTINFO), **told)]  # type: ignore[arg-type]


def test_mounts_of_people_are_watched_and_views_of_the_kernel_are_not() -> None:
    assert points() == ["/", "/run", "/srv/with space", "/data", "/programs"]


@pytest.mark.parametrize("mark", "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
def test_a_mount_is_watched_whatever_its_name_holds(mark: str) -> None:
    """A stick is mounted by its label, which whoever brings it has chosen."""
    text = f"30 22 8:17 / /media/me/a{mark}b rw,nosuid - ext4 /dev/sdb1 rw\n"

    assert [
        watch.point for watch in mounts.watched(mounts.parse(text), unmonitored=(), mute_noexec=False, within=None)
    ] == [f"/media/me/a{mark}b"]


class Marks:
    """Stands in for the kernel's group: it refuses to mark ``/`` while ``number`` is said."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.marked: list[str] = []

    def watch(self, path: str, *, whole_filesystem: bool) -> None:
        del whole_filesystem
        if path == "/" and self.number:
            raise OSError(self.number, os.strerror(self.number))
        self.marked.append(path)

    watch_execution = watch
    wake = -1

    def fileno(self) -> int:
        return self.wake

    def events(self) -> tuple[()]:
        return ()

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(("number", "is_for_now"), [(errno.ENOMEM, True), (errno.ENOSPC, True), (errno.EXDEV, False)])
def test_what_the_kernel_has_no_room_to_watch_is_tried_again(number: int, *, is_for_now: bool) -> None:
    marks = Marks(number)
    keeper = Keeper(Path("/"), cast("Group", marks))

    assert keeper._look_at_mounts(SETTINGS)
    assert keeper._unwatchable == (() if is_for_now else ("/",)), "what is given up for good counts as no hole"
    assert "/" not in {watch.point for watch in keeper._marked}
    marks.number = 0

    assert keeper._look_at_mounts(SETTINGS) is is_for_now
    assert ("/" in {watch.point for watch in keeper._marked}) is is_for_now
    assert not keeper._look_at_mounts(SETTINGS)


def test_the_sentry_tries_again_as_well() -> None:
    marks = Marks(errno.ENOMEM)
    turns = iter(range(3))

    def alive() -> None:
        marks.number = 0
        if next(turns) == 1:
            sentry.stop()

    sentry = Sentry(cast("Group", marks), sentry_settings.Settings(mode="block"), within=None, alive=alive)
    marks.wake = sentry._wake
    os.eventfd_write(sentry._wake, 1)
    sentry.look_at_mounts()
    assert "/" not in marks.marked

    sentry.run()

    assert "/" in marks.marked


def test_types_are_left_out_by_the_names_that_people_use() -> None:
    assert points(unmonitored=()) == ["/", "/run", "/srv/with space", "/net", "/fuse", "/data", "/programs"]
    assert points(unmonitored=(" NFS4 ",))[-3:] == ["/fuse", "/data", "/programs"]
    assert points(unmonitored=("ext4", "xfs")) == ["/run", "/net", "/fuse"]


def test_a_file_system_is_mute_only_where_no_mount_of_it_runs_programs() -> None:
    assert points(mute_noexec=True) == ["/", "/srv/with space", "/data", "/programs"]


DOCKER = r"""
22 1 8:1 / / rw - ext4 /dev/sda1 rw
90 22 0:50 / /docker/one/merged rw - overlay overlay rw,lowerdir=/docker/l/A:/docker/l/B,upperdir=/docker/one/diff
""".strip()
INSIDE_OF_A_CONTAINER = r"""
60 1 0:60 / / rw - overlay overlay rw,lowerdir=/srv/images/tree,upperdir=/tmp/one/upper,workdir=/w
59 60 0:59 / /tmp rw - tmpfs tmpfs rw
61 60 8:1 /usr/lib/os-release /run/host/os-release ro - ext4 /dev/sda1 rw
62 60 8:1 /srv/shared\040data /data rw - ext4 /dev/sda1 rw
63 60 0:44 /@machines/one /var/lib/mysql rw - btrfs /dev/sdb rw
""".strip()


def test_an_overlay_upon_what_is_watched_already_is_left_out() -> None:
    found = mounts.watched(
        mounts.parse(DOCKER),
        unmonitored=(),
        mute_noexec=False,
        within=None,
        device_of=lambda folder: "8:1" if folder.startswith("/docker") else None,
    )

    assert found == (mounts.Watch(point="/", whole_filesystem=True),)


@pytest.mark.parametrize("options", ["upperdir=/docker/one/diff", "lowerdir+=/docker/l/A", "datadir+=/docker/l/B"])
def test_an_overlay_is_known_by_each_of_its_layers(options: str) -> None:
    line = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n90 22 0:50 / /merged rw - overlay overlay rw,{options}"

    found = mounts.watched(
        mounts.parse(line), unmonitored=(), mute_noexec=False, within=None, device_of=lambda _folder: "8:1"
    )

    assert [watch.point for watch in found] == ["/"]


def test_an_overlay_is_watched_itself_where_the_kernel_does_not_tell_of_what_lies_below() -> None:
    found = mounts.watched(
        mounts.parse(DOCKER),
        unmonitored=(),
        mute_noexec=False,
        within=None,
        device_of=lambda _folder: "8:1",
        tells_of_layers=False,
    )

    assert [watch.point for watch in found] == ["/", "/docker/one/merged"]


def test_of_file_systems_of_which_a_container_sees_a_part_the_rest_is_not_held() -> None:
    found = mounts.watched(
        mounts.parse(INSIDE_OF_A_CONTAINER), unmonitored=(), mute_noexec=False, within=None, contained=True
    )

    assert {(watch.point, watch.whole_filesystem) for watch in found} == {
        ("/", True),
        ("/tmp", True),
        ("/run/host/os-release", False),
        ("/data", False),
        ("/var/lib/mysql", False),
    }


def test_a_subvolume_is_no_reason_to_leave_private_mounts_of_services_unwatched() -> None:
    text = "22 1 0:30 /@rootfs / rw - btrfs /dev/sda1 rw"

    found = mounts.watched(mounts.parse(text), unmonitored=(), mute_noexec=False, within=None)

    assert found == (mounts.Watch(point="/", whole_filesystem=True),)


def test_within_a_folder_nothing_outside_is_watched() -> None:
    found = mounts.watched(mounts.parse(MOUNTINFO), unmonitored=(), mute_noexec=False, within="/data")

    assert [(watch.point, watch.whole_filesystem) for watch in found] == [("/data", False)]
    assert mounts.watched(mounts.parse(MOUNTINFO), unmonitored=(), mute_noexec=False, within="/dat") == ()


def key(number: int, *, changed_at: float = 0.0) -> Key:
    return Key(1, number, 0, int(changed_at * 1e9), 1)


def test_a_verdict_is_remembered_for_a_while_and_the_oldest_goes_first() -> None:
    cache = Cache(2)
    for number in (1, 2, 3):
        cache.keep(key(number), CLEAN, 0.0)

    assert [cache.find(key(number), 1.0) for number in (1, 2, 3)] == [None, CLEAN, CLEAN]
    assert cache.find(key(3), verdicts.LIFETIME_SECONDS) is None


def test_after_new_definitions_everything_is_asked_anew_and_kept_for_a_moment_only() -> None:
    cache = Cache(9)
    cache.keep(key(1), CLEAN, 0.0)
    cache.forget(10.0)
    assert cache.find(key(1), 10.0) is None

    cache.keep(key(1), "Threat", 10.0)
    assert cache.find(key(1), 10.0) == "Threat"
    assert cache.find(key(1), 10.0 + verdicts.UNSETTLED_LIFETIME_SECONDS) is None
    cache.keep(key(1), CLEAN, 10.0 + verdicts.UNSETTLED_SECONDS)
    assert cache.find(key(1), 11.0 + verdicts.UNSETTLED_SECONDS) == CLEAN


def test_a_file_changed_this_very_moment_is_not_remembered() -> None:
    assert not verdicts.is_settled(key(1, changed_at=100.0), 100.01)
    assert verdicts.is_settled(key(1, changed_at=100.0), 100.2)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("fd[10]: OK", CLEAN),
        ("PONG", CLEAN),
        ("fd[10]: A.Name FOUND", "A.Name"),
        ("fd[10]: a: b FOUND", "a: b"),
        ("fd[10]: Can't read file ERROR", Answer.FAILED),
        ("UNKNOWN COMMAND", Answer.FAILED),
        ("", Answer.FAILED),
        ("A.Name FOUND", Answer.FAILED),
    ],
)
def test_answers_of_clamd(said: str, meant: object) -> None:
    assert meaning(said) == meant


def found(number: int) -> Found:
    process = Process(pid=1, uid=0, program="/bin/cat")
    return Found(
        threat="T", key=key(number), path="/x", process=process, denied=True, late=False, executes=False, owner=0,
        descriptor=None,
    )  # fmt: skip


def test_the_same_is_told_once_a_minute_and_the_rest_counted() -> None:
    restraint = Restraint()

    told = [restraint.lets_pass(found(1), float(second)) for second in range(0, 130, 10)]

    assert told.count(True) == 3
    assert restraint.suppressed == 10


def test_there_is_a_most_in_a_second() -> None:
    restraint = Restraint()

    assert sum(restraint.lets_pass(found(number), 5.5) for number in range(1000)) == MOST_A_SECOND
    assert restraint.lets_pass(found(5000), 6.0)
    assert restraint.lets_pass(Trouble("engineDown", ""), 6.0)


@pytest.mark.parametrize(
    ("threat", "action"),
    [("Win.Test", "block"), ("PUA.Win.Tool", "audit"), ("Heuristics.Limits.Exceeded.MaxFiles", "off")],
)
def test_each_kind_of_threat_has_its_action(threat: str, action: str) -> None:
    chosen = Settings(
        mode="block", engine_socket="/s", engine_databases="/d", unwanted_applications="audit", archive_bombs="off"
    )

    assert verdicts.action(chosen, threat) == action


def test_settings_are_read_as_they_were_written() -> None:
    assert settings.read(settings.write(SETTINGS)) == SETTINGS
