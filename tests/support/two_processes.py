"""A device as it is installed: an applier that is root, an agent that is not, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tests.support.scratch import scratch_for_programs

import shieldwall

AGENT_UID: Final = 64_123
"""A number that no user has: the agent's user needs no name."""
SECONDS: Final = 120
_COMMAND_LINE: Final = "from shieldwall.cli.shieldwall_agent import main; main()"


@dataclass
class TwoProcesses:
    """Everything of one device below one directory, which the agent's user may enter."""

    home: Path
    within: tuple[str, ...] = ()
    """Words before every command: those that lead into a network namespace, say."""
    package: Path = field(init=False)

    python: str = field(init=False)

    def __post_init__(self) -> None:
        self.home.chmod(0o755)
        self.python = interpreter_for_all(self.home / "python")
        for place in (self.root, self.run, self.secret):
            place.mkdir()
        self.secret.chmod(0o700)
        self.run.chmod(0o755)
        self.state.mkdir(mode=0o700)
        os.chown(self.state, AGENT_UID, AGENT_UID)
        self.package = self.secret / "package.json"

    @property
    def root(self) -> Path:
        return self.home / "root"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def secret(self) -> Path:
        """Where root keeps what is for root alone."""
        return self.home / "secret"

    @property
    def state(self) -> Path:
        return self.home / "agent"

    @property
    def applier_state(self) -> Path:
        return self.home / "applier"

    @property
    def socket(self) -> Path:
        return self.run / "applier.sock"

    def give(self, package: bytes) -> None:
        """Put an onboarding package where root alone can read it."""
        self.package.write_bytes(package)
        self.package.chmod(0o600)

    @contextmanager
    def applier(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the applier, from the moment it is ready."""
        words = ["--root", self.root, "--state", self.applier_state, "--socket", self.socket]
        program = [*self.within, self.python, "-I", "-m", "shieldwall.agent.applier_main", *map(str, words)]
        with (self.home / "applier.log").open("a") as log:
            said_before = log.tell()
            process = subprocess.Popen(
                [*program, "--agent-user", str(AGENT_UID)], stderr=log, env={"PATH": "/usr/bin:/bin", **environment}
            )
        try:
            wait_for(lambda: '"ready"' in self.applier_log()[said_before:] or process.poll() is not None)
            assert process.poll() is None, self.applier_log()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)

    def applier_log(self) -> str:
        return (self.home / "applier.log").read_text()

    def agent_log(self) -> str:
        return (self.home / "agent.log").read_text()

    def command(self, *words: str) -> list[str]:
        places = ["--root", self.root, "--state", self.state, "--applier", self.socket]
        return [*self.within, self.python, "-c", _COMMAND_LINE, *map(str, places), *words]

    def __call__(
        self, *words: str, uid: int = 0, environment: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        """Use the command line, as root unless said otherwise."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={"PATH": "/usr/bin", **environment},
            user=uid,
            group=uid,
            extra_groups=[],
            cwd="/",
        )

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        return json.loads(done.stdout or done.stderr)

    @contextmanager
    def agent(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the agent as the service does, from after its first check-in."""
        before = self.agent_log().count("checkedIn") if (self.home / "agent.log").exists() else 0
        with (self.home / "agent.log").open("a") as log:
            process = subprocess.Popen(self.command("run"), stderr=log, env=environment, cwd="/")
        try:
            wait_for(lambda: self.agent_log().count("checkedIn") > before or process.poll() is not None)
            assert process.poll() is None, self.agent_log()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)

    def owners(self) -> set[int]:
        """Whose everything in the agent's directory is."""
        return {path.lstat().st_uid for path in (self.state, *self.state.rglob("*"))}


def interpreter_for_all(place: Path) -> str:
    """Return a Python with everything installed that every user of this machine can run.

    An interpreter in somebody's home is theirs alone; an environment on the system's own one takes its place.
    """
    if all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents):
        return sys.executable
    system = "/usr/bin/python3"
    version = "import sys; print(*sys.version_info[:2])"
    found = subprocess.run([system, "-c", version], capture_output=True, text=True, check=True).stdout.split()
    assert tuple(map(int, found)) == sys.version_info[:2], "compiled packages are for one version of Python"
    subprocess.run([system, "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    ours = [sysconfig.get_path("purelib"), str(Path(shieldwall.__file__).parents[1])]
    (packages / "ours.pth").write_text("\n".join(ours) + "\n")
    return str(place / "bin/python3")


@contextmanager
def two_processes(*within: str) -> Iterator[TwoProcesses]:
    """Make a device below a directory of its own; those of pytest may be entered by their owner alone."""
    home = Path(tempfile.mkdtemp(prefix="shieldwall-device-", dir=scratch_for_programs()))
    try:
        yield TwoProcesses(home, within=within)
    finally:
        shutil.rmtree(home)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
