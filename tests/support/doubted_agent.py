"""An applier that believes nothing, and an agent beside it that is whatever a test wants it to be."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.simulated_agent import MemoryEnforcer, SimulatedAgent, a_policy
from tests.support.simulated_gateway import TENANT, HandClock, SimulatedDevice, SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.authority import Claim, claim_text
from shieldwall.agent.applier.pin import Authority
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import Standing
from shieldwall.agent.service.proving import authority_of
from shieldwall.contract.ids import DeviceId, SettingId
from shieldwall.contract.messages import Envelope, Protection, TimeStatement
from shieldwall.contract.strict_json import encode
from shieldwall.trust import moments, payload_types, strict_base64
from shieldwall.trust.device_key import DeviceKey, SigningKey, public_key_bytes
from shieldwall.trust.dsse import seal

ROOT, AGENT = Asker(uid=0), Asker(uid=64_000)
FIREWALL = SettingId("firewall")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def gateway(clock: HandClock) -> SimulatedGateway:
    return SimulatedGateway(clock=clock)


@pytest.fixture
def laptop(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> SimulatedAgent:
    """An onboarded device whose applier obeys the tenant, knows its name, and enforces one policy."""
    laptop = SimulatedAgent(
        directory=tmp_path / "state", gateway=gateway, clock=clock, enforcer=MemoryEnforcer(own={FIREWALL: "off"})
    )
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on"}
    return laptop


def manifest(gateway: SimulatedGateway) -> Envelope:
    return gateway.manifest(gateway.device)


def policies(gateway: SimulatedGateway) -> tuple[Envelope, ...]:
    return tuple(gateway.policies[item.digest] for item in gateway.device.items)


def apply(laptop: SimulatedAgent, envelope: Envelope, *given: Envelope, asker: Asker = AGENT) -> protocol.Answer:
    return laptop.desk(protocol.Apply(manifest=envelope, policies=given), asker)


def claim(key: SigningKey, device_id: str, *, nonce: str, signer: SigningKey | None = None) -> Claim:
    text = claim_text(TENANT, DeviceId(device_id), key.thumbprint, nonce)
    return Claim(
        id=DeviceId(device_id),
        public_key=strict_base64.encode(public_key_bytes(key.public_key)),
        nonce=nonce,
        signature=strict_base64.encode((signer or key).sign(text)),
    )


def standing(laptop: SimulatedAgent) -> Standing:
    answer = laptop.desk(protocol.Look(), AGENT)
    assert isinstance(answer, Standing)
    return answer


def authority(laptop: SimulatedAgent) -> Authority:
    return authority_of(laptop.state.get_identity().server)


def signed_time(
    gateway: SimulatedGateway, nonce: str, *, ahead: timedelta = timedelta(), key: str = "time"
) -> Envelope:
    time = moments.write(gateway.clock.now() + ahead)
    return seal(encode(TimeStatement(tenant_id=TENANT, nonce=nonce, time=time)), payload_types.TIME, gateway.keys[key])


OTHER = DeviceId("00000000-0000-4000-8000-0000000000ff")
PROTECTED = Protection(tamper=True)
OPEN = Protection(tamper=True, troubleshooting_until="2030-01-01T00:00:00Z")


def other_device(laptop: SimulatedAgent, protection: Protection = PROTECTED) -> SimulatedDevice:
    """Claim to be another device of the tenant, whose key whoever owns the agent has."""
    key, desk = DeviceKey.generate(), laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    desk(protocol.Adopt(claim=claim(key, OTHER, nonce=look.nonce)), AGENT)
    return dataclasses.replace(laptop.gateway.device, id=OTHER, key=key.public_key, protection=protection)
