"""Which file systems a scan looks at, from what the kernel says is mounted."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.private_namespaces import mount, privately

from shieldwall.agent.broker.mounts import parse
from shieldwall.agent.host.kernel_files import shown
from shieldwall.agent.scanning import places
from shieldwall.agent.scanning.walking import Walk

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:5 / /dev rw - devtmpfs udev rw
25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw
26 22 8:2 / /home rw - xfs /dev/sda2 rw
27 22 0:44 / /net rw - nfs4 server:/export rw
28 26 0:45 / /home/me/.gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw
29 22 8:1 /srv/data /mnt/bound rw - ext4 /dev/sda1 rw
30 22 8:3 / /with\040blank rw - btrfs /dev/sda3 rw
31 22 0:50 / /over rw - overlay overlay rw
32 31 0:51 / /over rw - tmpfs tmpfs rw
nonsense
"""


def test_a_full_scan_starts_once_from_every_file_system_of_this_machine() -> None:
    found = places.mounts(MOUNTINFO)

    assert places.full(found) == ("/", "/dev/shm", "/home", "/over", "/with blank")
    assert places.unscanned(found) == {"/proc", "/dev", "/net", "/home/me/.gvfs"}
    assert places.borders(found) >= {"/", "/mnt/bound", "/net"}


def test_the_mounts_of_this_very_machine_are_understood() -> None:
    found = places.mounts(Path("/proc/self/mountinfo").read_text())

    assert "/" in {mount.point for mount in found}
    assert "/proc" in places.unscanned(found)


@pytest.mark.parametrize("mark", "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
def test_what_a_user_mounts_is_known_whatever_its_name_holds(mark: str) -> None:
    found = places.mounts(
        f"33 26 0:52 / /home/me/a{mark}b rw - fuse.x x rw\n34 22 8:17 / /stick{mark} rw - ext4 /dev/sdb rw\n"
    )

    assert places.unscanned(found) == {f"/home/me/a{mark}b"}, "nobody waits for whoever serves it"
    assert places.full(found) == (f"/stick{mark}",)


@pytest.mark.root
def test_the_kernel_keeps_only_line_feeds_from_ending_lines(tmp_path: Path) -> None:
    def mounted() -> None:
        place = tmp_path / "a\nb\rc\x0cd\u2028e"
        place.mkdir()
        mount("-t", "tmpfs", "stick", str(place))
        text = shown(Path("/proc/self/mountinfo"))

        assert str(place) in places.full(places.mounts(text))
        assert str(place) in {each.point for each in parse(text)}

    privately(mounted)


def test_a_walk_stops_at_borders_and_at_what_is_excluded(tmp_path: Path) -> None:
    for name in ("a/file", "border/file", "excluded/file", "b.skip", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    walk = Walk(
        is_excluded=lambda path: path.endswith(".skip") or path.startswith(f"{tmp_path}/excluded/"),
        borders=frozenset({f"{tmp_path}/border"}),
    )

    found = list(walk.over(str(tmp_path)))
    for each in found:
        each.close()

    assert sorted(each.path for each in found) == [f"{tmp_path}/a/file", f"{tmp_path}/c"]
    assert walk.excluded == 2


def test_a_walk_leaves_no_file_open_and_reads_without_a_trace(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}/file").write_bytes(b"x")
        os.utime(tmp_path / f"d{number}/file", ns=(1, 1))
    before = len(list(Path("/proc/self/fd").iterdir()))

    for each in Walk(is_excluded=lambda _: False, borders=frozenset()).over(str(tmp_path)):
        os.read(each.descriptor, 1)
        each.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert {path.stat().st_atime_ns for path in tmp_path.glob("*/file")} == {1}


@pytest.mark.parametrize("mark", ["\n", "\r", "\x0c", "\u2028", r"\012"])
def test_a_library_that_runs_is_found_whatever_its_name_holds(tmp_path: Path, mark: str) -> None:
    library = Path(shutil.copy("/bin/sleep", tmp_path / f"lib{mark}x.so"))
    process = tmp_path / "proc" / "1"
    process.mkdir(parents=True)
    (process / "exe").symlink_to("/bin/sleep")
    with library.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    (process / "maps").write_bytes(Path("/proc/self/maps").read_bytes())
    held.close()

    assert str(library) in set(places.running_programs(tmp_path / "proc"))


def test_running_programs_are_found_and_so_is_one_whose_file_is_gone(tmp_path: Path) -> None:
    program = Path(shutil.copy("/bin/sleep", tmp_path / "program"))
    with subprocess.Popen([program, "60"]) as process:
        try:
            assert str(program) in set(places.running_programs(Path("/proc")))
            program.unlink()
            gone = f"/proc/{process.pid}/exe"
            assert gone in set(places.running_programs(Path("/proc")))
            (found,) = Walk(is_excluded=lambda _: False, borders=frozenset()).over(gone)
            assert found.is_gone
            assert os.pread(found.descriptor, 4, 0) == b"\x7fELF"
            found.close()
        finally:
            process.kill()
