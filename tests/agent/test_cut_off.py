"""A firewall change between a device and its server: two real processes, real packets, and a proxy as the only way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.namespaces import Namespace, joined_namespaces
from tests.support.policies import FIREWALL_RULES, RULES, choice, document, firewall_rule, items, number, texts
from tests.support.simulated_gateway import TENANT, RealClock, SimulatedGateway, served
from tests.support.two_processes import TwoProcesses, two_processes, wait_for

from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROXY_PORT = 3128
CONFIRM_SECONDS = 15
LINUX_FIREWALL = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")
PROXY = """
import asyncio, sys
async def copy(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    sink.close()
async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    inward, outward = await asyncio.open_unix_connection(sys.argv[3])
    writer.write(b"HTTP/1.1 200 Connection established\\r\\n\\r\\n")
    await asyncio.gather(copy(reader, outward), copy(inward, writer))
async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass
class Scene:
    device: TwoProcesses
    gateway: SimulatedGateway
    here: Namespace
    there: Namespace

    @property
    def proxy(self) -> str:
        return f"http://{self.there.ipv4}:{PROXY_PORT}"

    @property
    def ruleset(self) -> bytes:
        return self.here.run("nft", "--stateless", "list", "ruleset").stdout

    def is_on_probation(self) -> bool:
        """Say whether the change was carried out to its end and waits to be confirmed."""
        state = json.loads((self.device.applier_state / "state.json").read_bytes())
        return bool((state.get("unconfirmed") or {}).get("committed"))

    def codes(self) -> set[str | None]:
        report = self.gateway.device.report
        return set() if report is None else {status.code for status in report.settings}


@contextmanager
def started(*words: str) -> Iterator[None]:
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    gateway = SimulatedGateway(clock=RealClock())
    with served(gateway, tmp_path) as url, joined_namespaces() as (here, there):
        port = url.rpartition(":")[2]
        relay = tmp_path / "relay.sock"
        enter = ("ip", "netns", "exec")
        with (
            started(sys.executable, "-m", "samples.relay", f"unix:{relay}", f"tcp:127.0.0.1:{port}"),
            started(*enter, there.name, sys.executable, "-c", PROXY, there.ipv4, str(PROXY_PORT), str(relay)),
            two_processes(*enter, here.name) as device,
        ):
            wait_for(relay.exists)
            device.give(gateway.package_bytes())
            nft = device.root / "usr/sbin/nft"
            nft.parent.mkdir(parents=True)
            nft.symlink_to("/usr/sbin/nft")
            yield Scene(device=device, gateway=gateway, here=here, there=there)


def closed(*open_ports: int) -> tuple[PolicyDocument, ...]:
    """Nothing goes out but to the server, which is not where packets of this device go, and to these ports."""
    default = choice("linux_shieldwall_firewall_public_defaultoutboundaction", "_block")
    profile = document(
        1,
        choice("linux_shieldwall_firewall_public_enablefirewall", "_true", default),
        number("linux_shieldwall_firewall_global_confirmseconds", CONFIRM_SECONDS),
        template=LINUX_FIREWALL,
    )
    rules = [
        firewall_rule(
            f"to port {port}",
            "allow",
            choice(f"{RULES}_item_direction", "_out"),
            choice(f"{RULES}_item_protocol", "_tcp"),
            texts(f"{RULES}_item_remoteports", str(port)),
        )
        for port in open_ports
    ]
    made = (profile, document(2, items(RULES, *rules), template=FIREWALL_RULES)) if rules else (profile,)
    return tuple(replace(each, tenant_id=TENANT) for each in made)


def test_a_change_that_cuts_the_device_off_goes_back_by_itself_and_the_server_hears_of_it(scene: Scene) -> None:
    with scene.device.applier():
        done = scene.device("onboard", "--proxy", scene.proxy, str(scene.device.package))
        assert done.returncode == 0, done.stderr
        with scene.device.agent():
            scene.gateway.assign(*(scene.gateway.publish(policy) for policy in closed()))
            scene.gateway.request_sync()
            wait_for(lambda: b"drop" in scene.ruleset)
            told = len(scene.gateway.received)
            wait_for(lambda: b"drop" not in scene.ruleset)
            wait_for(lambda: "connectivityRollback" in scene.codes())

            assert len(scene.gateway.received) > told
            assert "revertedUnconfirmed" in scene.device.applier_log()
            assert "changeConfirmed" not in scene.device.agent_log()


def test_a_change_that_leaves_the_way_open_is_confirmed_and_stays(scene: Scene) -> None:
    with scene.device.applier():
        scene.device("onboard", "--proxy", scene.proxy, str(scene.device.package))
        with scene.device.agent():
            scene.gateway.assign(*(scene.gateway.publish(policy) for policy in closed(PROXY_PORT)))
            scene.gateway.request_sync()
            wait_for(lambda: "changeConfirmed" in scene.device.agent_log())
            wait_for(lambda: scene.codes() and "unconfirmed" not in scene.codes())

            times = [number for number, (path, _) in enumerate(scene.gateway.received) if path == "/device/v1/time"]
            checkins = [number for number, (path, _) in enumerate(scene.gateway.received) if path.endswith("checkin")]
            assert len(times) == 1
            assert any(number < times[0] for number in checkins[1:]), "a check-in over the new firewall came first"
            assert b"drop" in scene.ruleset


def test_a_dead_agent_confirms_nothing(scene: Scene) -> None:
    with scene.device.applier():
        scene.device("onboard", "--proxy", scene.proxy, str(scene.device.package))
        with scene.device.agent() as agent:
            scene.gateway.assign(*(scene.gateway.publish(policy) for policy in closed()))
            scene.gateway.request_sync()
            wait_for(lambda: b"drop" in scene.ruleset)
            agent.kill()
        wait_for(lambda: b"drop" not in scene.ruleset)


def test_a_restart_of_the_applier_within_the_window_takes_the_change_back(scene: Scene) -> None:
    with scene.device.applier() as applier:
        scene.device("onboard", "--proxy", scene.proxy, str(scene.device.package))
        with scene.device.agent() as agent:
            scene.gateway.assign(*(scene.gateway.publish(policy) for policy in closed()))
            scene.gateway.request_sync()
            wait_for(scene.is_on_probation)  # what a crash breaks off before that is tried again, in a new window
            assert b"drop" in scene.ruleset
            agent.kill()
            applier.kill()
            applier.wait()
        with scene.device.applier():
            assert b"drop" not in scene.ruleset, "before it is ready again"
