"""Whose TPM is it? An endorsement key is a TPM's own; its maker certifies it, or an administrator knows its hash.

Certificates are verified by the library's path validation with the rules for this kind of certificate: authorities must
be authorities, and the certificate, when it says what it is for, must be for an endorsement key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.trust.tpm import EndorsementPublicKey
from shieldwall.trust.x509_errors import UNREADABLE

MAX_CHAIN: Final = 4
MAX_CERTIFICATE_BYTES: Final = 6_000
_FOR_ENDORSEMENT_KEYS: Final = x509.ObjectIdentifier("2.23.133.8.1")


class BadEndorsementCertificateError(ShieldwallError):
    """The endorsement certificate cannot be read, or is another key's."""

    code = "endorsementCertificate"
    remedy = "Send the certificate that the TPM's maker stored in the TPM for this very endorsement key, or none."


class BadEndorsementAuthorityError(ShieldwallError):
    """The text is not the certificate of an authority."""

    code = "endorsementAuthority"
    remedy = "Give one certificate in PEM: a root or intermediate authority of the TPM's maker."


class TrustedEndorsements(Struct, frozen=True, kw_only=True):
    """What a tenant trusts: makers, by the certificates of their authorities, and single TPMs, by hash."""

    authorities: Sequence[x509.Certificate] = ()
    hashes: AbstractSet[Digest] = frozenset()


def endorsement_hash(key: EndorsementPublicKey) -> Digest:
    """Name an endorsement key: SHA-256 of its SubjectPublicKeyInfo, which every tool can compute."""
    return Digest(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest())


def read_certificate(der: bytes) -> x509.Certificate:
    """Read a certificate of the chain; nothing is believed yet. Raises: BadEndorsementCertificateError."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise BadEndorsementCertificateError(f"A certificate is larger than {MAX_CERTIFICATE_BYTES} bytes.")
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        raise BadEndorsementCertificateError("A certificate of the TPM cannot be read.") from None


def read_endorsement_certificate(der: bytes, key: EndorsementPublicKey) -> x509.Certificate:
    """Read the certificate of this endorsement key; who issued it is not asked yet.

    Raises:
        BadEndorsementCertificateError: It cannot be read, or certifies another key.
    """
    certificate = read_certificate(der)
    try:
        certified = certificate.public_key()
    except UNREADABLE:
        raise BadEndorsementCertificateError("The key in the endorsement certificate cannot be read.") from None
    if not isinstance(certified, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or endorsement_hash(
        certified
    ) != endorsement_hash(key):
        raise BadEndorsementCertificateError("The endorsement certificate certifies another key.")
    return certificate


def read_endorsement_authority(pem: str) -> x509.Certificate:
    """Read one certificate of an authority. Raises: BadEndorsementAuthorityError."""
    if len(pem) > 2 * MAX_CERTIFICATE_BYTES:
        raise BadEndorsementAuthorityError("The text is too long for one certificate.")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
        constraints = certificates[0].extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE:
        raise BadEndorsementAuthorityError("The text holds no readable certificate of an authority in PEM.") from None
    if len(certificates) != 1 or not constraints.ca:
        raise BadEndorsementAuthorityError("The text is not exactly one certificate of an authority.")
    return certificates[0]


def is_endorsed(
    key: EndorsementPublicKey,
    certificate: x509.Certificate | None,
    chain: Sequence[x509.Certificate],
    trusted: TrustedEndorsements,
    now: datetime,
) -> bool:
    """Tell whether this tenant trusts the TPM; ``certificate`` is the key's, ``chain`` what leads to an authority."""
    if endorsement_hash(key) in trusted.hashes:
        return True
    if certificate is None or not trusted.authorities:
        return False
    verifier = (
        PolicyBuilder()
        .store(Store(list(trusted.authorities)))
        .time(now.replace(tzinfo=None))  # the library wants UTC without saying so
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_ENDORSEMENT_KEYS)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, list(chain))
    except (VerificationError, *UNREADABLE):
        return False
    return True


def _may_certify(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("must not certify")


def _is_no_authority(
    _policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints | None
) -> None:
    if constraints is not None and constraints.ca:
        raise ValueError("an authority")


def _is_for_endorsement(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and _FOR_ENDORSEMENT_KEYS not in usage:
        raise ValueError("not for endorsement keys")


# That whoever certifies is an authority (basicConstraints) the library demands by itself.
_AUTHORITIES: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_certify)
)
_ENDORSEMENT_KEYS: Final = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_no_authority)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_for_endorsement)
)
