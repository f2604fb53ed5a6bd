"""What a device does whose server has too much to do: it comes when it is told to, and loses nothing by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.agent.service.test_loop import HandPause, Life
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import Request, SimulatedGateway

from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.service.errors import ProblemAnswerError
from shieldwall.agent.service.transport import HttpAnswer
from shieldwall.contract.messages import Problem
from shieldwall.contract.strict_json import encode

NONCE = "cd" * 16


@dataclass
class Overloaded:
    """A gateway that has no time for check-ins, and says when it will."""

    gateway: SimulatedGateway
    retry_after: int = 480
    status: int = 503
    has_time: bool = False
    paths: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> HttpAnswer:
        self.paths.append(request.path)
        if self.has_time or request.path == "/device/v1/time":
            return self.gateway.answer(request)
        problem = Problem(
            type="shieldwall:overloaded",
            title="Service Unavailable",
            status=self.status,
            code="overloaded",
            detail="Too much to do.",
            remedy="",
            request_id="1",
        )
        return HttpAnswer(
            status=self.status,
            content_type="application/problem+json",
            body=encode(problem),
            retry_after_seconds=self.retry_after,
        )

    @property
    def check_ins(self) -> int:
        return self.paths.count("/device/v1/checkin")


@pytest.fixture
def overloaded(laptop: SimulatedAgent, gateway: SimulatedGateway) -> Overloaded:
    laptop.onboard()
    laptop.check_in()
    busy = Overloaded(gateway)
    network: Any = laptop.network
    network.gateway = busy
    return busy


def waiting() -> Unconfirmed:
    return Unconfirmed(nonce=NONCE, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_it_comes_when_it_is_told_to_and_a_little_later_than_others(
    laptop: SimulatedAgent, overloaded: Overloaded, chance: float
) -> None:
    life = Life(laptop, HandPause(until=479.0), chance=chance)
    life.run()
    assert overloaded.check_ins == 1
    assert sum(life.pause.slept) >= 479

    life = Life(laptop, HandPause(until=480 * 1.1 + 1), chance=chance)
    overloaded.paths.clear()
    life.run()
    assert overloaded.check_ins == 2


def test_it_neither_listens_nor_tells_meanwhile(laptop: SimulatedAgent, overloaded: Overloaded) -> None:
    Life(laptop, HandPause(until=470.0)).run()
    assert overloaded.paths == ["/device/v1/checkin"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_change_is_confirmed_although_there_is_no_time_for_a_check_in(
    laptop: SimulatedAgent, overloaded: Overloaded, status: int
) -> None:
    overloaded.status = status
    laptop.enforcer.waiting = waiting()
    life = Life(laptop, HandPause(until=400.0))

    life.run()

    assert not life.laptop.surroundings.enrolled().check_in.prove.is_waiting()
    assert overloaded.paths == ["/device/v1/checkin", "/device/v1/time"], "and comes no sooner for it"


def test_a_refusal_for_another_reason_confirms_nothing(laptop: SimulatedAgent, overloaded: Overloaded) -> None:
    overloaded.status = 401
    laptop.enforcer.waiting = waiting()

    with pytest.raises(ProblemAnswerError):
        laptop.check_in()

    assert laptop.enforcer.waiting is not None
    assert "/device/v1/time" not in overloaded.paths


def test_what_there_was_to_report_is_reported_once_there_is_time(
    laptop: SimulatedAgent, overloaded: Overloaded, gateway: SimulatedGateway
) -> None:
    gateway.assign()
    life = Life(laptop, HandPause(until=1_200.0))
    life.pause.at[400.0] = lambda: setattr(overloaded, "has_time", True)

    life.run()

    assert overloaded.check_ins > 1
    assert laptop.state.standing().failures == 0
    assert laptop.state.standing().trouble is None
