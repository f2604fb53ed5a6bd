"""Reading a device certificate: until when it is good, and for which key. Whose it is, the directory decides."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust.device_key import thumbprint
from shieldwall.trust.x509_errors import UNREADABLE

_MAX_BYTES: Final = 16 * 1024


class BadDeviceCertificateError(ShieldwallError):
    """What should be a device certificate is none."""

    code = "badDeviceCertificate"
    remedy = "Let the agent renew its certificate; if that fails, onboard the device again."


class DeviceCertificate(Struct, frozen=True, kw_only=True):
    """What a device certificate says of its time and key."""

    not_before: datetime
    not_after: datetime
    key: KeyThumbprint


def read_certificate(pem: str) -> DeviceCertificate:
    """Read the first certificate of a PEM text. Raises: BadDeviceCertificateError."""
    if len(pem) > _MAX_BYTES:
        raise BadDeviceCertificateError(f"The certificate is longer than {_MAX_BYTES} bytes.")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        public_key = certificate.public_key()
    except UNREADABLE:
        raise BadDeviceCertificateError("The certificate cannot be read as PEM.") from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise BadDeviceCertificateError("The key of the certificate is not on the curve P-256.")
    return DeviceCertificate(
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=thumbprint(public_key),
    )
