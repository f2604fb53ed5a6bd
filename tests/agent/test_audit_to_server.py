"""From what somebody does on a device to what an administrator sees: real kernel, reader, agent and server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.service.test_real_gateway import surroundings
from tests.agent.service.test_real_gateway import world as world_fixture
from tests.providers.test_audit_real_kernel import auditctl
from tests.providers.test_audit_real_kernel import kernel as kernel_fixture
from tests.support.audit_scene import ON, choices, name, watch
from tests.support.gateway_world import GatewayWorld
from tests.support.hardening import apply, catalog
from tests.support.real_agent import package_of

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.audit import AuditProvider
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.server.manager import device_events
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.records import Page

__all__ = ["surroundings"]
kernel = kernel_fixture
world = world_fixture
PATIENCE_SECONDS = 30


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program that reads, with the applier's spool."""
    spool = tmp_path / "applier" / "events"
    command = [sys.executable, "-m", "shieldwall.agent.edr", "--spool", str(spool), "--no-own"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "listening\n"
        yield running
        running.terminate()
        assert running.wait(10) == 0


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel", "reader")
def test_what_somebody_does_on_a_device_is_seen_by_an_administrator(
    world: GatewayWorld, surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings.onboard()(package_of(world))
    enrolled = surroundings.enrolled()
    enrolled.check_in()
    host = LocalHost(tmp_path / "root", program_directories=[Path("/usr/sbin")])
    keys = tmp_path / "home/.ssh"
    keys.mkdir(parents=True)
    wanted: Desired = {
        **ON,
        **choices(packs_execution="all"),
        name("watches"): (watch(f"{keys}/", "write", "attributes", key="keys"),),
    }
    rendered = apply(host, AuditProvider(catalog()), wanted)
    assert "shieldwall_edr_watch_keys" in auditctl("-l")

    script = f"echo ssh-ed25519 AAAA > {keys}/authorized_keys; exec bash -c ': /dev/tcp/203.0.113.9/4444'"
    subprocess.run(["bash", "-c", script], check=False)
    deadline, told = time.monotonic() + PATIENCE_SECONDS, 0
    seen: dict[str, Any] = {}
    while time.monotonic() < deadline and not {"edr.sshKeyChanged", "edr.reverseShell"} <= seen.keys():
        told += enrolled.telling(0.0)
        with world.services.database.read() as connection:
            found = device_events.list_events(connection, world.services.tenant.id, Page(size=500))
        seen = {each.kind: each for each in found}
        time.sleep(0.2)
    apply(host, AuditProvider(catalog()), {}, dict(rendered.kept))

    assert told >= 2
    assert seen["edr.sshKeyChanged"].subject == f"{keys}/authorized_keys"
    assert seen["edr.sshKeyChanged"].device_id == surroundings.state.get_identity().device_id
    assert "/dev/tcp/203.0.113.9/4444" in seen["edr.reverseShell"].details
    with world.services.database.read() as connection:
        raised = {alert.kind: alert for alert in alerts.newest_open(connection, world.services.tenant.id, 100)}
    assert raised["edr.reverseShell"].severity.value == "high"
    assert raised["edr.reverseShell"].device_id == surroundings.state.get_identity().device_id
