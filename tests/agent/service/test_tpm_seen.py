"""Where the device key lives, as ``status`` and the doctor tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import HandClock, SimulatedGateway
from tests.support.swtpm import EmulatedTpm, running_tpm

from shieldwall.agent.doctor.model import Check, Severity, Subject
from shieldwall.agent.doctor.tpm_checks import tpm
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.tpm import Tpm
from shieldwall.agent.service import attesting
from shieldwall.agent.service.device_keys import OpenTpm, make_tpm_key
from shieldwall.agent.service.overview import overview
from shieldwall.agent.service.state import AgentState


@dataclass
class Laptop(SimulatedAgent):
    """A device that may have a TPM."""

    open_tpm: OpenTpm | None = None

    @property
    def state(self) -> AgentState:
        return AgentState(directory=self.directory, disk=self.disk, open_tpm=self.open_tpm)

    def examined(self) -> Check:
        subject = Subject(
            host=LocalHost(Path("/")),
            surroundings=self.surroundings,
            network=None,  # type: ignore[arg-type]  # nothing is asked there
            free_bytes=lambda _: 0,
            mode=lambda _: 0,
            running=False,
        )
        (check,) = tpm(subject)
        return check


@pytest.fixture(scope="module")
def chip() -> Iterator[EmulatedTpm]:
    with running_tpm() as running:
        yield running


@pytest.fixture
def laptop(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> Laptop:
    return Laptop(directory=tmp_path / "state", gateway=gateway, clock=clock)


def test_a_machine_without_a_tpm_is_as_good_as_any_other(laptop: Laptop) -> None:
    assert laptop.examined().severity is Severity.OK
    laptop.onboard()

    assert laptop.examined().severity is Severity.OK
    assert overview(laptop.surroundings, running=False).key_protection == "software"


@pytest.mark.swtpm
def test_a_key_in_the_tpm_is_shown_with_the_hash_to_trust_it_by(laptop: Laptop, chip: EmulatedTpm) -> None:
    laptop.open_tpm = chip.open
    laptop.onboard()

    check = laptop.examined()

    offered = attesting.offer(make_tpm_key(chip.open))
    assert offered is not None
    assert check.severity is Severity.OK
    assert offered[1] in check.evidence
    assert "without a certificate" in check.evidence
    assert overview(laptop.surroundings, running=False).key_protection == "tpm"


@pytest.mark.swtpm
def test_a_tpm_that_is_not_used_is_worth_a_warning(laptop: Laptop, chip: EmulatedTpm) -> None:
    laptop.onboard()
    laptop.open_tpm = chip.open

    assert laptop.examined().severity is Severity.WARNING


@pytest.mark.swtpm
def test_a_tpm_that_has_gone_with_the_key_in_it_is_an_error(laptop: Laptop, chip: EmulatedTpm, tmp_path: Path) -> None:
    laptop.open_tpm = chip.open
    laptop.onboard()

    for gone in (None, lambda: Tpm(tmp_path / "nothing")):
        laptop.open_tpm = gone
        check = laptop.examined()
        assert check.severity is Severity.ERROR
        assert check.remedy
    with running_tpm() as other:
        laptop.open_tpm = other.open
        assert laptop.examined().severity is Severity.ERROR


def test_a_tpm_that_does_not_work_is_worth_a_warning_while_nothing_depends_on_it(
    laptop: Laptop, tmp_path: Path
) -> None:
    laptop.open_tpm = lambda: Tpm(tmp_path / "nothing")
    laptop.onboard()

    assert laptop.examined().severity is Severity.WARNING
    assert overview(laptop.surroundings, running=False).key_protection == "software"
