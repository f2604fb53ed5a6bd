"""Whether the gate's marks cover what matters, of texts as the kernel writes them and of a real gate."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.broker import eventually, guarded
from tests.support.private_mounts import in_private_mounts

from shieldwall.agent.broker import standing
from shieldwall.agent.broker.settings import Settings
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import access
from shieldwall.agent.providers.clamav.marks import unmarked

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw - proc proc rw
23 21 8:17 / /srv rw,relatime - xfs /dev/sdb1 rw
24 21 0:40 / /run rw,nosuid - tmpfs tmpfs rw
25 21 0:41 / /mnt rw - fuse.sshfs host: rw
26 21 0:50 / /var/lib/merged rw - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/w
"""
HEAD = "pos:\t0\nflags:\t02004002\nfanotify flags:7 event-flags:8000\n"
SETTINGS = Settings(mode="block", engine_socket="/s", engine_databases="/d", unmonitored_filesystems=("fuse",))


def fdinfo(*marks: str) -> str:
    return HEAD + "".join(f"fanotify {mark} ignored_mask:0\n" for mark in marks)


PLAIN = Settings(mode="block", engine_socket="/s", engine_databases="/d")
DISKS = ("sdev:800001 mflags:0 mask:50000", "sdev:800011 mflags:0 mask:50000")
RUN = "sdev:28 mflags:0 mask:50000"


def test_marks_on_file_systems_and_on_mounts_count() -> None:
    assert unmarked(MOUNTS, [fdinfo(*DISKS, RUN)], SETTINGS, within=None) == ()
    mount = "mnt_id:15 mflags:0 mask:10000"
    assert unmarked(MOUNTS, ["pos: 0\n", fdinfo(mount, DISKS[1], RUN)], SETTINGS, within=None) == ()


def test_the_root_without_a_mark_is_named_whatever_else_is_watched() -> None:
    assert unmarked(MOUNTS, [fdinfo(DISKS[1], RUN)], SETTINGS, within=None) == ("/",)
    assert unmarked(MOUNTS, [fdinfo(DISKS[1], RUN)], SETTINGS, within=None, given_up=("/",)) == ("/",)
    assert unmarked(MOUNTS, [], SETTINGS, within=None) == ("/", "/srv", "/run")


def test_a_mount_whose_name_ends_lines_elsewhere_is_looked_for_as_well() -> None:
    stick = MOUNTS + "27 21 8:33 / /media/a\u2028b\rc rw - ext4 /dev/sdc1 rw\n"
    assert unmarked(stick, [fdinfo(*DISKS, RUN)], SETTINGS, within=None) == ("/media/a\u2028b\rc",)
    assert unmarked(stick, [fdinfo(*DISKS, RUN, "sdev:800021 mflags:0 mask:50000")], SETTINGS, within=None) == ()


def test_a_mark_that_holds_nobody_is_none_and_what_the_kernel_refuses_is_told_elsewhere() -> None:
    only_told = "sdev:800001 mflags:0 mask:20"
    assert unmarked(MOUNTS, [fdinfo(only_told, DISKS[1], RUN)], SETTINGS, within=None) == ("/",)
    assert unmarked(MOUNTS, [fdinfo(DISKS[0], RUN)], SETTINGS, within=None, given_up=("/srv",)) == ()


def test_of_two_mounts_at_one_place_the_one_that_is_seen_counts() -> None:
    covered = MOUNTS + "27 23 8:33 / /srv rw - ext4 /dev/sdc1 rw\n"
    assert unmarked(covered, [fdinfo(*DISKS, RUN)], SETTINGS, within=None) == ("/srv",)


def test_a_mount_tucked_under_another_hides_nothing() -> None:
    # What another namespace hands on lies below what was there: the older mount's parent is the newer one.
    tucked = MOUNTS.replace("23 21 8:17", "23 27 8:17") + "27 21 8:33 / /srv rw - ext4 /dev/sdc1 rw\n"
    assert unmarked(tucked, [fdinfo(*DISKS, RUN)], SETTINGS, within=None) == ()
    assert unmarked(tucked, [fdinfo(DISKS[0], RUN)], SETTINGS, within=None) == ("/srv",)


def test_a_mount_hidden_by_one_on_a_folder_above_need_not_be_watched() -> None:
    hidden = (
        "24 21 0:40 / /run rw,nosuid - tmpfs tmpfs rw\n"
        "30 24 0:41 /host /run/host ro - ext4 /dev/sdb1 rw\n"
        "31 30 8:49 / /run/host/incoming ro - ext4 /dev/sdd1 rw\n"
        "32 24 8:65 / /run/host/incoming rw - ext4 /dev/sde1 rw\n"
    )
    mounts = MOUNTS.replace("24 21 0:40 / /run rw,nosuid - tmpfs tmpfs rw\n", hidden)
    host = "sdev:29 mflags:0 mask:50000"
    assert unmarked(mounts, [fdinfo(*DISKS, RUN, host, "mnt_id:1f mflags:0 mask:50000")], PLAIN, within=None) == ()
    assert unmarked(mounts, [fdinfo(*DISKS, RUN, host)], PLAIN, within=None) == ("/run/host/incoming",)


@pytest.mark.root
@pytest.mark.clamav
@in_private_mounts()
def test_a_real_gate_holds_all_that_is_mounted_and_one_that_cannot_look_is_found_out(directory: Path) -> None:
    with guarded(directory) as system:
        host = LocalHost(directory)
        state = standing.read(directory)
        assert state is not None
        assert access._holes(host, state, PLAIN) == ()
        assert system.broker is not None
        os.kill(system.broker.pid, signal.SIGSTOP)  # what is mounted now it does not see
        (directory / "new").mkdir()
        subprocess.run(["/bin/mount", "-t", "tmpfs", "new", directory / "new"], check=True)
        try:
            holes = access._holes(host, state, PLAIN)
            assert holes == (str(directory / "new"),)
        finally:
            os.kill(system.broker.pid, signal.SIGCONT)
        eventually(lambda: not access._holes(host, state, PLAIN))
