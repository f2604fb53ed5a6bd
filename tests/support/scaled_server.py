"""One server in several processes of their own: signer, gateways on ports of theirs, behind one name."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tests.support.ports import free_port
from tests.support.storm_server import SHIELDWALL, StormServer

from shieldwall.contract import strict_json
from shieldwall.server.configuration.roles import Role
from shieldwall.server.configuration.settings import FILE, store
from shieldwall.server.configuration.settings_file import SettingsFile, SignerDoor, SignerPlace
from shieldwall.server.console import hosts
from shieldwall.server.system import SystemClock


@dataclass
class Part:
    """``server run`` with some roles."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int = 0
    is_ready: bool = False

    @property
    def child(self) -> int:
        """The process that it started."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(text.split()[0])

    def kill(self) -> None:
        """End the process without warning, and who would start it again: as a machine does whose power is cut."""
        child = os.pidfd_open(self.child)
        try:
            self.process.kill()
            with suppress(ProcessLookupError):  # it asked to be ended with who started it
                signal.pidfd_send_signal(child, signal.SIGKILL)
            self.process.wait(60)
            assert select.select([child], [], [], 60)[0], "it did not end"
        finally:
            os.close(child)


@dataclass
class ScaledServer:
    """A server whose gateways have one name: that of whatever stands in front of them, at ``port``."""

    server: StormServer
    parts: list[Part] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where devices come to."""
        return self.server.settings.gateway_port

    @classmethod
    @contextmanager
    def running(cls, home: Path, database: str, gateways: int, *, afar: bool = False) -> Iterator[ScaledServer]:
        """Run a signer and so many gateways; nothing stands in front of them yet.

        With ``afar`` the last gateway is on a machine of its own, as far as it can tell: without keys.
        """
        scaled = cls(StormServer.made(home, database))
        places = [scaled.server.settings.data] * gateways
        if afar:
            places[-1] = scaled.furnish_machine(home / "afar")
        try:
            scaled.begin("signer")
            for place in places:
                scaled.begin_gateway(free_port(), place)
            scaled.until_ready()
            yield scaled
        finally:
            for part in reversed(scaled.parts):
                if part.process.poll() is None:
                    part.process.terminate()
            for part in scaled.parts:
                part.process.communicate(timeout=60)

    def furnish_machine(self, out: Path) -> Path:
        """Let another machine take part, and open the door of the signer to it."""
        place, data = SignerPlace(host="127.0.0.1", port=free_port()), self.server.settings.data
        hosts.add_host(self.server.settings, "afar", Role.GATEWAY, signer=place, out=out, now=SystemClock().now())
        file = strict_json.decode((data / FILE).read_bytes(), SettingsFile)
        store(data, msgspec.structs.replace(file, signer_door=SignerDoor(listen=place.host, port=place.port)))
        return out

    def start_gateway(self, ended: Part) -> Part:
        """Start a gateway again that ended, on its machine and its port, and wait until it is ready."""
        part = self.begin_gateway(ended.port, ended.data)
        self.until_ready()
        return part

    def begin_gateway(self, port: int, data: Path) -> Part:
        """Start a gateway."""
        part = self.begin("gateway", "--gateway-port", str(port), data=data)
        part.port = port
        return part

    def begin(self, role: str, *words: str, data: Path | None = None) -> Part:
        """Start one role; ``until_ready`` waits for it."""
        place = data or self.server.settings.data
        with self.server.log.open("ab") as log:
            process = subprocess.Popen(
                [str(SHIELDWALL), "server", "run", "--data", str(place), "--role", role, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self.server.environment,
            )
        self.parts.append(part := Part(process=process, data=place))
        return part

    def until_ready(self) -> None:
        """Wait until each part that was started has said that it serves."""
        for part in self.parts:
            if not part.is_ready:
                assert part.process.stdout is not None
                assert part.process.stdout.readline(), f"it did not start\n{self.server.last_lines()}"
                part.is_ready = True
