"""Whose TPMs a tenant trusts: makers by their authorities, single TPMs by the hash of their endorsement key.

An authority counts for whoever attests from then on. The hash of one TPM counts at once, both ways, for devices that
have proven to hold it: that proof does not age, only the trust in the TPM is new, or gone.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest, TenantId, parse_digest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import follow
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.device_records import AttestationLevel
from shieldwall.server.storage.devices import device_states, devices
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.tenants import trusted_authorities
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind, TrustedAuthority
from shieldwall.trust.endorsement import TrustedEndorsements, read_endorsement_authority

MAX_ENDORSEMENTS: Final = 2_000
_HASH_CHARACTERS: Final = 64


class InvalidEndorsementError(ShieldwallError):
    """An endorsement cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidEndorsement"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


def is_hash(endorsement: TrustedAuthority) -> bool:
    """Tell the hash of one TPM from the certificate of an authority."""
    return len(endorsement.value) == _HASH_CHARACTERS


def list_endorsements(connection: Connection, tenant_id: TenantId) -> tuple[TrustedAuthority, ...]:
    """Return all that a tenant trusts, ordered by id."""
    return trusted_authorities.list_of_kind(connection, tenant_id, AuthorityKind.ENDORSEMENT)


def trusted_by(connection: Connection, tenant_id: TenantId) -> TrustedEndorsements:
    """Return what a tenant trusts, as the check of an attestation takes it."""
    found = list_endorsements(connection, tenant_id)
    return TrustedEndorsements(
        authorities=tuple(read_endorsement_authority(each.value) for each in found if not is_hash(each)),
        hashes=frozenset(Digest(each.value) for each in found if is_hash(each)),
    )


def trust_maker(connection: Connection, acting: Acting, *, display_name: str, certificate: str) -> TrustedAuthority:
    """Trust every TPM that this authority certifies.

    Raises:
        BadEndorsementAuthorityError: The text is not the certificate of an authority.
        InvalidEndorsementError: The name cannot be one, or there are too many.
        AlreadyExistsError: It is trusted already.
    """
    read_endorsement_authority(certificate)
    return _add(connection, acting, display_name, certificate.strip() + "\n")


def trust_tpm(connection: Connection, acting: Acting, *, display_name: str, ek_hash: str) -> TrustedAuthority:
    """Trust one TPM; a device that has proven to hold it is at level ``tpm`` from now on.

    Raises:
        InvalidIdError: The text is no SHA-256.
        InvalidEndorsementError: The name cannot be one, or there are too many.
        AlreadyExistsError: It is trusted already.
    """
    added = _add(connection, acting, display_name, parse_digest(ek_hash.lower()))
    _set_level(connection, acting, Digest(added.value), AttestationLevel.TRUST_ON_FIRST_USE, AttestationLevel.TPM)
    return added


def distrust(connection: Connection, acting: Acting, endorsement_id: str) -> None:
    """Trust an authority or a TPM no more. Raises: NotFoundError."""
    found = next((each for each in list_endorsements(connection, acting.tenant_id) if each.id == endorsement_id), None)
    if found is None:
        raise NotFoundError(f"There is no endorsement {endorsement_id}.")
    trusted_authorities.remove(connection, acting.tenant_id, endorsement_id, AuthorityKind.ENDORSEMENT)
    acting.record(connection, "endorsement.distrusted", "endorsement", endorsement_id, name=found.display_name)
    if is_hash(found):
        _set_level(connection, acting, Digest(found.value), AttestationLevel.TPM, AttestationLevel.TRUST_ON_FIRST_USE)


def _add(connection: Connection, acting: Acting, display_name: str, value: str) -> TrustedAuthority:
    if not is_name(display_name):
        raise InvalidEndorsementError("An endorsement's name has 1 to 256 plain characters.", member="displayName")
    present = list_endorsements(connection, acting.tenant_id)
    if len(present) >= MAX_ENDORSEMENTS:
        raise InvalidEndorsementError(f"A tenant has at most {MAX_ENDORSEMENTS} endorsements.", member="displayName")
    if any(each.value == value for each in present):
        raise AlreadyExistsError("This authority or TPM is trusted already.")
    endorsement = TrustedAuthority(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        kind=AuthorityKind.ENDORSEMENT,
        display_name=display_name,
        value=value,
        created_at=acting.clock.now(),
    )
    trusted_authorities.add(connection, endorsement)
    acting.record(connection, "endorsement.trusted", "endorsement", endorsement.id, name=display_name)
    return endorsement


def _set_level(
    connection: Connection, acting: Acting, ek_hash: Digest, before: AttestationLevel, after: AttestationLevel
) -> None:
    holders = devices.list_same_hardware(
        connection, acting.tenant_id, machine_id_hash=None, smbios_uuid_hash=None, tpm_ek_hash=ek_hash
    )
    for device in holders:
        if device.attestation_level is before:
            device_states.attest(connection, device.id, device.key_thumbprint, after, ek_hash)
            acting.record(
                connection, "device.attested", "device", device.id, name=device.display_name, level=after.value
            )
            follow(connection, acting, device)
