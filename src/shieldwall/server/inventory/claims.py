"""Reading and checking the proof that a device holds an existing registration: bounded work, cheapest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.registration import ExistingRegistrationProof, PromoteRequest, RegisterRequest
from shieldwall.server.directory.registrations import claim
from shieldwall.server.storage.devices.registrations import ExistingRegistration
from shieldwall.trust import strict_base64
from shieldwall.trust.certificate_request import CertificateRequestFacts
from shieldwall.trust.existing_keys import BadExistingCertificateError, read_certificate, read_existing_certificate
from shieldwall.trust.key_proofs import BadExistingProofError, check_existing, message, spoken_about

R = TypeVar("R", RegisterRequest, PromoteRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[R]):
    """A request that asks for an identity, read and with its signature checked.

    ``certified`` is what its certificate request says, ``digest`` the name of its body.
    """

    request: R
    certified: CertificateRequestFacts
    digest: Digest


def proven_registration(
    connection: Connection,
    tenant_id: TenantId,
    asked: Asked[RegisterRequest] | Asked[PromoteRequest],
    proof: ExistingRegistrationProof,
    now: datetime,
) -> ExistingRegistration:
    """Return the registration whose key the sender of a request holds.

    Raises:
        BadExistingCertificateError: A certificate cannot be read, or its key is of no kind that we take.
        BadExistingProofError: The sender does not hold the key.
        ShieldwallError: The registration may not be used; ``directory.registrations.claim`` has the reasons.
    """
    presented = read_existing_certificate(_decoded(proof.certificate))
    chain = [read_certificate(_decoded(each)) for each in proof.chain]
    try:
        signature = strict_base64.decode(proof.signature)
    except ValueError:
        raise BadExistingProofError("The proof is not base64.") from None
    data = message(tenant_id, asked.certified.nonce, asked.certified.spki, spoken_about(asked.request))
    check_existing(presented.public_key, proof.algorithm, signature, data)
    return claim(connection, tenant_id, presented, chain, now)


def _decoded(text: str) -> bytes:
    try:
        return strict_base64.decode(text)
    except ValueError:
        raise BadExistingCertificateError("A certificate is not base64.") from None
