"""Registrations that show a TPM, on both engines. The TPM is made of software keys, so that it can also lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace as replaced
from tests.support.enrolment import Newcomer, body_digest
from tests.support.office import Office
from tests.support.pretend_tpm import PretendTpm
from tests.support.samples import TENANT_ID, a_package, counted_id, package_id
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import PROTOCOL, HardwareIds
from shieldwall.contract.registration import (
    AttestationOffer,
    AttestRequest,
    OnboardingProof,
    PendingAnswer,
    RegisterAnswer,
    RegisterRequest,
    RegistrationDetails,
)
from shieldwall.server.directory import groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.inventory import endorsements, pending
from shieldwall.server.inventory.attestation import (
    CHALLENGE_LIFETIME,
    AttestationRequiredError,
    NoOpenChallengeError,
)
from shieldwall.server.inventory.attested import attested
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding, read_certificate_request
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import device_states, devices
from shieldwall.server.storage.devices.device_states import Credential
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.onboarding import attestation_challenges, packages
from shieldwall.server.storage.tenants import trusted_authorities
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind, TrustedAuthority
from shieldwall.trust import strict_base64
from shieldwall.trust.attestation import AttestationFailedError, AttestationMismatchError, UnsuitableTpmKeyError
from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.endorsement import BadEndorsementAuthorityError, endorsement_hash
from shieldwall.trust.tpm import DEVICE_KEY, Attribute


@dataclass
class Gate:
    """A server's registration with one package, and a machine with a TPM in front of it."""

    database: Database
    office: Office
    onboarding: Onboarding
    signer: SignerService

    def package(self, **changes: Any) -> None:
        with self.database.write() as connection:
            packages.add(connection, a_package(**changes))

    def request(
        self, machine: PretendTpm, *, offer: AttestationOffer | None = None, hardware: HardwareIds | None = None
    ) -> RegisterRequest:
        newcomer = Newcomer(package_id=package_id(1), secret=a_package().key, key=machine.device_key)
        details = RegistrationDetails(
            instance_id="0" * 32,
            hardware=hardware or HardwareIds(),
            agent_version="0.1.0",
            protocol=PROTOCOL,
            onboarding=OnboardingProof(package_id=package_id(1), mac=""),
            attestation=offer,
        )
        nonce = self.onboarding.sealer.seal(TENANT_ID, self.office.clock.now())
        return newcomer.asks(nonce, shieldwall=details)

    def asks(self, request: RegisterRequest) -> RegisterAnswer | PendingAnswer:
        with self.database.write() as connection:
            return self.onboarding(connection, request, read_certificate_request(request), body_digest(request))

    def challenged(self, machine: PretendTpm, **changes: Any) -> PendingAnswer:
        waits = self.asks(self.request(machine, offer=machine.offer(), **changes))
        assert isinstance(waits, PendingAnswer)
        assert waits.reason == "attestation"
        assert waits.challenge is not None
        return waits

    def answers(self, machine: PretendTpm, waits: PendingAnswer, **changes: Any) -> RegisterAnswer | PendingAnswer:
        assert waits.challenge is not None
        answer = machine.answer(waits.challenge, tenant_id=TENANT_ID, device_id=waits.device_id, **changes)
        return self.attests(waits, answer)

    def attests(self, waits: PendingAnswer, answer: AttestRequest) -> RegisterAnswer | PendingAnswer:
        with self.database.write() as connection:
            device = devices.get(connection, waits.device_id)
            return attested(connection, self.office.acting, self.signer, device, answer)

    def device(self, answer: RegisterAnswer | PendingAnswer) -> Device:
        with self.database.read() as connection:
            return devices.get(connection, answer.device_id)

    def trusts(self, ek_hash: Digest) -> str:
        with self.database.write() as connection:
            return endorsements.trust_tpm(connection, self.office.acting, display_name="TPM", ek_hash=ek_hash).id


@pytest.fixture
def gate(tenant_database: Database, office: Office, signer: SignerService) -> Gate:
    onboarding = Onboarding(
        tenant_id=TENANT_ID,
        signer=signer,
        sealer=NonceSealer(key=b"n" * 32),
        clock=office.clock,
        new_id=office.new_id,
        on_devices_changed=office.acting.on_devices_changed,
    )
    return Gate(database=tenant_database, office=office, onboarding=onboarding, signer=signer)


@pytest.fixture
def machine() -> PretendTpm:
    return PretendTpm()


def hash_of(machine: PretendTpm) -> Digest:
    return endorsement_hash(machine.endorsement.public_key())


def test_a_device_that_shows_a_tpm_waits_until_it_has_answered(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    with gate.database.write() as connection:
        rule = '(device.attestationLevel -eq "tofu")'
        draft = GroupDraft(display_name="TPM", mail_nickname="tpm", membership_rule=rule)
        group = groups.create_group(connection, gate.office.acting, draft)

    waits = gate.challenged(machine)

    before = gate.device(waits)
    assert (before.state, before.state_reason, before.certificate) == (DeviceState.PENDING, "attestation", "")
    assert before.attestation_level is AttestationLevel.NONE
    answer = gate.answers(machine, waits)
    assert isinstance(answer, RegisterAnswer)
    after = gate.device(answer)
    assert (after.state, after.state_reason, after.certificate) == (DeviceState.ACTIVE, None, answer.certificate)
    assert (after.attestation_level, after.tpm_ek_hash) == (AttestationLevel.TRUST_ON_FIRST_USE, hash_of(machine))
    assert after.certificate
    assert after.certificate_expires_at is not None
    with gate.database.read() as connection:
        assert group_members.member_ids(connection, group.id) == {after.id}
        assert {"device.registered", "device.attested"} <= {each.activity for each in gate.office.trail(connection)}
    assert {after.id} in gate.office.told


def test_the_same_registration_again_tells_how_it_stands(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    request = gate.request(machine, offer=machine.offer())
    waits = gate.asks(request)

    assert gate.asks(request) == waits
    assert isinstance(waits, PendingAnswer)
    identity = gate.answers(machine, waits)
    assert gate.asks(request) == identity


def test_a_challenge_that_is_about_to_end_is_made_anew(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    request = gate.request(machine, offer=machine.offer())
    old = gate.asks(request)
    assert isinstance(old, PendingAnswer)
    gate.office.clock.advance(minutes=6)

    new = gate.asks(request)

    assert isinstance(new, PendingAnswer)
    assert new.challenge != old.challenge
    with pytest.raises(AttestationFailedError):
        gate.answers(machine, old)
    assert isinstance(gate.answers(machine, new), RegisterAnswer)


def test_an_answer_is_taken_once(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    waits = gate.challenged(machine)
    gate.answers(machine, waits)
    before = gate.device(waits)

    with pytest.raises(NoOpenChallengeError):
        gate.answers(machine, waits)
    assert gate.device(waits) == before


def test_an_answer_comes_in_time(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    waits = gate.challenged(machine)
    gate.office.clock.advance(seconds=(CHALLENGE_LIFETIME - timedelta(seconds=1)).total_seconds())
    late = gate.challenged(PretendTpm())
    assert isinstance(gate.answers(machine, waits), RegisterAnswer)
    gate.office.clock.advance(seconds=CHALLENGE_LIFETIME.total_seconds())

    with pytest.raises(NoOpenChallengeError):
        gate.attests(late, AttestRequest(secret="", certify_info="", signature=""))
    assert gate.device(late).state is DeviceState.PENDING


def test_a_wrong_answer_changes_nothing(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    waits = gate.challenged(machine)
    assert waits.challenge is not None
    right = machine.answer(waits.challenge, tenant_id=TENANT_ID, device_id=waits.device_id)
    other = PretendTpm().statement()
    signed = machine.attestation_key.sign(other)

    for wrong in (
        replaced(right, secret=strict_base64.encode(bytes(32))),
        replaced(right, signature=strict_base64.encode(machine.device_key.sign(b"anything"))),
        replaced(right, certify_info=strict_base64.encode(other), signature=strict_base64.encode(signed)),
        AttestRequest(secret="%", certify_info="", signature=""),
    ):
        with pytest.raises(ShieldwallError) as refusal:
            gate.attests(waits, wrong)
        assert refusal.value.code in {"attestationFailed", "attestationMalformed"}
    assert gate.device(waits).state is DeviceState.PENDING
    assert isinstance(gate.attests(waits, right), RegisterAnswer)


def test_an_answer_for_another_device_does_not_do(gate: Gate) -> None:
    gate.package()
    first, second = PretendTpm(), PretendTpm()
    waits, others = gate.challenged(first), gate.challenged(second)
    assert waits.challenge is not None

    answer = first.answer(waits.challenge, tenant_id=TENANT_ID, device_id=waits.device_id)

    with pytest.raises(AttestationFailedError):
        gate.attests(others, answer)


def test_a_software_key_that_poses_as_one_in_a_tpm_gets_nowhere(gate: Gate, machine: PretendTpm) -> None:
    """It can show the public areas of a TPM it has seen, but neither of its own key nor open what is sealed for it."""
    gate.package()
    impostor = DeviceKey.generate()
    stolen = replace(machine, device_key=impostor)

    with pytest.raises(AttestationMismatchError):
        gate.asks(gate.request(stolen, offer=machine.offer()))
    honest = replace(stolen, device_attributes=DEVICE_KEY & ~Attribute.FIXED_TPM & ~Attribute.FIXED_PARENT)
    with pytest.raises(UnsuitableTpmKeyError):
        gate.asks(gate.request(stolen, offer=honest.offer()))
    waits = gate.challenged(stolen)  # it claims what is not so, for a TPM that is not there
    assert waits.challenge is not None
    without = replace(stolen, endorsement=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(AssertionError, match="another TPM"):
        without.open(waits.challenge)


@pytest.mark.parametrize("approval", ["auto", "manual"])
def test_whoever_needs_approval_needs_it_after_the_tpm_as_well(gate: Gate, machine: PretendTpm, approval: str) -> None:
    gate.package(approval=approval)
    waits = gate.challenged(machine)
    with pytest.raises(pending.NotPendingError), gate.database.write() as connection:
        pending.approve(connection, gate.office.acting, gate.signer, waits.device_id)

    answer = gate.answers(machine, waits)

    if approval == "auto":
        assert isinstance(answer, RegisterAnswer)
        return
    assert isinstance(answer, PendingAnswer)
    assert (answer.reason, answer.challenge) == ("approval", None)
    assert gate.device(answer).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    with gate.database.write() as connection:
        approved = pending.approve(connection, gate.office.acting, gate.signer, waits.device_id)
    assert approved.state is DeviceState.ACTIVE


def test_whoever_does_not_prove_its_tpm_can_be_turned_away(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    waits = gate.challenged(machine)

    with gate.database.write() as connection:
        pending.reject(connection, gate.office.acting, waits.device_id)

    assert gate.device(waits).state is DeviceState.RETIRED


def test_a_machine_that_is_here_already_still_waits_for_an_administrator(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    known = HardwareIds(tpm_ek_hash=hash_of(machine))
    first = gate.answers(machine, gate.challenged(machine, hardware=known))
    wiped = replace(machine, device_key=DeviceKey.generate())

    answer = gate.answers(wiped, gate.challenged(wiped, hardware=known))

    assert isinstance(answer, PendingAnswer)
    assert answer.reason == "duplicateHardware"
    again, before = gate.device(answer), gate.device(first)
    assert again.replaces == before.id
    far = gate.office.clock.now() + timedelta(days=40)
    assert pending.may_replace_itself(again, before, None, far)
    assert not pending.may_replace_itself(replace(again, attestation_level=AttestationLevel.NONE), before, None, far)


def test_whoever_answers_second_is_the_one_to_wait(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    known = HardwareIds(tpm_ek_hash=hash_of(machine))
    twin = replace(machine, device_key=DeviceKey.generate())
    first, second = gate.challenged(machine, hardware=known), gate.challenged(twin, hardware=known)

    late, early = gate.answers(twin, second), gate.answers(machine, first)

    assert isinstance(late, RegisterAnswer)
    assert isinstance(early, PendingAnswer)
    assert (early.reason, gate.device(early).replaces) == ("duplicateHardware", late.device_id)


def test_a_package_says_whether_a_tpm_is_asked_for(gate: Gate, machine: PretendTpm) -> None:
    gate.package(attestation="none")

    answer = gate.asks(gate.request(machine, offer=machine.offer()))

    assert isinstance(answer, RegisterAnswer)
    assert gate.device(answer).attestation_level is AttestationLevel.NONE


def test_without_a_tpm_a_device_comes_in_where_it_is_optional(gate: Gate, machine: PretendTpm) -> None:
    gate.package(attestation="optional")

    answer = gate.asks(gate.request(machine))

    assert isinstance(answer, RegisterAnswer)
    assert gate.device(answer).attestation_level is AttestationLevel.NONE


def test_where_a_tpm_is_required_only_a_trusted_one_lets_a_device_in(gate: Gate, machine: PretendTpm) -> None:
    gate.package(attestation="tpm-required")

    with pytest.raises(AttestationRequiredError, match="shows none"):
        gate.asks(gate.request(machine))
    with pytest.raises(AttestationRequiredError, match=hash_of(machine)):
        gate.asks(gate.request(machine, offer=machine.offer()))
    with gate.database.read() as connection:
        assert packages.get(connection, package_id(1)).uses == 0
    gate.trusts(hash_of(machine))
    answer = gate.answers(machine, gate.challenged(machine))
    assert isinstance(answer, RegisterAnswer)
    assert gate.device(answer).attestation_level is AttestationLevel.TPM


def test_a_tpm_that_is_distrusted_meanwhile_lets_nobody_in(gate: Gate, machine: PretendTpm) -> None:
    gate.package(attestation="tpm-required")
    trusted = gate.trusts(hash_of(machine))
    waits = gate.challenged(machine)
    with gate.database.write() as connection:
        endorsements.distrust(connection, gate.office.acting, trusted)

    with pytest.raises(AttestationRequiredError):
        gate.answers(machine, waits)
    assert gate.device(waits).state is DeviceState.PENDING


def test_the_tpm_that_a_device_names_is_the_one_it_shows(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    with pytest.raises(AttestationMismatchError, match="names another TPM"):
        gate.challenged(machine, hardware=HardwareIds(tpm_ek_hash=hash_of(PretendTpm())))


def test_trust_in_a_tpm_raises_and_lowers_the_device_that_has_proven_to_hold_it(
    gate: Gate, machine: PretendTpm
) -> None:
    gate.package()
    known = HardwareIds(tpm_ek_hash=hash_of(machine))
    answer = gate.answers(machine, gate.challenged(machine, hardware=known))
    liar = PretendTpm()  # it only says that it has that TPM
    claimed = gate.asks(gate.request(liar, hardware=known))

    trusted = gate.trusts(hash_of(machine))

    assert gate.device(answer).attestation_level is AttestationLevel.TPM
    assert gate.device(claimed).attestation_level is AttestationLevel.NONE
    with gate.database.write() as connection:
        endorsements.distrust(connection, gate.office.acting, trusted)
    assert gate.device(answer).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE


def test_another_tenants_trust_counts_for_nothing(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    theirs = TrustedAuthority(
        id=counted_id("c", 1),
        tenant_id=FABRIKAM,
        kind=AuthorityKind.ENDORSEMENT,
        display_name="TPM",
        value=hash_of(machine),
        created_at=gate.office.clock.now(),
    )
    with gate.database.write() as connection:
        trusted_authorities.add(connection, theirs)

    answer = gate.answers(machine, gate.challenged(machine))

    assert gate.device(answer).attestation_level is AttestationLevel.TRUST_ON_FIRST_USE
    with gate.database.write() as connection:
        assert endorsements.list_endorsements(connection, TENANT_ID) == ()
        with pytest.raises(NotFoundError):
            endorsements.distrust(connection, gate.office.acting, theirs.id)
        trusted_authorities.remove(connection, FABRIKAM, theirs.id, AuthorityKind.ENDORSEMENT)


def test_another_key_is_not_attested_by_the_proof_of_the_first(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    answer = gate.answers(machine, gate.challenged(machine))
    before, other = gate.device(answer), DeviceKey.generate()
    credential = Credential(
        key_thumbprint=other.thumbprint,
        public_key=public_key_bytes(other.public_key),
        certificate="other",
        certificate_expires_at=gate.office.clock.now(),
    )
    with gate.database.write() as connection:
        assert device_states.change_key(connection, before.id, before.key_thumbprint, credential)
        devices.put(connection, before)  # somebody who read the device before the change

    assert gate.device(answer).attestation_level is AttestationLevel.NONE
    gate.trusts(hash_of(machine))
    assert gate.device(answer).attestation_level is AttestationLevel.NONE
    with gate.database.write() as connection:
        assert not device_states.attest(
            connection, before.id, before.key_thumbprint, AttestationLevel.TPM, hash_of(machine)
        )


def test_a_challenge_goes_with_its_device(gate: Gate, machine: PretendTpm) -> None:
    gate.package()
    waits = gate.challenged(machine)
    with gate.database.write() as connection:
        assert attestation_challenges.find(connection, waits.device_id) is not None
        assert attestation_challenges.remove(connection, waits.device_id)
        assert not attestation_challenges.remove(connection, waits.device_id)
        assert attestation_challenges.find(connection, waits.device_id) is None


def test_a_key_that_was_refused_can_come_again(gate: Gate, machine: PretendTpm) -> None:
    """A refusal keeps nothing: neither the use of the package nor the key."""
    gate.package()
    bad = replaced(machine.offer(), attestation_public=machine.offer().device_public)
    with pytest.raises(UnsuitableTpmKeyError):
        gate.asks(gate.request(machine, offer=bad))

    assert isinstance(gate.answers(machine, gate.challenged(machine)), RegisterAnswer)
    with pytest.raises(DuplicateKeyError):
        gate.asks(gate.request(machine, offer=machine.offer()))


@pytest.mark.parametrize(("name", "value"), [("", None), ("x" * 257, None), ("TPM", "abc"), ("TPM", "z" * 64)], ids=str)
def test_an_endorsement_that_cannot_be_is_refused(gate: Gate, name: str, value: str | None) -> None:
    with gate.database.write() as connection, pytest.raises(ShieldwallError) as refusal:
        endorsements.trust_tpm(connection, gate.office.acting, display_name=name, ek_hash=value or "a" * 64)
    assert refusal.value.code in {"invalidEndorsement", "invalidId"}


def test_nobody_is_trusted_twice(gate: Gate) -> None:
    gate.trusts(Digest("a" * 64))
    with pytest.raises(AlreadyExistsError):
        gate.trusts(Digest("A" * 64))
    with gate.database.write() as connection:
        with pytest.raises(BadEndorsementAuthorityError):
            endorsements.trust_maker(connection, gate.office.acting, display_name="Maker", certificate="none")
        with pytest.raises(NotFoundError):
            endorsements.distrust(connection, gate.office.acting, counted_id("c", 9))
