"""One server in several processes of their own: signer, gateways on ports of theirs, behind one name."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ports import free_port
from tests.support.storm_server import SHIELDWALL, StormServer


@dataclass
class Part:
    """``server run`` with some roles."""

    process: subprocess.Popen[bytes]
    port: int = 0
    is_ready: bool = False

    @property
    def child(self) -> int:
        """The process that it started."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(text.split()[0])

    def kill(self) -> None:
        """End the process without warning, as a machine does whose power is cut."""
        os.kill(self.child, signal.SIGKILL)
        self.process.wait(60)


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
    def running(cls, home: Path, database: str, gateways: int) -> Iterator[ScaledServer]:
        """Run a signer and so many gateways; nothing stands in front of them yet."""
        scaled = cls(StormServer.made(home, database))
        try:
            scaled.begin("signer")
            for _ in range(gateways):
                scaled.begin_gateway(free_port())
            scaled.until_ready()
            yield scaled
        finally:
            for part in reversed(scaled.parts):
                if part.process.poll() is None:
                    part.process.terminate()
            for part in scaled.parts:
                part.process.communicate(timeout=60)

    def start_gateway(self, port: int) -> Part:
        """Start a gateway again on its port, and wait until it is ready."""
        part = self.begin_gateway(port)
        self.until_ready()
        return part

    def begin_gateway(self, port: int) -> Part:
        """Start a gateway."""
        part = self.begin("gateway", "--gateway-port", str(port))
        part.port = port
        return part

    def begin(self, role: str, *words: str) -> Part:
        """Start one role; ``until_ready`` waits for it."""
        with self.server.log.open("ab") as log:
            process = subprocess.Popen(
                [str(SHIELDWALL), "server", "run", "--data", str(self.server.settings.data), "--role", role, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self.server.environment,
            )
        self.parts.append(part := Part(process=process))
        return part

    def until_ready(self) -> None:
        """Wait until each part that was started has said that it serves."""
        for part in self.parts:
            if not part.is_ready:
                assert part.process.stdout is not None
                assert part.process.stdout.readline(), f"it did not start\n{self.server.last_lines()}"
                part.is_ready = True
