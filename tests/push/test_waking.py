"""A real broker, a real gateway, the agent's own line: whoever is asked to come hears of it within seconds."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import nats
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry
from tests.support.gateway_world import GatewayWorld, HandClock, gateway_world, until
from tests.support.nats_broker import broker_running, with_broker
from tests.support.simulated_agent import MemoryEnforcer, MemoryMachine
from tests.support.simulated_applier import pretend_enforcer

from shieldwall.agent.journal import Journal
from shieldwall.agent.main import broker_lines
from shieldwall.agent.service.assembly import Enrolled, Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import HardwareIds
from shieldwall.server.manager import sync
from shieldwall.server.push import key_files
from shieldwall.server.push.tokens import device_token, publisher_token, subject_of
from shieldwall.server.push.waking import PushMeasures, Waking
from shieldwall.trust.nkeys import KeyUse, name_of

pytestmark = pytest.mark.nats


@dataclass
class AnyMachine(MemoryMachine):
    """A machine that is nobody else's."""

    def hardware(self, _tenant_id: TenantId) -> HardwareIds:
        return HardwareIds()


@dataclass
class Fleet:
    """A server with a broker, and devices that wait."""

    world: GatewayWorld
    home: Path
    registry: CollectorRegistry

    def device(self, name: str) -> Enrolled:
        authority = self.world.settings.tls_authority.read_text()
        surroundings = Surroundings(
            state=AgentState(directory=self.home / name, disk=LocalDisk()),
            open_transport=lambda server: HttpsTransport(
                context=tls_context(server.tls_roots), monotonic=time.monotonic, proxy=server.proxy
            ),
            machine=AnyMachine(),
            enforcer=pretend_enforcer(
                MemoryEnforcer(), MemoryMachine(), self.home / f"{name}-applier", self.world.clock
            ),
            clock=self.world.clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=self.world.clock),
            lines_to=broker_lines,
        )
        surroundings.onboard()(msgspec.structs.replace(self.world.package(), tls_roots=(authority,)))
        enrolled = surroundings.enrolled()
        enrolled.check_in()
        return enrolled

    def ask(self, *ids: DeviceId) -> None:
        with self.world.services.database.write() as connection:
            assert sync.request_sync(connection, ids, self.world.clock.now()) == len(ids)

    @property
    def woken(self) -> float:
        return self.registry.get_sample_value("shieldwall_push_woken_total") or 0.0

    @property
    def is_connected(self) -> bool:
        return self.registry.get_sample_value("shieldwall_push_connected") == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    clock = HandClock(datetime.now(UTC))  # the broker looks at the machine's own
    home = tmp_path_factory.mktemp("push")
    with gateway_world(home / "data", clock=clock, prepared=lambda settings: with_broker(settings, clock)) as made:
        yield made


@pytest.fixture
def fleet(world: GatewayWorld, tmp_path: Path) -> Fleet:
    return Fleet(world, tmp_path, CollectorRegistry())


@contextmanager
def waking(fleet: Fleet) -> Iterator[None]:
    """Wake devices, as the admin process does."""
    settings = fleet.world.settings
    assert settings.push is not None
    wakes = Waking(
        push=settings.push,
        account=key_files.load_account(settings.push_keys),
        context=ssl.create_default_context(cafile=str(settings.tls_authority)),
        database=fleet.world.services.database,
        clock=fleet.world.clock,
        measures=PushMeasures(fleet.registry),
        sleep=lambda seconds: asyncio.sleep(min(seconds, 0.05)),
    )
    loop = asyncio.new_event_loop()
    task = loop.create_task(wakes.run())
    thread = Thread(target=loop.run_until_complete, args=(asyncio.gather(task, return_exceptions=True),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)
        loop.close()


def test_a_device_hears_that_it_is_asked_and_nobody_else_does(fleet: Fleet) -> None:
    with broker_running(fleet.world.settings):
        one, other = fleet.device("one"), fleet.device("other")
        assert (one.policy_sync.wait(1), other.policy_sync.wait(1)) == (Wake.TIME, Wake.TIME)
        assert fleet.world.gateway.channels.count == 0, "whoever has a line takes none of the gateway's"
        with waking(fleet):
            until(lambda: fleet.is_connected)
            fleet.ask(one.identity.device_id)

            assert one.policy_sync.wait(20) is Wake.SYNC
            assert other.policy_sync.wait(1) is Wake.TIME
            one.check_in()
            assert one.policy_sync.wait(1) is Wake.TIME
        for each in (one, other):
            each.policy_sync.close()


def test_who_was_asked_while_the_broker_was_away_is_woken_when_it_is_back(fleet: Fleet) -> None:
    with waking(fleet):
        with broker_running(fleet.world.settings):
            device = fleet.device("one")
            assert device.policy_sync.wait(1) is Wake.TIME
            until(lambda: fleet.is_connected)
        until(lambda: not fleet.is_connected)
        fleet.ask(device.identity.device_id)
        line = device.policy_sync.line
        assert line is not None
        line.close()
        line._again_at = 0.0
        with broker_running(fleet.world.settings):
            assert device.policy_sync.wait(1) in {Wake.TIME, Wake.SYNC}
            until(lambda: fleet.woken >= 1)
        device.policy_sync.close()


def test_without_its_broker_a_device_waits_on_the_gateways_own_line(fleet: Fleet) -> None:
    device = fleet.device("one")
    fleet.ask(device.identity.device_id)

    assert device.policy_sync.wait(5) is Wake.SYNC
    device.check_in()
    assert device.policy_sync.line is not None
    assert device.policy_sync.line._line is None


@contextmanager
def _running_loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def connected(world: GatewayWorld, token: str, key: Ed25519PrivateKey, trust: Path | None = None) -> Any:
    assert world.settings.push is not None

    async def ignored(_: Exception) -> None:
        pass

    return await nats.connect(
        world.settings.push.url,
        tls=ssl.create_default_context(cafile=str(trust or world.settings.tls_authority)),
        user_jwt_cb=lambda: bytearray(token.encode()),
        signature_cb=lambda nonce: base64.b64encode(key.sign(nonce.encode())),
        allow_reconnect=False,
        error_cb=ignored,
    )


def test_a_token_lets_its_device_listen_to_its_own_subject_and_do_nothing_else(fleet: Fleet) -> None:
    world, now = fleet.world, datetime.now(UTC)
    account = key_files.load_account(world.settings.push_keys)
    key = Ed25519PrivateKey.generate()
    name = name_of(KeyUse.USER, key.public_key())
    mine, theirs = (subject_of(world.settings.tenant_id, DeviceId(letter * 8)) for letter in "ab")
    token = device_token(account, name, mine, now)

    async def refused(token: str, key: Ed25519PrivateKey) -> bool:
        try:
            await (await connected(world, token, key)).close()
        except NatsError:
            return True
        return False

    async def story() -> None:
        publisher_key = Ed25519PrivateKey.generate()
        publishing = publisher_token(account, name_of(KeyUse.USER, publisher_key.public_key()), now)
        publisher = await connected(world, publishing, publisher_key)

        for subject in (theirs, "shieldwall.>", ">", f"{mine}.more"):
            device = await connected(world, token, key)
            heard = await device.subscribe(subject)
            await device.flush()
            for each in (theirs, f"{mine}.more"):
                await publisher.publish(each, b"")
            await publisher.flush()
            with pytest.raises(NatsError):
                await heard.next_msg(timeout=0.3)
            assert "permissions violation" in str(device.last_error).lower()
            await device.close()

        device = await connected(world, token, key)
        heard = await device.subscribe(mine)
        await device.flush()
        await device.publish(mine, b"")  # it may not wake, not even itself
        await device.flush()
        with pytest.raises(NatsError):
            await heard.next_msg(timeout=0.3)
        await publisher.publish(mine, b"")
        assert (await heard.next_msg(timeout=10)).data == b""
        await device.close()
        await publisher.close()

        assert await refused(token, Ed25519PrivateKey.generate()), "the key is another one"
        assert await refused(device_token(account, name, mine, now - timedelta(days=2)), key), "it is over"
        assert await refused(device_token(Ed25519PrivateKey.generate(), name, mine, now), key), "nobody vouches for it"
        assert await refused("e30.e30.e30", key)

    with broker_running(world.settings), _running_loop() as runner:
        runner.run(story())


def test_a_server_without_a_broker_says_so(tmp_path: Path) -> None:
    with gateway_world(tmp_path / "data") as world:
        device = Fleet(world, tmp_path, CollectorRegistry()).device("one")
        assert device.policy_sync.wait(1) in {Wake.TIME, None}
        line = device.policy_sync.line
        assert line is not None
        assert line._line is None
        assert line._again_at > time.monotonic() + 80_000, "a day later it asks again"
