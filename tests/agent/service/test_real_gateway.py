"""The agent against the real gateway, over real TLS: both sides as they ship, only the clock is set by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.errors import NotOnboardedError, ProblemAnswerError
from shieldwall.agent.service.overview import overview
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.ids import SettingId
from shieldwall.contract.messages import MAX_CHECK_IN_BYTES
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import encode
from shieldwall.trust import moments

pytest.importorskip("granian", reason="the server is not installed")

from tests.support.gateway_requests import publish
from tests.support.gateway_world import GatewayWorld, HandClock, gateway_world
from tests.support.real_agent import package_of, surroundings_in

from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.manager.enforcement_scope import save_scope


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "server") as running:
        yield running


@pytest.fixture
def surroundings(world: GatewayWorld, tmp_path: Path) -> Surroundings:
    return surroundings_in(world, tmp_path)


def test_agent_and_gateway_understand_each_other(world: GatewayWorld, surroundings: Surroundings) -> None:
    identity = surroundings.onboard()(package_of(world))
    enrolled = surroundings.enrolled()

    settled = enrolled.check_in()
    assert surroundings.state.standing().last_check_in is not None
    assert surroundings.state.standing().trouble is None
    assert 300 <= settled.next_check_in_seconds <= 21_600
    world.clock.forward(minutes=10)
    assert enrolled.check_in().rounds == 1, "nothing new, one request"

    assert enrolled.policy_sync.wait(1) in {Wake.TIME, None}

    world.clock.forward(days=2)
    measured = enrolled.check_in.ask_signed_time.measure()
    assert abs(measured.total_seconds()) <= 1

    enrolled.offboard(reason="retired")
    assert identity.server.tenant_id == world.settings.tenant_id
    with pytest.raises(NotOnboardedError):
        surroundings.enrolled()


def test_the_agent_shows_the_enrollment_that_the_server_decided(
    world: GatewayWorld, surroundings: Surroundings
) -> None:
    def shown() -> tuple[int, bool]:
        enrollment = overview(surroundings, running=True).enrollment
        return enrollment.code, enrollment.told

    surroundings.onboard()(package_of(world))
    assert shown() == (2, False), "nobody has said anything yet"
    for scope, code in (
        (EnforcementScope(), 1),
        (EnforcementScope(is_allowed=False), 8),
        (EnforcementScope(linux=Coverage.TAGGED), 2),
        (EnforcementScope(), 1),
    ):
        with world.services.database.write() as connection:
            save_scope(connection, world.acting, scope)
        surroundings.enrolled().check_in()

        assert shown() == (code, True)
        assert surroundings.enrolled().check_in().rounds == 1, "both hold the same"


def test_a_report_that_an_older_agent_kept_and_could_never_send_is_cut_and_taken(
    world: GatewayWorld, surroundings: Surroundings
) -> None:
    surroundings.onboard()(package_of(world))
    paths = [f"/srv/{number:04}/" + "deep/" * 70 for number in range(600)]
    every = tuple(
        SettingStatus(
            setting=SettingId(f"exclusions_{number}"), state=SettingState.SUCCEEDED, value=paths, read_back=paths
        )
        for number in range(4)
    )
    too_long = StatusReport(settings=every)
    assert len(encode(too_long)) > MAX_CHECK_IN_BYTES
    surroundings.state.put_report(too_long)

    surroundings.enrolled().check_in()

    assert surroundings.state.standing().trouble is None
    assert surroundings.state.standing().acknowledged_status is not None


def with_a_clock_of_its_own(surroundings: Surroundings, world: GatewayWorld) -> tuple[Surroundings, HandClock]:
    local = HandClock(world.clock.now())
    return replace(surroundings, clock=local), local


def test_a_clock_that_is_off_is_put_right_by_the_gateway(world: GatewayWorld, surroundings: Surroundings) -> None:
    surroundings.onboard()(package_of(world))
    here, local = with_a_clock_of_its_own(surroundings, world)
    local.forward(hours=5)

    here.enrolled().check_in()

    assert here.state.time().offset_seconds == pytest.approx(-5 * 3_600, abs=2)


@pytest.mark.parametrize("days", [20, 200, 2_000], ids="{}Days".format)
def test_a_server_whose_clock_was_ahead_gets_its_devices_back(
    world: GatewayWorld, surroundings: Surroundings, days: int
) -> None:
    surroundings.onboard()(package_of(world))
    here, local = with_a_clock_of_its_own(surroundings, world)
    here.enrolled().check_in()
    world.clock.forward(days=days)
    publish(world)
    with contextlib.nullcontext() if days < 400 else pytest.raises(ProblemAnswerError, match="certificate"):
        here.enrolled().check_in()
        assert here.state.time().floor == moments.write(world.clock.now())
    world.clock.forward(days=-days, hours=1)
    local.forward(hours=1)

    here.enrolled().check_in()

    assert here.state.standing().trouble is None
    assert abs(here.trusted_clock.now() - world.clock.now()) <= timedelta(seconds=2)
