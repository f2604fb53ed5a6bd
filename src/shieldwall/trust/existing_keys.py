"""Keys and certificates that existing registrations brought from elsewhere: bounded before anything is computed.

RSA and P-384 are taken here and nowhere else; the keys of our own devices are on P-256 (``trust.device_key``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError
from msgspec import Struct

from shieldwall.contract.errors import InvalidIdError, ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest, parse_device_id
from shieldwall.trust.x509_errors import UNREADABLE

ExistingPublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MAX_CERTIFICATE_BYTES: Final = 6_000
MAX_CHAIN: Final = 4
SMALLEST_RSA_BITS: Final = 2_048
LARGEST_RSA_BITS: Final = 4_096
_LARGEST_EXPONENT: Final = 2**32
"""A longer exponent would make each verification as costly as its sender likes."""
_URN: Final = re.compile(r"urn:(?:uuid|shieldwall:[0-9a-f-]{36}:device):([0-9a-fA-F-]{36})\Z")


class BadExistingCertificateError(ShieldwallError):
    """The certificate of an existing registration cannot be read, or its key is of no kind that we take."""

    code = "existingCertificateInvalid"
    remedy = "Use a certificate with an RSA key of 2048 to 4096 bits or an ECDSA key on P-256 or P-384."


class BadDirectoryAuthorityError(ShieldwallError):
    """The text is not the certificate of an authority."""

    code = "directoryAuthorityInvalid"
    remedy = "Give one certificate in PEM: of the authority that issued the certificates of your devices."


class ExistingCertificate(Struct, frozen=True, kw_only=True):
    """A certificate as it was presented; who issued it is another question (``is_issued_by``)."""

    certificate: x509.Certificate
    public_key: ExistingPublicKey
    spki: bytes

    @property
    def key_digest(self) -> Digest:
        """Name its key: SHA-256 of the SubjectPublicKeyInfo."""
        return Digest(hashlib.sha256(self.spki).hexdigest())

    @property
    def der(self) -> bytes:
        """Its bytes."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """Its text."""
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def expires_at(self) -> datetime:
        """When it ends."""
        return self.certificate.not_valid_after_utc

    def is_valid_at(self, now: datetime) -> bool:
        """Whether now is in its time."""
        return self.certificate.not_valid_before_utc <= now < self.certificate.not_valid_after_utc

    def named_devices(self) -> frozenset[DeviceId]:
        """Return the device ids it names: common names and URNs that are nothing else."""
        names = [str(each.value) for each in self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            alternatives = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
        except UNREADABLE:
            uris = []
        names += [match[1] for uri in uris if (match := _URN.match(uri))]
        return frozenset(found for name in names if (found := _device_id(name)) is not None)


def read_existing_certificate(der: bytes) -> ExistingCertificate:
    """Read a certificate, cheapest checks first. Raises: BadExistingCertificateError."""
    certificate = read_certificate(der)
    try:
        key = certificate.public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except UNREADABLE:
        raise BadExistingCertificateError("The key in the certificate cannot be read.") from None
    match key:
        case rsa.RSAPublicKey():
            _check_rsa(key)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            pass
        case _:
            raise BadExistingCertificateError("The key in the certificate is neither RSA nor on P-256 or P-384.")
    return ExistingCertificate(certificate=certificate, public_key=key, spki=spki)


def read_certificate(der: bytes) -> x509.Certificate:
    """Read a certificate of a chain; nothing is believed yet. Raises: BadExistingCertificateError."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise BadExistingCertificateError(f"A certificate is larger than {MAX_CERTIFICATE_BYTES} bytes.")
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        raise BadExistingCertificateError("A certificate cannot be read as X.509 in DER.") from None


def read_directory_authority(pem: str) -> x509.Certificate:
    """Read the certificate of an authority to trust. Raises: BadDirectoryAuthorityError."""
    if len(pem) > 2 * MAX_CERTIFICATE_BYTES:
        raise BadDirectoryAuthorityError("The text is too long for one certificate.")
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
        constraints = certificates[0].extensions.get_extension_for_class(x509.BasicConstraints).value
        certificates[0].public_key()
    except UNREADABLE:
        raise BadDirectoryAuthorityError("The text holds no readable certificate of an authority in PEM.") from None
    if len(certificates) != 1 or not constraints.ca:
        raise BadDirectoryAuthorityError("The text is not exactly one certificate of an authority.")
    return certificates[0]


def is_issued_by(
    presented: ExistingCertificate,
    chain: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    now: datetime,
) -> bool:
    """Tell whether one of these authorities vouches for a certificate now, directly or through ``chain``."""
    if not authorities:
        return False
    verifier = (
        PolicyBuilder()
        .store(Store(list(authorities)))
        .time(now.replace(tzinfo=None))  # the library wants UTC without saying so
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_DEVICES)
        .build_client_verifier()
    )
    try:
        verifier.verify(presented.certificate, list(chain))
    except (VerificationError, *UNREADABLE):
        return False
    return True


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
        raise BadExistingCertificateError(f"The RSA key has {key.key_size} bits.")
    exponent = key.public_numbers().e
    if not 3 <= exponent < _LARGEST_EXPONENT:
        raise BadExistingCertificateError("The RSA key has an exponent that nobody uses.")


def _device_id(text: str) -> DeviceId | None:
    try:
        return parse_device_id(text)
    except InvalidIdError:
        return None


def _is_authority(_policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("not an authority")


def _may_certify(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("must not certify")


_AUTHORITIES: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_certify)
)
_DEVICES: Final = ExtensionPolicy.permit_all()
