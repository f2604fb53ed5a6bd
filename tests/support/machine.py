"""A Debian 12 machine with systemd as its first process, booted by systemd-nspawn in a network namespace of its own.

The base tree is made once by mmdebstrap and kept under ``.cache/machine``. Each machine lays an overlay of its own upon
it, so it starts as a fresh installation, keeps what is written through reboots, and is thrown away at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "iproute2",
    "procps",
    "nftables",
    "clamav",
    "clamav-daemon",
    "clamav-freshclam",
    "clamdscan",
)
_DEBIAN_SOURCES = Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")
_BOOT_SECONDS = 90


def base_tree() -> Path:
    """Return the tree of a freshly installed machine; making it takes half a minute, once."""
    name = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    tree = _cache() / name
    with alone("machine"):
        if not tree.exists():
            making = tree.with_suffix(".new")
            shutil.rmtree(making, ignore_errors=True)
            command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm"]
            sources = [str(file) for file in _DEBIAN_SOURCES if file.exists()][
                :1
            ]  # as this machine gets its own packages
            _check(*command, str(making), *sources, seconds=600)
            making.rename(tree)
    return tree


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Let one process of a test run at a time make something that all of them use."""
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    return Path(os.environ.get("SHIELDWALL_TEST_CACHE", REPOSITORY / ".cache")) / "machine"


class Machine:
    """One machine. ``run`` works on it as its root does at a console."""

    def __init__(self, home: Path, *, network: str, name: str) -> None:
        self.root = home / "root"
        self.log = home / "console.log"
        self._home = home
        self._network = network
        self._name = name
        self._groups = [root / name for root in _group_roots()]
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        """Switch it on and wait until systemd has started what it starts."""
        command = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self._name}"),
            *("--register=no", "--keep-unit", "--console=pipe", f"--network-namespace-path=/run/netns/{self._network}"),
            # What a machine of its own has; without it a container's services get EPERM.
            "--capability=CAP_NET_ADMIN",
            "--system-call-filter=fanotify_init fanotify_mark name_to_handle_at open_by_handle_at",
        ]
        # Values of its own network are the machine's to change, those of the kernel are not.
        environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        self._leader = 0
        inside = _inside_groups(self._groups)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*inside, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._is_up():
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"the machine does not come up\n{self._what_is_to_come()}"
            time.sleep(0.2)

    def _is_up(self) -> bool:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        with contextlib.suppress(subprocess.TimeoutExpired):
            # "degraded" is up as well: a container lacks what some services of Debian want.
            return self.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}
        return False

    def _what_is_to_come(self) -> str:
        return self.run("systemctl", "list-jobs").stdout + self.log.read_text()[-3000:]

    def run(
        self, *command: str, stdin: str | bytes = b"", seconds: float = 120, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the machine; its words, not a shell line."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        enter = ["nsenter", f"--target={self._leader}", "--all", "--"]
        done = subprocess.run([*enter, *command], input=given, capture_output=True, timeout=seconds, check=False)
        said, complained = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert not check or done.returncode == 0, (
            f"{' '.join(command)} ended with {done.returncode}\n{said}{complained}"
        )
        return subprocess.CompletedProcess(done.args, done.returncode, said, complained)

    def succeeds(self, *command: str, seconds: float = 120) -> bool:
        """Say whether a program ends well."""
        return self.run(*command, seconds=seconds).returncode == 0

    def read(self, path: str) -> str | None:
        """Return a file's content, ``None`` when there is none."""
        done = self.run("cat", path)
        return done.stdout if done.returncode == 0 else None

    def write(self, path: str, content: str, *, mode: str = "0644") -> None:
        """Write a file as somebody at the machine would."""
        self.run("install", "-D", f"--mode={mode}", "/dev/stdin", path, stdin=content, check=True)

    def is_active(self, unit: str) -> bool:
        """Say whether a unit runs."""
        return self.run("systemctl", "is-active", unit).stdout.strip() == "active"

    def journal(self, unit: str) -> str:
        """Return what a unit has said."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}").stdout

    def reboot(self, *, hard: bool = False) -> None:
        """Go down and come up again; ``hard`` is a power cut to every process, while the disk keeps what it has."""
        self.off(hard=hard)
        self.boot()

    def off(self, *, hard: bool = False) -> None:
        """Switch it off."""
        if self._process is None:
            return
        if not hard and self._process.poll() is None:
            self.run("systemctl", "poweroff", "--no-block")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(60)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # with its first process every other one goes
                os.kill(self._leader or self._process.pid, signal.SIGKILL)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        for group in self._groups:
            _remove_group(group)

    @contextlib.contextmanager
    def laid_out(self, tree: Path) -> Iterator[None]:
        """Give it a disk of its own upon the base tree, for as long as the block lasts."""
        upper, work = self._home / "upper", self._home / "work"
        for directory in (upper, work, self.root):
            directory.mkdir(parents=True)
        layers = f"lowerdir={tree},upperdir={upper},workdir={work}"
        _check("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        try:
            yield
        finally:
            self.off(hard=True)
            _check("umount", "--lazy", str(self.root))


def _group_roots() -> list[Path]:
    """Where in each hierarchy of control groups that systemd uses this process is."""
    roots = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        below = {"": "unified", "name=systemd": "systemd"}.get(controllers)
        if below is not None:
            mounted = Path("/sys/fs/cgroup") / below
            roots.append((mounted if mounted.is_dir() else mounted.parent) / path.lstrip("/"))
    return roots


def _inside_groups(groups: list[Path]) -> list[str]:
    """What to put before a command so that it runs in control groups of its own.

    Two machines in the same ones share those of their services too, and systemd waits a minute and a half for the other
    machine's processes to go before it takes a service of its own for ended.
    """
    for group in groups:
        group.mkdir(exist_ok=True)
    enter = "".join(f"echo $$ > {group}/cgroup.procs && " for group in groups)
    return ["sh", "-c", f'{enter}exec "$@"', "sh"]


def _remove_group(group: Path) -> None:
    """Remove a control group and those below it, which are directories that hold no files one could remove."""
    for directory, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):  # what still ends in it goes with the machine that runs the tests
            Path(directory).rmdir()


def _check(*command: str, stdin: bytes = b"", seconds: float = 60) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')[-2000:]}"
