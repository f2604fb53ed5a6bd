"""The certificate request of a registration: PKCS #10 in one strict shape.

A P-256 key, an empty subject, the registration nonce in one extension, and nothing else. The server takes names from
the registration and ids from itself, so a request that asks for a name or an address asks for too much.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.device_key import PublicKey, SigningKey, public_key_info
from shieldwall.trust.foreign_key import ForeignKey
from shieldwall.trust.x509_errors import UNREADABLE

MAX_REQUEST_BYTES: Final = 2048
MAX_NONCE_LENGTH: Final = 512
NONCE_EXTENSION: Final = x509.ObjectIdentifier("2.25.146376250063488172031565876977725157009")
"""Under the arc that X.667 gives to everyone with a UUID: 6e1f0a52-0c0b-4d5e-9b66-3f5a4c7d2e91."""
_EXTENSION_REQUEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.14")


class BadCertificateRequestError(ShieldwallError):
    """The certificate request is not in our one shape."""

    code = "badCertificateRequest"
    remedy = "Register with a request made by the agent: P-256 key, empty subject, the nonce of this registration."


class CertificateRequestFacts(Struct, frozen=True, kw_only=True):
    """What a request proves: its sender holds this key and made the request for this nonce."""

    public_key: PublicKey
    nonce: str
    spki: bytes


def build_request(key: SigningKey, nonce: str) -> bytes:
    """Ask for a certificate; the answer is PKCS #10 in DER."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(
        x509.UnrecognizedExtension(NONCE_EXTENSION, asn1.encode_der(nonce)), critical=False
    )
    return builder.sign(ForeignKey(key), hashes.SHA256()).public_bytes(Encoding.DER)


def read_request(der: bytes) -> CertificateRequestFacts:
    """Read a certificate request, cheapest checks first.

    Raises:
        BadCertificateRequestError: It is not exactly in our shape, or not signed by its own key.
    """
    if len(der) > MAX_REQUEST_BYTES:
        raise BadCertificateRequestError(f"The certificate request is larger than {MAX_REQUEST_BYTES} bytes.")
    try:
        return _read(der, x509.load_der_x509_csr(der))
    except UNREADABLE:
        raise BadCertificateRequestError("The certificate request cannot be read as PKCS #10 in DER.") from None


def _read(der: bytes, request: x509.CertificateSigningRequest) -> CertificateRequestFacts:
    if request.subject.rdns:
        raise BadCertificateRequestError("The certificate request names a subject; the server gives the name.")
    if [attribute.oid for attribute in request.attributes] != [_EXTENSION_REQUEST]:
        raise BadCertificateRequestError("The certificate request carries other attributes than its extensions.")
    public_key = request.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise BadCertificateRequestError("The key of the certificate request is not on the curve P-256.")
    if request.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise BadCertificateRequestError("The certificate request is not signed with ECDSA and SHA-256.")
    if not der.endswith(b"\0" + request.signature) or not request.is_signature_valid:  # \0: no unused bits
        raise BadCertificateRequestError("The certificate request is not signed by its own key.")
    return CertificateRequestFacts(public_key=public_key, nonce=_nonce(request), spki=public_key_info(public_key))


def _nonce(request: x509.CertificateSigningRequest) -> str:
    extensions = list(request.extensions)
    if [extension.oid for extension in extensions] != [NONCE_EXTENSION]:
        raise BadCertificateRequestError("The certificate request must carry the nonce and no other extension.")
    value = extensions[0].value
    assert isinstance(value, x509.UnrecognizedExtension), "no library knows our own extension"
    nonce = asn1.decode_der(str, value.value)
    if not 0 < len(nonce) <= MAX_NONCE_LENGTH or not (nonce.isascii() and nonce.isprintable()):
        raise BadCertificateRequestError("The nonce of the certificate request is empty, too long or not plain text.")
    return nonce
