from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import HandClock, SimulatedGateway


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def gateway(clock: HandClock) -> SimulatedGateway:
    return SimulatedGateway(clock=clock)


@pytest.fixture
def laptop(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> SimulatedAgent:
    return SimulatedAgent(directory=tmp_path / "state", gateway=gateway, clock=clock)
