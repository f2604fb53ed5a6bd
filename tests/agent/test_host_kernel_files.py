"""Values of the kernel are handed over in place: no temporary file, no rename, and the kernel's refusal in words."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.kernel_files import KernelValueError
from shieldwall.agent.host.local import LocalHost

VALUE = PurePosixPath("/proc/sys/kernel/kptr_restrict")


@pytest.fixture
def pretended(tmp_path: Path) -> LocalHost:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/kptr_restrict").write_bytes(b"1000\n")
    return LocalHost(tmp_path)


def test_a_value_is_written_in_place(pretended: LocalHost) -> None:
    inode = pretended.locate(VALUE).stat().st_ino

    pretended.write_file(VALUE, b"2\n")

    assert pretended.read_file(VALUE) == b"2\n"
    assert pretended.locate(VALUE).stat().st_ino == inode
    assert [path.name for path in pretended.locate(VALUE).parent.iterdir()] == ["kptr_restrict"]


def test_a_value_that_the_kernel_lacks_is_never_made(pretended: LocalHost) -> None:
    missing = PurePosixPath("/proc/sys/kernel/yama/ptrace_scope")

    with pytest.raises(KernelValueError):
        pretended.write_file(missing, b"1\n")

    assert not pretended.locate(missing).parent.exists()
    pretended.write_file(missing, None)


def test_a_value_is_never_removed(pretended: LocalHost) -> None:
    with pytest.raises(KernelValueError):
        pretended.write_file(VALUE, None)

    assert pretended.read_file(VALUE) == b"1000\n"


@pytest.mark.root
def test_the_real_kernel_takes_a_value_and_says_when_it_does_not() -> None:
    host = LocalHost(Path("/"))
    own = PurePosixPath("/proc/self/oom_score_adj")
    before = host.read_file(own)
    assert before is not None
    try:
        host.write_file(own, b"500\n")
        assert host.read_file(own) == b"500\n"
        with pytest.raises(HostError, match="does not take this value"):
            host.write_file(own, b"5000\n")
    finally:
        host.write_file(own, before)


def test_every_value_of_the_real_kernel_that_is_there_can_be_read() -> None:
    host = LocalHost(Path("/"))

    assert (host.read_file(PurePosixPath("/proc/sys/fs/protected_symlinks")) or b"").strip().isdigit()
    assert b" / " in (host.read_file(PurePosixPath("/proc/self/mountinfo")) or b"")
