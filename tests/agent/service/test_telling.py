"""What happened on a device reaches its server once, through broken lines, restarts and servers of before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from tests.agent.detections.test_handing import a_detection, a_finding, add_findings
from tests.agent.service.test_loop import HandPause, Life
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.detections.spool import append
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.loop import Loop
from shieldwall.agent.service.telling import FAILED_SECONDS, MOST_BATCHES, PATH, UNKNOWN_SECONDS, Telling
from shieldwall.contract.events import MAX_EVENTS, EventsRequest


@pytest.fixture
def told(laptop: SimulatedAgent) -> Telling:
    """A device that is in, and has a target."""
    laptop.onboard()
    laptop.check_in()
    return laptop.enrolled().telling


def spool(laptop: SimulatedAgent) -> Path:
    return laptop.applier / "events"


def subjects(gateway: SimulatedGateway) -> list[str]:
    return [event.subject for event in gateway.heard.values()]


def calls(laptop: SimulatedAgent) -> int:
    return laptop.network.calls.count(PATH)


def troubles(laptop: SimulatedAgent) -> list[str]:
    return [line["event"] for line in map(json.loads, laptop.log.getvalue().splitlines()) if "code" in line]


def test_what_happened_is_told_once(laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling) -> None:
    append(spool(laptop), [a_detection(1), a_detection(2, threat="Other.Threat")])

    assert told(0.0) == 2
    assert told(60.0) == 0
    assert subjects(gateway) == ["Test.Marker", "Other.Threat"]
    assert calls(laptop) == 1


def test_nothing_to_tell_asks_the_server_nothing(laptop: SimulatedAgent, told: Telling) -> None:
    assert told(0.0) == 0
    assert calls(laptop) == 0


def test_much_is_told_in_parts_and_the_rest_a_minute_later(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    many = MAX_EVENTS * (MOST_BATCHES + 1) + 7
    add_findings(spool(laptop), *(a_finding(number) for number in range(many)))

    assert told(0.0) == MAX_EVENTS * MOST_BATCHES
    assert told(60.0) == MAX_EVENTS + 7
    assert subjects(gateway) == [str(number) for number in range(many)]


def test_an_answer_that_was_lost_is_no_event_twice(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    append(spool(laptop), [a_detection(1)])

    def lose(path: str) -> None:
        if path == PATH:
            raise GatewayUnreachableError("The answer was lost.")

    laptop.network.after = lose
    assert told(0.0) == 0
    laptop.network.after = lambda _path: None
    assert told(1.0) == 0, "it waits a little"
    assert laptop.enrolled().telling(0.0) == 1, "after a restart it does not"

    assert len(gateway.heard) == 1
    assert sum(path == PATH for path, _ in gateway.received) == 2


def test_a_server_of_before_is_asked_again_after_a_day_and_hears_everything_then(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    gateway.hears_events = False
    append(spool(laptop), [a_detection(1)])
    assert told(0.0) == 0
    append(spool(laptop), [a_detection(2)])
    assert told(UNKNOWN_SECONDS - 1) == 0
    assert calls(laptop) == 1
    assert troubles(laptop) == ["eventsNotTold"]

    gateway.hears_events = True
    assert told(UNKNOWN_SECONDS) == 2


def test_while_the_server_is_away_everything_is_kept(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    append(spool(laptop), [a_detection(1)])
    laptop.network.away = True
    told(0.0)
    laptop.network.away = False

    assert told(FAILED_SECONDS) == 1
    assert len(gateway.heard) == 1


def test_one_event_that_is_not_understood_does_not_hold_up_the_others(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    def understands(request: EventsRequest) -> bool:
        return all(event.subject != "2" for event in request.events)

    gateway.understands = understands
    add_findings(spool(laptop), *(a_finding(number) for number in range(4)))
    for minute in range(10):
        told(minute * 60.0)

    assert subjects(gateway) == ["0", "1", "3"]
    assert troubles(laptop) == ["eventNotUnderstood"]


def test_an_applier_that_refuses_is_asked_again_later(laptop: SimulatedAgent, told: Telling) -> None:
    append(spool(laptop), [a_detection(1)])
    (spool(laptop) / ".lock").unlink()
    (spool(laptop) / ".lock").symlink_to("/nowhere/at/all")

    assert told(0.0) == 0
    assert troubles(laptop) == ["eventsNotTold"]
    (spool(laptop) / ".lock").unlink()
    assert told(FAILED_SECONDS) == 1


def test_events_of_a_tenant_that_was_left_are_not_told_to_the_next(
    laptop: SimulatedAgent, gateway: SimulatedGateway, told: Telling
) -> None:
    append(spool(laptop), [a_detection(1)])
    note = spool(laptop) / "told.json"
    note.write_bytes(msgspec.json.encode({"tenant": "11111111-0000-4000-8000-00000000000b", "places": {}}))

    assert told(0.0) == 0
    append(spool(laptop), [a_detection(2, threat="Later.Threat")])
    assert told(60.0) == 1
    assert subjects(gateway) == ["Later.Threat"]


RUNS: Final = 200.0


def test_the_running_agent_tells_within_a_minute(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    laptop.onboard()

    def something_happens() -> None:
        append(spool(laptop), [a_detection(1)])

    pause = HandPause(until=RUNS, at={70.0: something_happens})
    heard: list[float] = []
    hear: Callable[[str], None] = lambda path: heard.append(pause.now) if path == PATH else None  # noqa: E731
    laptop.network.after = hear
    life = Life(laptop, pause)
    enrolled = laptop.enrolled()
    Loop(
        check_in=enrolled.check_in,
        enforcement=enrolled.enforcement,
        policy_sync=enrolled.policy_sync,
        pause=pause,
        monotonic=pause.monotonic,
        chance=lambda: 0.5,
        journal=laptop.surroundings.journal,
        reassemble=laptop.surroundings.enrolled,
        telling=enrolled.telling,
    ).run()

    assert len(gateway.heard) == 1
    assert heard
    assert heard[0] - 70.0 <= 61.0
    assert "eventsTold" in life.events
