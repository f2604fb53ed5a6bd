"""One device from its package to its removal, on a machine that boots: what an administrator would see."""

from __future__ import annotations

import pytest
from tests.machine.conftest import ONBOARDING, World, eventually

pytestmark = [pytest.mark.root, pytest.mark.machine, pytest.mark.timeout(900)]


def test_the_package_brings_two_services_that_wait(world: World) -> None:
    assert world.machine.is_active("shieldwall-applier.service")
    assert not world.machine.is_active("shieldwall-agent.service")
    assert "not onboarded" in world.machine.run("shieldwall-agent", "status").stdout


def test_onboarding_starts_the_agent_by_itself(world: World) -> None:
    world.machine.run("shieldwall-agent", "onboard", ONBOARDING, "--wait", check=True)

    eventually(lambda: world.machine.is_active("shieldwall-agent.service"), what="the agent runs")
    eventually(
        lambda: [each["deviceName"] for each in world.office.listed("device", "list")] == ["server-01"],
        what="the server knows it",
    )
