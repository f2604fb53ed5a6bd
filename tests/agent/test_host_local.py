from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shieldwall.agent.host.errors import DiskFullError, HostError, ProgramError, RefusedFileError
from shieldwall.agent.host.local import LocalHost

FILE = PurePosixPath("/etc/product/product.conf")
SH = "/bin/sh"


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    root = tmp_path / "root"
    root.mkdir()
    return LocalHost(root)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(contents=st.lists(st.none() | st.binary(max_size=200), min_size=1, max_size=5))
def test_what_was_written_is_what_is_read(host: LocalHost, contents: list[bytes | None]) -> None:
    for content in contents:
        host.write_file(FILE, content)
        assert host.read_file(FILE) == content
    assert not list(host.root.rglob(".*")), "nothing temporary stays behind"


def test_a_new_file_has_the_mode_asked_for_and_an_existing_one_keeps_its_own(host: LocalHost) -> None:
    host.write_file(FILE, b"new", mode=0o600)
    assert stat.S_IMODE(host.locate(FILE).stat().st_mode) == 0o600

    host.locate(FILE).chmod(0o640)
    host.write_file(FILE, b"newer", mode=0o600)
    assert stat.S_IMODE(host.locate(FILE).stat().st_mode) == 0o640


@pytest.mark.root
def test_the_owner_of_an_existing_file_is_kept(host: LocalHost) -> None:
    host.write_file(FILE, b"old")
    os.chown(host.locate(FILE), 1234, 4321)

    host.write_file(FILE, b"new")

    found = host.locate(FILE).stat()
    assert (found.st_uid, found.st_gid) == (1234, 4321)


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/../../secret", "/etc/\0"])
def test_a_path_that_is_not_absolute_and_plain_is_refused(host: LocalHost, path: str) -> None:
    with pytest.raises(RefusedFileError):
        host.read_file(PurePosixPath(path))


@pytest.mark.parametrize("linked", ["etc", "etc/product", "etc/product/product.conf"])
def test_a_link_that_leads_out_of_the_root_is_refused(host: LocalHost, tmp_path: Path, linked: str) -> None:
    outside = tmp_path / "outside"
    (outside / "product").mkdir(parents=True)
    (outside / "product.conf").write_bytes(b"theirs")
    (host.root / linked).parent.mkdir(parents=True, exist_ok=True)
    (host.root / linked).symlink_to(outside / "product.conf" if linked.endswith(".conf") else outside)

    with pytest.raises(RefusedFileError, match="leads out"):
        host.read_file(FILE)
    with pytest.raises(RefusedFileError, match="leads out"):
        host.write_file(FILE, b"ours")
    with pytest.raises(RefusedFileError, match="leads out"):
        host.write_file(FILE, None)
    assert (outside / "product.conf").read_bytes() == b"theirs"


def test_a_link_inside_the_root_is_followed_and_stays(host: LocalHost) -> None:
    host.write_file(PurePosixPath("/usr/share/product.conf"), b"old")
    host.locate(FILE).parent.mkdir(parents=True)
    host.locate(FILE).symlink_to("../../usr/share/product.conf")

    host.write_file(FILE, b"new")

    assert host.locate(FILE).is_symlink()
    assert host.read_file(PurePosixPath("/usr/share/product.conf")) == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to somebody else")
@pytest.mark.parametrize("linked", ["etc/product/product.conf", "etc/product", "usr/share/second.conf"])
def test_a_link_that_another_user_made_is_refused_wherever_it_leads(host: LocalHost, linked: str) -> None:
    places = {
        "etc/product/product.conf": ("etc/product/product.conf", "../../usr/share/target.conf"),
        "etc/product": ("etc/product", "../usr/share"),
        "usr/share/second.conf": ("etc/product/product.conf", "../../usr/share/second.conf"),
    }
    link, target = places[linked]
    host.write_file(PurePosixPath("/usr/share/target.conf"), b"precious")
    host.write_file(PurePosixPath("/usr/share/product.conf"), b"precious")
    (host.root / link).parent.mkdir(parents=True, exist_ok=True)
    (host.root / link).symlink_to(target)
    if linked == "usr/share/second.conf":
        (host.root / linked).symlink_to("target.conf")
    os.chown(host.root / linked, 65_534, 65_534, follow_symlinks=False)

    with pytest.raises(RefusedFileError, match="another user"):
        host.write_file(FILE, b"ours")
    with pytest.raises(RefusedFileError, match="another user"):
        host.read_file(FILE)

    assert (host.root / "usr/share/target.conf").read_bytes() == b"precious"


def test_links_in_a_circle_are_refused(host: LocalHost) -> None:
    host.locate(FILE).parent.mkdir(parents=True)
    host.locate(FILE).symlink_to("product.conf")

    with pytest.raises(HostError):
        host.read_file(FILE)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_what_is_no_regular_file_is_refused_and_left_alone(host: LocalHost, make: Any) -> None:
    host.locate(FILE).parent.mkdir(parents=True)
    make(host.locate(FILE))

    with pytest.raises(HostError):
        host.read_file(FILE)
    for content in (b"x", None):
        with pytest.raises(HostError):
            host.write_file(FILE, content)
    assert host.locate(FILE).exists()


def test_another_name_of_the_same_file_keeps_the_old_content(host: LocalHost) -> None:
    host.write_file(FILE, b"old")
    elsewhere = host.root / "elsewhere"
    elsewhere.hardlink_to(host.locate(FILE))

    host.write_file(FILE, b"new")

    assert elsewhere.read_bytes() == b"old"


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_content_and_says_so(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    host.write_file(FILE, b"old")

    def full(*_arguments: Any, **_keywords: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        monkeypatch.setattr("shieldwall.agent.host.files.os.fchmod", full)
    elif call == "fsync":
        monkeypatch.setattr("shieldwall.agent.host.files.os.fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(DiskFullError):
        host.write_file(FILE, b"new")

    monkeypatch.undo()
    assert host.read_file(FILE) == b"old"
    assert [entry.name for entry in host.locate(FILE).parent.iterdir()] == [FILE.name]


def test_content_and_directory_are_on_disk_before_the_write_returns(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(path, target)

    host.write_file(FILE, b"old")
    monkeypatch.setattr("shieldwall.agent.host.files.os.fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)

    host.write_file(FILE, b"new")
    host.write_file(FILE, None)

    assert calls == ["file", "rename", "directory", "directory"]


def test_what_is_as_it_should_be_is_synced_all_the_same(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed between rename and sync leaves what everybody reads and no disk holds."""
    host.write_file(FILE, b"same")
    empty = host.root / "etc" / "other"
    empty.mkdir()
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    inode = host.locate(FILE).stat().st_ino

    host.write_file(FILE, b"same")
    assert synced == ["product.conf", "product"]
    assert host.locate(FILE).stat().st_ino == inode, "nothing is replaced by its like"

    synced.clear()
    host.write_file(PurePosixPath("/etc/product/absent.conf"), None)
    assert synced == ["product"]

    synced.clear()
    host.write_file(PurePosixPath("/etc/other/new.conf"), b"new")
    assert synced[0] == "etc", "whoever made the directory may not have lived to sync it"


def test_what_a_killed_write_left_behind_is_cleared_away_by_the_next(host: LocalHost) -> None:
    host.write_file(FILE, b"old")
    left = host.locate(FILE).with_name(f".{FILE.name}.shieldwall-new")
    left.write_bytes(b"half")

    host.write_file(FILE, b"new")

    assert host.read_file(FILE) == b"new"
    assert not left.exists()


def test_programs_are_found_under_the_root_alone(host: LocalHost) -> None:
    assert host.find_program("sh") is None

    program = host.root / "usr" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    assert host.find_program("tool") is None, "not executable"
    program.chmod(0o755)
    assert host.find_program("tool") == str(program)
    assert host.find_program("../bin/tool") is None


def test_a_program_sees_a_cleared_environment(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD_X", "PYTHONPATH", "HOME", "LANG"):
        monkeypatch.setenv(name, "hostile")

    completed = host.run([SH, "-c", "env; cat; echo problem >&2; exit 3"], stdin=b"from outside\n")

    assert completed.returncode == 3
    assert completed.stderr == b"problem\n"
    assert b"hostile" not in completed.stdout
    assert completed.stdout.endswith(b"from outside\n")


def test_a_program_that_hangs_is_ended_with_its_children(host: LocalHost, tmp_path: Path) -> None:
    note = tmp_path / "child"

    with pytest.raises(ProgramError, match=r"did not end within 0\.5 seconds"):
        host.run([SH, "-c", f"sleep 60 & echo $! > {note}; wait"], timeout_seconds=0.5)

    child = Path(f"/proc/{note.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while is_running(child):  # it was sent the signal; the kernel takes its moment
        assert time.monotonic() < deadline, "a child of the program lives on"
        time.sleep(0.01)


def is_running(stat: Path) -> bool:
    """Whether a process is there and more than a name in the process table."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_never_stops_talking_is_ended(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shieldwall.agent.host.processes.MAX_OUTPUT_BYTES", 100_000)

    with pytest.raises(ProgramError, match="printed more than"):
        host.run([SH, "-c", "while :; do echo and on; done"])


def test_much_input_to_a_program_that_does_not_listen_is_no_failure(host: LocalHost) -> None:
    assert host.run([SH, "-c", "exit 0"], stdin=b"x" * 1_000_000).returncode == 0


def test_a_program_that_is_not_there_is_an_error_in_words(host: LocalHost) -> None:
    with pytest.raises(ProgramError, match="cannot be started"):
        host.run(["/nonexistent/program"])


def test_a_place_without_links_is_told_by_the_kernel_and_links_are_still_resolved(host: LocalHost) -> None:
    (host.root / "real/below").mkdir(parents=True)
    (host.root / "real/below/file").write_bytes(b"content")
    (host.root / "link").symlink_to("real")
    (host.root / "dangling").symlink_to("nowhere")
    (host.root / "out").symlink_to("/usr")

    assert host.read_file(PurePosixPath("/real/below/file")) == b"content"
    assert host.read_file(PurePosixPath("/link/below/file")) == b"content"
    for nothing in ("/real/none/file", "/link/none/file", "/dangling", "/dangling/file", "/real/below/file/file"):
        assert host.read_file(PurePosixPath(nothing)) is None
    for outside in ("/out", "/out/none", "/out/bin/env"):
        with pytest.raises(RefusedFileError, match="leads out"):
            host.read_file(PurePosixPath(outside))


@pytest.mark.root
@pytest.mark.parametrize("asked", ["/theirs/file", "/theirs/none", "/real/leaf"])
def test_a_link_of_another_user_is_refused_wherever_it_is_on_the_way(host: LocalHost, asked: str) -> None:
    (host.root / "real").mkdir()
    (host.root / "real/file").write_bytes(b"content")
    for link, target in (("theirs", "real"), ("real/leaf", "file")):
        (host.root / link).symlink_to(target)
        os.lchown(host.root / link, 1234, 1234)

    with pytest.raises(RefusedFileError, match="another user made"):
        host.read_file(PurePosixPath(asked))
