"""A NATS server of a test's own, started with the configuration that ``server push init`` writes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.gateway_world import until
from tests.support.ports import free_port

from shieldwall.contract.clock import Clock
from shieldwall.server.configuration import settings as settings_file
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.configuration.settings_file import PushSettings
from shieldwall.server.push.setting_up import SetUpPush


def with_broker(settings: ServerSettings, clock: Clock) -> ServerSettings:
    """Set up a broker for a server, in ``nats`` of its data directory, at a port of its own."""
    push = PushSettings(url=f"tls://localhost:{free_port()}", per_second=1_000)
    SetUpPush(clock=clock)(settings, push, settings.data / "nats")
    return settings_file.load(settings.data)


@contextmanager
def broker_running(settings: ServerSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the broker that was set up."""
    program = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
    assert program is not None
    assert settings.push is not None
    port = int(settings.push.url.rpartition(":")[2])
    log = (settings.data / "nats" / "log").open("wb")
    configuration = settings.data / "nats" / "nats.conf"
    with log, subprocess.Popen([program, "--config", str(configuration)], stdout=log, stderr=log) as process:
        try:
            until(lambda: _listens(port))
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
