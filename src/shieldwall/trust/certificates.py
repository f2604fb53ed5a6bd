"""Certificate authorities: one for devices, one for the server's own TLS. P-256 throughout."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.trust.certificate_request import (
    BadCertificateRequestError,
    CertificateRequestFacts,
    build_request,
    read_request,
)
from shieldwall.trust.device_key import PublicKey
from shieldwall.trust.x509_errors import UNREADABLE

__all__ = [
    "BadAuthorityError",
    "BadCertificateRequestError",
    "CertificateRequestFacts",
    "DeviceAuthority",
    "LocalAuthority",
    "build_request",
    "names_of",
    "read_request",
]

DEVICE_DAYS: Final = 90
SERVER_DAYS: Final = 397
AUTHORITY_DAYS: Final = 5 * 365
LOCAL_AUTHORITY_DAYS: Final = 20 * 365
"""Devices trust it by their package and learn of no other: it outlives the machines."""
_BACKDATED: Final = timedelta(minutes=10)
_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


class BadAuthorityError(ShieldwallError):
    """Key and certificate do not make a certificate authority of ours."""

    code = "badAuthority"
    remedy = "Restore the authority's key and certificate from the same backup."


class _Authority(Struct, frozen=True):
    """A P-256 key with a certificate that lets it issue others."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def __post_init__(self) -> None:
        """Refuse a certificate of another key. Raises: BadAuthorityError."""
        if self.certificate.public_key() != self.key.public_key():
            raise BadAuthorityError("The certificate of the authority belongs to another key.")

    @property
    def certificate_pem(self) -> str:
        """The certificate that others trust."""
        return _pem(self.certificate)

    def key_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8; the caller guards the file."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class DeviceAuthority(_Authority, frozen=True):
    """Issues the certificates of one tenant's devices."""

    @classmethod
    def create(cls, tenant_id: TenantId, now: datetime) -> DeviceAuthority:
        """Make a new authority for a tenant, good for five years."""
        return cls(*_new_authority(f"Shieldwall devices of {tenant_id}", now))

    @classmethod
    def from_pem(cls, key: bytes, certificate: bytes) -> DeviceAuthority:
        """Read an authority back. Raises: BadAuthorityError."""
        return cls(*_read_authority(key, certificate))

    def ends_by(self, moment: datetime) -> bool:
        """Say whether it issues nothing any more at a moment."""
        return self.certificate.not_valid_after_utc <= moment

    def renewed(self, now: datetime) -> DeviceAuthority:
        """Return the same authority, by name and key, for another five years: what it issued before stays good."""
        certificate = self.certificate
        since = min(certificate.not_valid_before_utc, now)
        return DeviceAuthority(self.key, _certificate_of_authority(self.key, certificate.subject, since, now))

    def issue(
        self, public_key: PublicKey, tenant_id: TenantId, device_id: DeviceId, now: datetime, days: int = DEVICE_DAYS
    ) -> str:
        """Certify that this key is that device; the answer is PEM."""
        certificate = (
            _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)]), public_key, self, now, days)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.UniformResourceIdentifier(f"urn:shieldwall:{tenant_id}:device:{device_id}")]
                ),
                critical=False,
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _pem(certificate)


class LocalAuthority(_Authority, frozen=True):
    """Issues the server's own TLS certificate where no public authority can."""

    @classmethod
    def create(cls, now: datetime) -> LocalAuthority:
        """Make a new authority, good for twenty years."""
        return cls(*_new_authority("Shieldwall server", now, LOCAL_AUTHORITY_DAYS))

    @classmethod
    def from_pem(cls, key: bytes, certificate: bytes) -> LocalAuthority:
        """Read an authority back. Raises: BadAuthorityError."""
        return cls(*_read_authority(key, certificate))

    def issue_server(self, names: Iterable[str], now: datetime, days: int = SERVER_DAYS) -> tuple[str, str]:
        """Make a key and a certificate for ``localhost`` and the host names and addresses given.

        Returns:
            The certificate chain in PEM, leaf first, and the key in PEM.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
        return self.certify_server(key.public_key(), names, now, days), key_pem

    def certify_server(
        self, public_key: CertificatePublicKeyTypes, names: Iterable[str], now: datetime, days: int = SERVER_DAYS
    ) -> str:
        """Certify that a server with this key has these names, and ``localhost``; the chain in PEM, leaf first.

        Raises:
            ValueError: One of the names is none.
        """
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys((*_ALWAYS, *names))])
        certificate = (
            _certificate(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Shieldwall")]), public_key, self, now, days
            )
            .add_extension(alternatives, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _pem(certificate) + self.certificate_pem

    def issued(self, certificate: x509.Certificate) -> bool:
        """Say whether a certificate is one of this authority's."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, *UNREADABLE):
            return False
        return True

    def issue_client(self, name: str, now: datetime, days: int = SERVER_DAYS) -> tuple[str, str]:
        """Make a key and a certificate by which a machine of the server shows who it is; both in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), self, now, days)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
        return _pem(certificate), key_pem


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the host names and addresses that a certificate is for. Raises: ValueError: they cannot be read."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except UNREADABLE as error:
        raise ValueError(f"The names of the certificate cannot be read: {error}") from None
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _new_authority(
    name: str, now: datetime, days: int = AUTHORITY_DAYS
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return key, _certificate_of_authority(key, subject, now, now, days)


def _certificate_of_authority(
    key: ec.EllipticCurvePrivateKey, name: x509.Name, since: datetime, now: datetime, days: int = AUTHORITY_DAYS
) -> x509.Certificate:
    return (
        _builder(name, name, key.public_key(), since, now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _read_authority(key_pem: bytes, certificate_pem: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except UNREADABLE:
        raise BadAuthorityError("Key or certificate of the authority cannot be read.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadAuthorityError("The key of the authority is not on the curve P-256.")
    return key, certificate


def _certificate(
    subject: x509.Name, public_key: CertificatePublicKeyTypes, issuer: _Authority, now: datetime, days: int
) -> x509.CertificateBuilder:
    not_after = min(now + timedelta(days=days), issuer.certificate.not_valid_after_utc)
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(subject, issuer.certificate.subject, public_key, now, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: CertificatePublicKeyTypes, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)  # a device whose clock lags a little can use it at once
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
