"""The real kernel: what belongs to a network of our own, and a few values of all that go back whatever happens.

These run one after the other in one process; each value that the whole machine shares is set for a moment only.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.support.hardening import apply, catalog, modes, setting
from tests.support.private_namespaces import mount, private_root, privately

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Support
from shieldwall.agent.providers.hardening import KernelProvider, interfaces
from shieldwall.agent.providers.hardening.sysctl_files import SYSCTL_FILE

pytestmark = pytest.mark.root

PROVIDER = KernelProvider(catalog())
SYS = Path("/proc/sys")
NOBODY = 65_534

_TYPE_INTO_TERMINAL = """
import fcntl, os, pty, termios, time
parent, child = pty.openpty()
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    try:
        fcntl.ioctl(child, termios.TIOCSTI, b"x")
    except OSError:
        os._exit(13)
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
_MEASURE = """
import ctypes, os, struct, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
libc = ctypes.CDLL(None, use_errno=True)
number, *arguments = map(int, sys.argv[1:])
sys.exit(0 if libc.syscall(number, *arguments) >= 0 else ctypes.get_errno())
"""


@contextlib.contextmanager
def restored(*names: str) -> Iterator[None]:
    """Give shared values back what they held, even when a test fails."""
    before = {name: (SYS / name).read_bytes() for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if (SYS / name).read_bytes() != value:
                (SYS / name).write_bytes(value)


def as_nobody(program: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True).returncode


def test_redirects_and_source_routes_are_off_in_a_network_of_its_own_and_come_back(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        subprocess.run(["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"], check=True)
        keys = ("accept_redirects", "send_redirects", "secure_redirects", "accept_source_route")
        paths = [SYS / f"net/ipv4/conf/{where}/{key}" for where in ("all", "default", "one", "lo") for key in keys]
        paths += [SYS / f"net/ipv6/conf/{where}/accept_redirects" for where in ("all", "default", "one")]
        for path in paths:
            path.write_text("1\n")
        before = {path: path.read_bytes() for path in paths}
        wanted = modes(blockIcmpRedirects="block", blockSourceRouting="block")

        rendered = apply(host, PROVIDER, wanted)

        assert {path: path.read_bytes() for path in paths} == dict.fromkeys(paths, b"0\n")
        assert all(entry.effective for entry in PROVIDER.observe(host, wanted).values())
        subprocess.run(["ip", "link", "add", "three", "type", "veth", "peer", "name", "four"], check=True)
        (SYS / "net/ipv4/conf/three/accept_redirects").write_text("1\n")
        seen = PROVIDER.observe(host, wanted)[setting("blockIcmpRedirects")]
        assert (seen.effective, seen.code) == (False, "valueDiffers")
        PROVIDER.activate(host)
        assert all(entry.effective for entry in PROVIDER.observe(host, wanted).values())

        subprocess.run(["ip", "link", "delete", "three"], check=True)
        apply(host, PROVIDER, {}, rendered.kept)
        assert {path: path.read_bytes() for path in paths} == before
        assert host.read_file(interfaces.BEFORE) is None
        assert host.read_file(SYSCTL_FILE) is None

    privately(check, network=True)


@pytest.mark.parametrize("program", [("/lib/systemd/systemd-sysctl",), ("sysctl", "--load")], ids=["systemd", "procps"])
def test_the_file_for_the_next_start_is_read_as_it_is_meant(program: tuple[str, ...], tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        subprocess.run(["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"], check=True)
        apply(host, PROVIDER, modes(blockIcmpRedirects="block"))
        conf = SYS / "net/ipv4/conf"
        for where in ("all", "default", "one"):
            (conf / where / "accept_redirects").write_text("1\n")
        missing = b"-kernel.yama.no_such_value = 1\n-net.ipv4.conf.*.no_such_value = 1\n"
        content = host.read_file(SYSCTL_FILE)
        assert content is not None
        host.write_file(SYSCTL_FILE, missing + content)

        done = subprocess.run([*program, str(host.locate(SYSCTL_FILE))], check=False, capture_output=True)

        # procps ends with 1 for what is missing, but goes on.
        assert done.returncode == 0 or b"no_such_value" in done.stderr, done.stderr
        for where in ("all", "default", "one"):
            assert (conf / where / "accept_redirects").read_text() == "0\n"

    privately(check, network=True)


def test_values_that_nobody_can_change_here_are_not_applicable(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        mount("--bind", str(tmp_path / "proc/sys"), str(tmp_path / "proc/sys"))
        mount("-o", "remount,bind,ro", str(tmp_path / "proc/sys"))
        support = PROVIDER.support(host, setting("restrictKernelPointers"))
        assert support is not None
        assert (support.applicable, "read-only here" in support.reason) == (False, True)

    assert PROVIDER.support(LocalHost(Path("/")), setting("restrictKernelPointers")) == Support(applicable=True)
    privately(check)


def test_users_get_no_user_namespace_of_their_own(tmp_path: Path) -> None:
    # The limit belongs to a user namespace: inside one of our own it is as real as the machine's.
    knob = "user/max_user_namespaces"
    rendered = PROVIDER.render(
        {PurePosixPath(SYS / knob): b"100\n"}, modes(blockUnprivilegedUserNamespaces="block"), {}
    )
    program = tmp_path / "inside.py"
    program.write_text(
        "import ctypes, sys; libc = ctypes.CDLL(None, use_errno=True)\n"
        "open(sys.argv[1], 'w').write(sys.argv[2])\n"
        "sys.exit(0 if libc.unshare(0x10000000) == 0 else ctypes.get_errno())\n"
    )
    value = (rendered.files[PurePosixPath(SYS / knob)] or b"").decode()

    def inside(written: str) -> int:
        command = ["unshare", "--user", "--map-root-user", sys.executable, str(program), str(SYS / knob), written]
        return subprocess.run(command, check=False).returncode

    assert inside("100\n") == 0
    assert inside(value) == 28  # ENOSPC, as user_namespaces(7) says


def test_shared_values_are_taken_by_the_kernel_and_given_back(tmp_path: Path) -> None:
    names = ("kernel/kptr_restrict", "fs/protected_symlinks", "fs/protected_fifos", "fs/protected_regular")

    def check() -> None:
        host = private_root(tmp_path)
        (SYS / "kernel/kptr_restrict").write_text("0\n")
        wanted = modes(restrictKernelPointers="block", protectLinks="block", restrictKernelLog="block")
        rendered = apply(host, PROVIDER, wanted)
        assert (SYS / "kernel/kptr_restrict").read_text() == "2\n"
        assert all(entry.effective for entry in PROVIDER.observe(host, wanted).values())
        addresses = {line.split()[0] for line in Path("/proc/kallsyms").read_text().splitlines()[:50]}
        assert addresses == {"0" * 16}
        apply(host, PROVIDER, {}, rendered.kept)
        assert (SYS / "kernel/kptr_restrict").read_text() == "0\n"

    with restored(*names):
        before = {name: (SYS / name).read_bytes() for name in names[1:]}
        privately(check)
        assert {name: (SYS / name).read_bytes() for name in names[1:]} == before


def test_a_link_of_somebody_else_is_not_followed_in_a_sticky_directory(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "target").write_text("secret")
    (shared / "link").symlink_to(tmp_path / "target")
    os.lchown(shared / "link", NOBODY, NOBODY)

    with restored("fs/protected_symlinks", "fs/protected_fifos", "fs/protected_regular", "fs/protected_hardlinks"):
        (SYS / "fs/protected_symlinks").write_text("0\n")
        assert (shared / "link").read_text() == "secret"

        privately(lambda: _apply(tmp_path / "root", "protectLinks"))

        with pytest.raises(PermissionError):
            (shared / "link").read_text()


def test_a_program_cannot_type_into_its_terminal(tmp_path: Path) -> None:
    with restored("dev/tty/legacy_tiocsti", "dev/tty/ldisc_autoload"):
        (SYS / "dev/tty/legacy_tiocsti").write_text("1\n")
        assert as_nobody(_TYPE_INTO_TERMINAL) == 0

        privately(lambda: _apply(tmp_path / "root", "blockTerminalInjection"))

        assert as_nobody(_TYPE_INTO_TERMINAL) == 13


def test_io_uring_userfaultfd_and_bpf_are_refused_to_users(tmp_path: Path) -> None:
    io_uring_setup, userfaultfd, bpf = "425", "323", "321"
    names = ("kernel/io_uring_disabled", "vm/unprivileged_userfaultfd", "kernel/unprivileged_bpf_disabled")
    with restored(*names, "net/core/bpf_jit_harden"):
        assert as_nobody(_MEASURE, io_uring_setup, "1", "0") == 14  # EFAULT: it goes on to look at its arguments

        privately(lambda: _apply(tmp_path / "root", "blockIoUring", "blockUserfaultfd", "blockUnprivilegedBpf"))

        assert as_nobody(_MEASURE, io_uring_setup, "1", "0") == 1
        assert as_nobody(_MEASURE, userfaultfd, "0") == 1
        assert as_nobody(_MEASURE, bpf, "5", "0", "0") == 1


def test_no_program_leaves_a_core_dump(tmp_path: Path) -> None:
    with restored("kernel/core_pattern"):
        (SYS / "kernel/core_pattern").write_text("core\n")
        assert _dump(tmp_path / "before")

        privately(lambda: _apply(tmp_path / "root", "blockCoreDumps"))

        assert not _dump(tmp_path / "after")


def test_what_this_kernel_lacks_is_said_to_be_unavailable() -> None:
    host = LocalHost(Path("/"))
    for rule, path in (
        ("blockMagicSysrq", "kernel/sysrq"),
        ("blockKexec", "kernel/kexec_load_disabled"),
        ("restrictPtrace", "kernel/yama/ptrace_scope"),
    ):
        if not (SYS / path).exists():
            rendered = PROVIDER.render(_files(host), modes(**{rule: "block"}), {})
            assert rendered.rejected[setting(rule)][0].code == "engineUnavailable"


def _files(host: LocalHost) -> dict[PurePosixPath, bytes | None]:
    return {path: host.read_file(path) for path in PROVIDER.files()}


def _apply(directory: Path, *rules: str) -> None:
    directory.mkdir()
    host = private_root(directory)
    wanted = modes(**dict.fromkeys(rules, "block"))
    apply(host, PROVIDER, wanted)
    assert {entry.effective for entry in PROVIDER.observe(host, wanted).values()} == {True}


def _dump(directory: Path) -> bool:
    directory.mkdir()

    def prepare() -> None:
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))

    crashed = subprocess.run(
        ["/bin/sh", "-c", "kill -SEGV $$"], cwd=directory, check=False, preexec_fn=prepare, capture_output=True
    )
    assert crashed.returncode == -signal.SIGSEGV
    return any(directory.iterdir())
