"""The agent of a machine with a TPM against the real gateway: both sides as they ship, on both engines."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from tests.support.databases import migrated_database_url
from tests.support.simulated_agent import MemoryEnforcer, MemoryMachine
from tests.support.simulated_applier import pretend_enforcer
from tests.support.swtpm import EmulatedTpm, running_tpm

from shieldwall.agent.host.tpm import Tpm, WrappedKey
from shieldwall.agent.host.tpm_device import TpmError
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.attest_key import AttestKey
from shieldwall.agent.service.device_keys import OpenTpm
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errors import KeyInFileError, ProblemAnswerError, RegistrationPendingError
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.syncing import Sync
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.contract.ids import DeviceId
from shieldwall.server.inventory import endorsements, pending
from shieldwall.trust.onboarding import OnboardingPackage

pytest.importorskip("granian", reason="the server is not installed")

from sqlalchemy import update
from tests.support.gateway_world import GatewayWorld, gateway_world

from shieldwall.server.storage.device_records import AttestationLevel, Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import onboarding_packages

__all__ = ["migrated_database_url"]
pytestmark = pytest.mark.swtpm


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "server", migrated_database_url) as made:
        yield made


@pytest.fixture(scope="module")
def chip() -> Iterator[EmulatedTpm]:
    with running_tpm() as running:
        yield running


@dataclass
class Machine:
    """A machine in front of a server. ``open_tpm`` may be replaced: its TPM then behaves otherwise."""

    world: GatewayWorld
    directory: Path
    open_tpm: OpenTpm | None

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            state=AgentState(directory=self.directory, disk=LocalDisk(), open_tpm=self.open_tpm),
            open_transport=lambda server: HttpsTransport(
                context=tls_context(server.tls_roots), monotonic=time.monotonic, proxy=server.proxy
            ),
            machine=MemoryMachine(),
            enforcer=pretend_enforcer(MemoryEnforcer(), MemoryMachine(), self.directory / "applier", self.world.clock),
            clock=self.world.clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=self.world.clock),
        )

    def package(self, **columns: str) -> OnboardingPackage:
        package = self.world.package()
        if columns:
            with self.world.services.database.write() as connection:
                mine = onboarding_packages.c.id == package.package_id
                connection.execute(update(onboarding_packages).where(mine).values(columns))
        if "attestation" in columns:
            package = msgspec.structs.replace(package, attestation=columns["attestation"])
        return msgspec.structs.replace(package, tls_roots=(self.world.settings.tls_authority.read_text(),))

    def onboard(self, package: OnboardingPackage) -> Identity:
        return self.surroundings.onboard()(package)

    def stored(self, device_id: DeviceId) -> Device:
        with self.world.services.database.read() as connection:
            return devices.get(connection, device_id)


@pytest.fixture
def machine(world: GatewayWorld, tmp_path: Path, chip: EmulatedTpm) -> Machine:
    return Machine(world=world, directory=tmp_path / "device", open_tpm=chip.open)


def test_a_machine_with_a_tpm_onboards_and_checks_in_with_a_key_that_stays_there(machine: Machine) -> None:
    identity = machine.onboard(machine.package())

    machine.surroundings.enrolled().check_in()

    stored = machine.stored(identity.device_id)
    assert stored.attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    assert stored.key_protection == "tpm"
    assert stored.tpm_ek_hash is not None
    assert machine.surroundings.state.find_pending() is None


def test_a_machine_without_one_says_so(machine: Machine) -> None:
    bare = replace(machine, open_tpm=None)

    identity = bare.onboard(bare.package())
    bare.surroundings.enrolled().check_in()

    stored = bare.stored(identity.device_id)
    assert (stored.attestation_level, stored.key_protection) == (AttestationLevel.NONE, "software")


def test_a_tpm_that_is_required_and_unknown_is_named_so_that_it_can_be_trusted(machine: Machine) -> None:
    package = machine.package(attestation="tpm-required")
    with pytest.raises(ProblemAnswerError) as refusal:
        machine.onboard(package)
    assert refusal.value.problem.code == "attestationRequired"
    ek_hash = refusal.value.problem.detail.rpartition(" ")[2].rstrip(".")
    with machine.world.services.database.write() as connection:
        endorsements.trust_tpm(connection, machine.world.acting, display_name="web-01", ek_hash=ek_hash)

    identity = machine.onboard(package)

    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TPM


def test_whoever_needs_approval_asks_again_until_it_has_it(machine: Machine) -> None:
    package = machine.package(approval="manual")
    with pytest.raises(RegistrationPendingError, match="administrator") as waits:
        machine.onboard(package)
    assert exit_code(waits.value) == 12
    assert machine.surroundings.state.find_identity() is None
    with pytest.raises(RegistrationPendingError):
        machine.onboard(package)
    device_id = waits.value.answer.device_id
    with machine.world.services.database.write() as connection:
        pending.approve(connection, machine.world.acting, machine.world.services.signer, device_id)

    identity = machine.onboard(package)

    assert identity.device_id == device_id
    machine.surroundings.enrolled().check_in()


def test_a_tpm_that_fails_in_the_middle_is_asked_again(machine: Machine, chip: EmulatedTpm) -> None:
    class Moody(Tpm):
        """Opens no secrets today."""

        def activate(self, *_: object, **__: object) -> bytes:
            raise TpmError("The TPM is moody.")

    package = machine.package()
    moody = replace(machine, open_tpm=lambda: Moody(chip.path))
    with pytest.raises(TpmError):
        moody.onboard(package)

    identity = machine.onboard(package)

    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE


def test_a_challenge_that_ran_out_is_made_anew(machine: Machine, chip: EmulatedTpm) -> None:
    class Slow(Tpm):
        """Takes its time."""

        def activate(self, *arguments: object, **named: object) -> bytes:
            machine.world.clock.forward(minutes=11)
            return super().activate(*arguments, **named)  # type: ignore[arg-type]  # whatever it was asked

    package = machine.package()
    slow = replace(machine, open_tpm=lambda: Slow(chip.path))
    with suppress(ProblemAnswerError):
        slow.onboard(package)
        pytest.fail("the challenge was answered after its time")

    assert machine.onboard(package).device_id


def test_the_state_of_a_device_is_of_no_use_on_another_machine(machine: Machine) -> None:
    machine.onboard(machine.package())
    with running_tpm() as other:
        copy = replace(machine, open_tpm=other.open)
        with pytest.raises(TpmError):
            copy.surroundings.enrolled().check_in()


def attest(machine: Machine) -> None:
    machine.surroundings.state.wishes.put_attestation()
    machine.surroundings.enrolled().check_in()


def test_a_new_key_is_attested_as_the_first_one_was(machine: Machine) -> None:
    identity = machine.onboard(machine.package())
    before = machine.stored(identity.device_id)
    machine.surroundings.state.wishes.put_rotation()

    machine.surroundings.enrolled().check_in()

    after = machine.stored(identity.device_id)
    assert after.key_thumbprint != before.key_thumbprint
    assert machine.surroundings.state.get_key().protection == "tpm"
    assert after.attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    assert not machine.surroundings.state.wishes.has_attestation()


def test_a_new_key_in_a_file_does_not_inherit_what_was_proven_of_the_old_one(
    machine: Machine, chip: EmulatedTpm
) -> None:
    identity = machine.onboard(machine.package())

    class Broken(Tpm):
        """Makes no keys any more."""

        def make_key(self, *_: object) -> WrappedKey:
            raise TpmError("The TPM is full.")

    broken = replace(machine, open_tpm=lambda: Broken(chip.path))
    broken.surroundings.state.wishes.put_rotation()
    broken.surroundings.enrolled().check_in()
    broken.surroundings.enrolled().check_in()

    stored = machine.stored(identity.device_id)
    assert (stored.attestation_level, stored.key_protection) == (AttestationLevel.NONE, "software")
    assert not broken.surroundings.state.wishes.has_attestation()


def test_whoever_is_trusted_since_counts_when_the_device_attests_anew(machine: Machine) -> None:
    identity = machine.onboard(machine.package(attestation="none"))
    untold = machine.stored(identity.device_id)
    assert (untold.attestation_level, untold.tpm_ek_hash) == (AttestationLevel.NONE, None)

    attest(machine)
    stored = machine.stored(identity.device_id)
    assert stored.attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    assert stored.tpm_ek_hash is not None
    with machine.world.services.database.write() as connection:
        acting = machine.world.acting
        made = endorsements.trust_tpm(connection, acting, display_name="web-01", ek_hash=stored.tpm_ek_hash)
    attest(machine)
    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TPM
    with machine.world.services.database.write() as connection:
        endorsements.distrust(connection, machine.world.acting, made.id)
    attest(machine)
    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE


def test_an_attestation_that_fails_for_now_is_tried_again(machine: Machine, chip: EmulatedTpm) -> None:
    identity = machine.onboard(machine.package(attestation="none"))

    class Moody(Tpm):
        """Opens no secrets today."""

        def activate(self, *_: object, **__: object) -> bytes:
            raise TpmError("The TPM is moody.")

    attest(replace(machine, open_tpm=lambda: Moody(chip.path)))
    assert machine.surroundings.state.wishes.has_attestation()
    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.NONE

    machine.surroundings.enrolled().check_in()

    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE


def test_a_key_in_a_file_is_not_attested_and_the_command_says_so(machine: Machine) -> None:
    bare = replace(machine, open_tpm=None)
    bare.onboard(bare.package())
    lock = StateLock(directory=bare.directory, monotonic=time.monotonic, sleep=time.sleep)
    sync = Sync(surroundings=bare.surroundings, lock=lock, monotonic=time.monotonic, sleep=time.sleep)

    with pytest.raises(KeyInFileError):
        AttestKey(state=bare.surroundings.state, sync=sync)()


def test_the_command_attests_where_no_agent_runs(machine: Machine) -> None:
    identity = machine.onboard(machine.package(attestation="none"))
    lock = StateLock(directory=machine.directory, monotonic=time.monotonic, sleep=time.sleep)
    sync = Sync(surroundings=machine.surroundings, lock=lock, monotonic=time.monotonic, sleep=time.sleep)

    AttestKey(state=machine.surroundings.state, sync=sync)()

    assert machine.stored(identity.device_id).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
