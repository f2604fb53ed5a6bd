"""Waiting to be let in: asked again as often as the server wants, told once, ended by its decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.service.awaiting import AwaitIdentity
from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    NotOnboardedError,
    ProblemAnswerError,
    RegistrationPendingError,
)
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.registration import RegisterRequest


@dataclass
class Patience:
    """Whoever waits: how long each time, and what happens meanwhile."""

    meanwhile: list[Callable[[], None]]
    rested: list[float] = field(default_factory=list)
    told: list[ShieldwallError] = field(default_factory=list)

    def rest(self, seconds: float) -> bool:
        self.rested.append(seconds)
        if not self.meanwhile:
            return False
        self.meanwhile.pop(0)()
        return True


def waiting(laptop: SimulatedAgent, patience: Patience) -> AwaitIdentity:
    return AwaitIdentity(
        onboard=laptop.surroundings.onboard(), rest=patience.rest, tell=patience.told.append, chance=lambda: 0.5
    )


def nothing() -> None:
    pass


def asked(gateway: SimulatedGateway) -> int:
    return len([message for _, message in gateway.received if isinstance(message, RegisterRequest)])


@pytest.fixture
def pending(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    gateway.approves = True
    with pytest.raises(RegistrationPendingError) as waits:
        laptop.onboard()
    assert exit_code(waits.value) == 12
    assert "administrator" in waits.value.cause
    return laptop


def let_in(gateway: SimulatedGateway) -> Callable[[], None]:
    def decide() -> None:
        gateway.approves = False

    return decide


def test_the_same_request_asks_until_somebody_lets_it_in(pending: SimulatedAgent, gateway: SimulatedGateway) -> None:
    patience = Patience([nothing, nothing, let_in(gateway)])

    identity = waiting(pending, patience)()

    assert identity is not None
    assert identity.device_id == gateway.device.id
    assert pending.state.get_identity() == identity
    assert pending.state.find_pending() is None
    assert patience.rested == [60.0] * 3
    assert [type(reason) for reason in patience.told] == [RegistrationPendingError]
    assert asked(gateway) == 1, "one registration, repeated"
    pending.check_in()


def test_onboarding_with_the_same_package_asks_as_well(pending: SimulatedAgent, gateway: SimulatedGateway) -> None:
    with pytest.raises(RegistrationPendingError):
        pending.onboard()
    gateway.approves = False
    assert pending.onboard().device_id == gateway.device.id
    assert asked(gateway) == 1


def test_a_rejected_device_is_told_and_may_come_with_a_new_key(
    pending: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    before = pending.state.get_key().thumbprint
    gateway.rejects = True

    with pytest.raises(ProblemAnswerError) as refusal:
        waiting(pending, Patience([]))()

    assert refusal.value.problem.code == "registrationRejected"
    assert pending.state.find_pending() is None
    with pytest.raises(NotOnboardedError):
        pending.surroundings.onboard().again()
    gateway.rejects = gateway.approves = False
    pending.onboard()
    assert pending.state.get_key().thumbprint != before


def test_a_server_that_is_away_is_asked_more_and_more_seldom(
    pending: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    pending.network.away = True

    def come_back() -> None:
        pending.network.away = False
        gateway.approves = False

    patience = Patience([nothing, nothing, nothing, come_back])
    assert waiting(pending, patience)() is not None
    assert patience.rested == sorted(patience.rested)
    assert patience.rested[0] < patience.rested[-1]
    assert [type(reason) for reason in patience.told] == [GatewayUnreachableError]


def test_whoever_waits_may_give_up_and_nothing_is_lost(pending: SimulatedAgent, gateway: SimulatedGateway) -> None:
    assert waiting(pending, Patience([nothing]))() is None
    assert pending.state.find_pending() is not None
    assert pending.state.find_identity() is None
    gateway.approves = False
    assert waiting(pending, Patience([]))() is not None


def test_a_pending_registration_survives_a_restart_and_json(pending: SimulatedAgent) -> None:
    kept = json.loads((pending.directory / "pending.json").read_bytes())
    assert kept["request"]["JoinType"] == "synthetic"
    assert pending.state.get_pending().request.shieldwall.facts is not None
