"""Device keys in a TPM: a real TPM 2.0 implementation, as a process of its own."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace as with_fields
from tests.support.swtpm import EmulatedTpm, running_tpm

from shieldwall.agent.host.tpm import Tpm, WrappedKey
from shieldwall.agent.host.tpm_device import TpmError, has_tpm, open_channel
from shieldwall.agent.service import attesting
from shieldwall.agent.service.device_keys import TpmKey, make_key, make_tpm_key, read_key, write_key
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errors import StateCorruptError, UnusableAnswerError
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.state_files import KEY
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.registration import AttestationChallenge, AttestationOffer
from shieldwall.trust import attestation, strict_base64, tpm
from shieldwall.trust.attestation import check_answer, read_offer, secret_digest
from shieldwall.trust.certificate_request import build_request, read_request
from shieldwall.trust.device_key import BadDeviceKeyError, DeviceKey, is_signed_by, public_key_bytes
from shieldwall.trust.endorsement import TrustedEndorsements, is_endorsed

pytestmark = pytest.mark.swtpm

TENANT = TenantId("00000000-0000-4000-8000-00000000000a")
DEVICE = DeviceId("00000000-0000-4000-8000-0000000000d1")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def chip() -> Iterator[EmulatedTpm]:
    with running_tpm() as running:
        yield running


@pytest.fixture(scope="module")
def other_chip() -> Iterator[EmulatedTpm]:
    with running_tpm() as running:
        yield running


@pytest.fixture(scope="module")
def endorsed_chip() -> Iterator[EmulatedTpm]:
    with running_tpm(endorsed=True) as running:
        yield running


def shown(key: TpmKey) -> AttestationOffer:
    offered = attesting.offer(key)
    assert offered is not None
    return offered[0]


def challenge_for(offer: AttestationOffer, key: TpmKey, secret: bytes = SECRET) -> AttestationChallenge:
    credential = attestation.challenge(read_offer(offer, key.public_key), secret, secrets.token_bytes)
    return AttestationChallenge(
        credential_blob=strict_base64.encode(credential.blob),
        encrypted_secret=strict_base64.encode(credential.encrypted_seed),
        expires="2026-11-30T00:10:00Z",
    )


def test_a_key_in_a_tpm_signs_and_asks_for_a_certificate(chip: EmulatedTpm) -> None:
    key = make_key(chip.open)

    assert key.protection == "tpm"
    assert is_signed_by(key.public_key, key.sign(b"data"), b"data")
    assert not is_signed_by(key.public_key, key.sign(b"data"), b"other data")
    request = read_request(build_request(key, "a-nonce"))
    assert public_key_bytes(request.public_key) == public_key_bytes(key.public_key)


def test_a_key_survives_on_disk_and_its_file_is_for_its_owner_alone(chip: EmulatedTpm, tmp_path: Path) -> None:
    state = AgentState(directory=tmp_path / "state", disk=LocalDisk(), open_tpm=chip.open)
    made = state.make_key()

    found = state.get_key()

    assert found.thumbprint == made.thumbprint
    assert found.protection == "tpm"
    assert is_signed_by(made.public_key, found.sign(b"data"), b"data")
    assert stat.S_IMODE((tmp_path / "state" / KEY).stat().st_mode) == 0o600
    state.forget()
    assert state.find_key() is None


def test_what_is_on_disk_is_useless_with_another_tpm(chip: EmulatedTpm, other_chip: EmulatedTpm) -> None:
    content = write_key(make_tpm_key(chip.open))

    stolen = read_key(content, other_chip.open)

    with pytest.raises(TpmError, match="refuses command 0x157"):  # TPM2_Load
        stolen.sign(b"data")


def test_what_is_on_disk_is_not_the_key(chip: EmulatedTpm) -> None:
    """The private part is wrapped: nothing in it verifies as the private half of the public key."""
    key = make_tpm_key(chip.open)
    numbers = key.public_key.public_numbers()
    for start in range(len(key.key.private) - 31):
        scalar = int.from_bytes(key.key.private[start : start + 32], "big")
        if 0 < scalar < 2**255:
            assert ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers() != numbers


def test_a_key_whose_promises_were_changed_on_disk_does_not_load(chip: EmulatedTpm) -> None:
    key = make_tpm_key(chip.open)
    attributes = key.key.public[4:8]
    freed = int.from_bytes(attributes, "big") & ~int(tpm.Attribute.FIXED_TPM)
    altered = key.key.public[:4] + freed.to_bytes(4, "big") + key.key.public[8:]

    with chip.open() as device, pytest.raises(TpmError):
        device.sign(WrappedKey(public=altered, private=key.key.private), b"data")


def test_without_a_tpm_the_key_is_made_in_software(tmp_path: Path) -> None:
    assert make_key(None).protection == "software"
    broken = tmp_path / "tpmrm0"
    broken.write_bytes(b"")
    assert not has_tpm(broken)
    assert make_key(lambda: Tpm(broken)).protection == "software"
    assert not has_tpm(tmp_path / "nothing")
    with pytest.raises(TpmError):
        open_channel(tmp_path / "nothing")


def test_a_key_of_a_tpm_that_has_gone_says_so(chip: EmulatedTpm) -> None:
    orphan = read_key(write_key(make_tpm_key(chip.open)), None)

    assert orphan.protection == "tpm"
    with pytest.raises(TpmError, match="this machine has none"):
        orphan.sign(b"data")


@pytest.mark.parametrize("content", [b"{}", b"{", b'{"protection":"tpm"}', b"{" + b" " * 100])
def test_a_damaged_file_is_no_key(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadDeviceKeyError):
        read_key(content, None)
    (tmp_path / KEY).write_bytes(content)
    with pytest.raises(StateCorruptError):
        AgentState(directory=tmp_path, disk=LocalDisk()).find_key()


def test_the_tpm_answers_a_challenge(chip: EmulatedTpm, endorsed_chip: EmulatedTpm) -> None:
    for running in (chip, endorsed_chip):  # an endorsement key on P-256, and a certified one of RSA
        key = make_tpm_key(running.open)
        offer = shown(key)
        answer = attesting.answer(key, challenge_for(offer, key), tenant_id=TENANT, device_id=DEVICE)

        check_answer(
            read_offer(offer, key.public_key),
            answer,
            expected=secret_digest(SECRET),
            tenant_id=TENANT,
            device_id=DEVICE,
        )


def test_a_challenge_for_another_tpm_or_key_is_not_answered(chip: EmulatedTpm, other_chip: EmulatedTpm) -> None:
    key, twin, stranger = make_tpm_key(chip.open), make_tpm_key(chip.open), make_tpm_key(other_chip.open)

    for theirs in (twin, stranger):
        with pytest.raises(TpmError, match="refuses command 0x147"):  # TPM2_ActivateCredential
            attesting.answer(key, challenge_for(shown(theirs), theirs), tenant_id=TENANT, device_id=DEVICE)


def test_a_tpm_vouches_for_no_key_that_is_not_in_it(chip: EmulatedTpm) -> None:
    """A software key cannot be certified: its wrapped half does not exist, and loading a made-up one fails."""
    key = make_tpm_key(chip.open)
    foreign = DeviceKey.generate()
    point = public_key_bytes(foreign.public_key)
    template = tpm.curve_template(tpm.DEVICE_KEY)
    pretended = with_fields(key.key, public=template[:-4] + tpm.sized(point[1:33]) + tpm.sized(point[33:]))
    assert read_offer(shown(with_fields(key, key=pretended)), foreign.public_key) is not None

    with chip.open() as device, pytest.raises(TpmError):
        device.certify(pretended, key.attestation, bytes(32))


def test_an_attestation_key_signs_nothing_that_looks_like_a_statement(chip: EmulatedTpm) -> None:
    """Restricted: what software hands it is not signed at all without the TPM's own word that it is harmless."""
    key = make_tpm_key(chip.open)
    with chip.open() as device, pytest.raises(TpmError, match="refuses command 0x15d"):
        device.sign(key.attestation, b"\xffTCG made up")


def test_a_makers_certificate_is_found_and_leads_to_its_authority(
    chip: EmulatedTpm, endorsed_chip: EmulatedTpm
) -> None:
    key = make_tpm_key(endorsed_chip.open)
    offered = read_offer(shown(key), key.public_key)
    root, issuer = (x509.load_pem_x509_certificate(pem.encode()) for pem in endorsed_chip.maker)

    assert offered.certificate is not None
    for trusted, chain in (((issuer,), ()), ((root,), (issuer,)), ((root, issuer), ())):
        endorsements = TrustedEndorsements(authorities=trusted)
        assert is_endorsed(offered.endorsement, offered.certificate, chain, endorsements, NOW)
    assert not is_endorsed(offered.endorsement, offered.certificate, (), TrustedEndorsements(authorities=(root,)), NOW)
    plain = make_tpm_key(chip.open)
    assert read_offer(shown(plain), plain.public_key).certificate is None


def test_a_tpm_keeps_its_name(chip: EmulatedTpm, other_chip: EmulatedTpm) -> None:
    first, second, other = (attesting.offer(make_tpm_key(it.open)) for it in (chip, chip, other_chip))
    assert first is not None
    assert second is not None
    assert other is not None
    assert first[1] == second[1] != other[1]


def test_nothing_stays_behind_in_the_tpm(chip: EmulatedTpm) -> None:
    """A TPM without a resource manager has room for three keys: many signatures fit only if none is left."""
    key, other = make_tpm_key(chip.open), make_tpm_key(chip.open)
    for _ in range(20):
        key.sign(b"data")
        attesting.answer(key, challenge_for(shown(key), key), tenant_id=TENANT, device_id=DEVICE)
        with pytest.raises(TpmError):
            attesting.answer(key, challenge_for(shown(other), other), tenant_id=TENANT, device_id=DEVICE)


def test_a_key_in_a_file_has_nothing_to_show_and_answers_no_challenge(chip: EmulatedTpm) -> None:
    key = make_tpm_key(chip.open)
    challenge = challenge_for(shown(key), key)

    assert attesting.offer(DeviceKey.generate()) is None
    with pytest.raises(UnusableAnswerError):
        attesting.answer(DeviceKey.generate(), challenge, tenant_id=TENANT, device_id=DEVICE)


@pytest.mark.parametrize("blob", ["", "%", strict_base64.encode(bytes(3000)), strict_base64.encode(bytes(10))])
def test_a_senseless_challenge_is_an_error_with_a_code(blob: str, chip: EmulatedTpm) -> None:
    key = make_tpm_key(chip.open)
    challenge = AttestationChallenge(credential_blob=blob, encrypted_secret=blob, expires="")

    with pytest.raises((TpmError, UnusableAnswerError)):
        attesting.answer(key, challenge, tenant_id=TENANT, device_id=DEVICE)
    assert is_signed_by(key.public_key, key.sign(b"still there"), b"still there")
