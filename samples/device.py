"""Sample devices: each a file system root of its own with a real agent on it.

As root a device also lives in a network namespace of its own, so that its firewall is real and the host's is left
alone. Without root it has what works in a plain directory: mdatp's managed file, and clamd where that is installed.
"""

from __future__ import annotations

import os
import shutil
import signal
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

from samples.processes import AGENT, PYTHON, Running, run, wait_until

MARKER = "SHIELDWALL-SAMPLE-MARKER"
"""A harmless text that the sample virus database knows: a file that holds it is found."""

_OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
LOCAL_MDATP = """{
  "antivirusEngine": {
    "scanAfterDefinitionUpdate": true
  },
  "note": "set by hand before management"
}
"""
"""What somebody wrote into mdatp's managed file before management; none of it may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleDevice:
    """One pretend machine under ``home``: ``root`` is its file system, ``state`` what its agent keeps."""

    name: str
    home: Path
    has_mdatp: bool = False
    has_clamav: bool = False

    @property
    def root(self) -> Path:
        """What is ``/`` on the device."""
        return self.home / "root"

    @property
    def state(self) -> Path:
        """Where its agent keeps identity and policies."""
        return self.home / "state"

    @property
    def namespace(self) -> str:
        """Name of its network namespace; two sample systems on one machine do not share any."""
        return f"shieldwall-{zlib.crc32(bytes(self.home)):08x}-{self.name}"

    def prepare(self, *, namespaced: bool) -> None:
        """Lay out the root as a fresh machine; an existing one is left as it is.

        The agent looks for programs under its root. Only a device with a network of its own has nft there, so that no
        sample device can ever reach the firewall of this machine.
        """
        _write(self.root / "etc/os-release", _OS_RELEASE)
        _write(self.root / "etc/hostname", f"{self.name}\n")
        _write(self.root / "etc/machine-id", f"{uuid.uuid4().hex}\n")
        if self.has_mdatp:
            _write(self.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json", LOCAL_MDATP)
        if self.has_clamav:
            self._prepare_clamav()
        firewall = self.root / "usr/sbin/nft"
        firewall.unlink(missing_ok=True)
        if namespaced:
            firewall.parent.mkdir(parents=True, exist_ok=True)
            firewall.symlink_to(shutil.which("nft", path=_PATH) or "nft")

    def _prepare_clamav(self) -> None:
        database, sockets = self.root / "var/lib/clamav", self.root / "run/clamav"
        sockets.mkdir(parents=True, exist_ok=True)
        _write(database / "sample.ndb", f"Shieldwall.Sample:0:*:{MARKER.encode().hex()}\n")
        _write(
            self.root / "etc/clamav/clamd.conf",
            "# the sample device's own clamd\n"
            f"LocalSocket {sockets}/clamd.ctl\nPidFile {sockets}/clamd.pid\nDatabaseDirectory {database}\n"
            f"LogFile {sockets}/clamd.log\nLogTime yes\nScanArchive yes\nMaxThreads 2\n",
        )

    def start(self, running: Running, *, namespaced: bool, gateway_port: int) -> None:
        """Start the device's own programs: clamd where it has one, and its way to the gateway."""
        if self.has_clamav:
            self._start_clamd()
        if namespaced:
            self._start_network(running, gateway_port)

    def _start_clamd(self) -> None:
        socket = self.root / "run/clamav/clamd.ctl"
        program = shutil.which("clamd", path=_PATH) or "clamd"
        # Its child says by SIGINT that it is ready; a parent that does not expect that yet dies of it, and all is well.
        run([program, "--config-file", str(self.root / "etc/clamav/clamd.conf")], good=(0, -signal.SIGINT))
        wait_until(f"clamd of {self.name}", socket.exists, seconds=60)

    def stop_clamd(self) -> None:
        """End the device's clamd by the process id it wrote."""
        pid_file = self.root / "run/clamav/clamd.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().strip())
        if Path(f"/proc/{pid}/comm").exists() and Path(f"/proc/{pid}/comm").read_text().strip() == "clamd":
            os.kill(pid, 15)

    def _start_network(self, running: Running, gateway_port: int) -> None:
        if not Path("/run/netns", self.namespace).exists():
            run(["ip", "netns", "add", self.namespace])
        run(["ip", "-n", self.namespace, "link", "set", "lo", "up"])
        meeting = self.home / "gateway.sock"
        gateway = f"tcp:127.0.0.1:{gateway_port}"
        relay = [PYTHON, "-m", "samples.relay"]
        running.start(f"{self.name}-relay-host", [*relay, f"unix:{meeting}", gateway])
        wait_until(f"relay of {self.name}", meeting.exists, seconds=20, running=running)
        running.start(f"{self.name}-relay", ["ip", "netns", "exec", self.namespace, *relay, gateway, f"unix:{meeting}"])

    def remove_network(self) -> None:
        """Remove the namespace, and with it the device's firewall."""
        if Path("/run/netns", self.namespace).exists():
            run(["ip", "netns", "delete", self.namespace])

    def agent(self, *words: str, namespaced: bool) -> list[str]:
        """Say how this device's agent is called."""
        command = [AGENT, *words, "--root", str(self.root), "--state", str(self.state)]
        return ["ip", "netns", "exec", self.namespace, *command] if namespaced else command

    @property
    def is_onboarded(self) -> bool:
        """Whether its agent has an identity from an earlier run."""
        return (self.state / "identity.json").exists()


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def has_program(name: str) -> bool:
    """Tell whether a program is installed, system directories included."""
    return shutil.which(name, path=_PATH) is not None


def _write(path: Path, content: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
