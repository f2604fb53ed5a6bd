"""The agent against the real gateway: a full join, a certificate of another directory, waiting, and becoming it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import migrated_database_url
from tests.support.other_directory import OtherDirectory, a_key
from tests.support.samples import device_id

from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.errors import ProblemAnswerError, RegistrationPendingError
from shieldwall.agent.service.exit_codes import exit_code

pytest.importorskip("granian", reason="the server is not installed")

from tests.support.gateway_world import START, GatewayWorld, gateway_world
from tests.support.real_agent import package_of, surroundings_in

from shieldwall.server.directory import registrations
from shieldwall.server.directory.registrations import RegistrationDraft
from shieldwall.server.inventory import pending
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, Registration
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.records import Page

__all__ = ["migrated_database_url"]
FULL = device_id(77)


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "server", migrated_database_url) as running:
        yield running


@pytest.fixture
def agent(world: GatewayWorld, tmp_path: Path) -> Surroundings:
    return surroundings_in(world, tmp_path)


def fleet(world: GatewayWorld) -> tuple[Device, ...]:
    with world.services.database.read() as connection:
        return devices.list_devices(connection, world.settings.tenant_id, Page())


def named(agent: Surroundings, directory: Path, kind: str) -> None:
    """Name certificate and key of another directory to the agent."""
    holder = OtherDirectory(START).holder(FULL, key=a_key(kind))
    directory.mkdir()
    (directory / "cert.pem").write_text(holder.pem)
    (directory / "key.pem").write_bytes(holder.key_pem)
    agent.existing.use_files(directory / "cert.pem", directory / "key.pem")


def imported(world: GatewayWorld, agent: Surroundings, **changes: Any) -> None:
    holding = agent.existing.find(world.settings.tenant_id)
    assert holding is not None
    draft = RegistrationDraft(device_id=FULL, display_name="x", certificate=holding.certificate, **changes)
    with world.services.database.write() as connection:
        registrations.import_registration(connection, world.acting, draft)


def test_a_synthetic_device_joins_and_becomes_what_it_joined_as(world: GatewayWorld, agent: Surroundings) -> None:
    package = package_of(world, join_type="full")
    agent.onboard()(package)
    agent.enrolled().check_in()

    join = agent.join()(package)
    assert agent.enrolled().check_in().promoted
    agent.enrolled().check_in()

    (device,) = fleet(world)
    assert (device.id, device.registration, device.trust_type) == (join.device_id, Registration.FULL, "AzureAd")
    assert device.key_thumbprint == agent.state.get_key().thumbprint
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device.id).last_check_in == world.clock.now()

    agent.enrolled().offboard()
    assert agent.onboard()(package).device_id == join.device_id
    agent.enrolled().check_in()


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_a_registration_of_another_directory_is_used_once_it_is_imported(
    world: GatewayWorld, agent: Surroundings, tmp_path: Path, kind: str
) -> None:
    agent.onboard()(package_of(world))
    named(agent, tmp_path / "other", kind)
    agent.enrolled().check_in()
    assert agent.state.get_identity().registration == "synthetic", "the directory does not know it yet"

    imported(world, agent)
    assert agent.enrolled().check_in().promoted
    agent.enrolled().check_in()

    (device,) = fleet(world)
    assert (device.id, device.registration) == (FULL, Registration.FULL)


def test_a_registration_that_another_manager_owns_leaves_the_machine_alone(
    world: GatewayWorld, agent: Surroundings, tmp_path: Path
) -> None:
    named(agent, tmp_path / "other", "rsa")
    imported(world, agent, manager="MDM")

    with pytest.raises(ProblemAnswerError, match="managedElsewhere") as refusal:
        agent.onboard()(package_of(world))

    assert exit_code(refusal.value) == 3
    assert "stays passive" in refusal.value.advice
    assert agent.state.find_identity() is None
    assert fleet(world) == ()


def test_a_device_that_waits_is_let_in(world: GatewayWorld, agent: Surroundings) -> None:
    package = package_of(world, approval="manual")
    with pytest.raises(RegistrationPendingError):
        agent.onboard()(package)
    with pytest.raises(RegistrationPendingError):
        agent.onboard().again()

    (waiting,) = fleet(world)
    with world.services.database.write() as connection:
        pending.approve(connection, world.acting, world.services.signer, waiting.id)

    assert agent.onboard().again().device_id == waiting.id
    agent.enrolled().check_in()


def test_a_wiped_machine_waits_beside_its_former_self(world: GatewayWorld, agent: Surroundings) -> None:
    package = package_of(world)
    first = agent.onboard()(package)
    agent.state.forget()

    with pytest.raises(RegistrationPendingError, match="same hardware"):
        agent.onboard()(package)

    second = next(each for each in fleet(world) if each.id != first.device_id)
    with world.services.database.write() as connection:
        pending.approve(connection, world.acting, world.services.signer, second.id, replaces=True)
    assert agent.onboard()(package).device_id == second.id
    agent.enrolled().check_in()
