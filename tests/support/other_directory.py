"""Another directory: an authority of its own, the certificates it gave its devices, and proofs by their keys."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.registration import ExistingRegistrationProof, PromoteRequest, RegisterRequest
from shieldwall.trust.existing_keys import ExistingCertificate, read_existing_certificate
from shieldwall.trust.key_proofs import ExistingPrivateKey, message, sign_existing, spoken_about

P256 = "p256"
KINDS = (P256, "p384", "rsa")
_RSA: dict[int, rsa.RSAPrivateKey] = {}


def a_key(kind: str = P256, *, bits: int = 2048) -> ExistingPrivateKey:
    """A key of this kind; RSA keys are costly to make, so there is one of each size."""
    if kind == "rsa":
        if bits not in _RSA:
            _RSA[bits] = rsa.generate_private_key(65537, bits)
        return _RSA[bits]
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


@dataclass(frozen=True)
class Holder:
    """A device of the other directory: its key there, and the certificate of that key."""

    key: ExistingPrivateKey
    certificate: x509.Certificate

    @property
    def presented(self) -> ExistingCertificate:
        return read_existing_certificate(self.der)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def proof(
        self,
        request: RegisterRequest | PromoteRequest,
        *,
        tenant_id: TenantId,
        nonce: str,
        spki: bytes,
        chain: tuple[x509.Certificate, ...] = (),
    ) -> ExistingRegistrationProof:
        """Prove that the sender of a request, which has no proof yet, holds the key."""
        algorithm, signature = sign_existing(self.key, message(tenant_id, nonce, spki, spoken_about(request)))
        return ExistingRegistrationProof(
            certificate=base64.b64encode(self.der).decode(),
            chain=tuple(base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain),
            algorithm=algorithm,
            signature=base64.b64encode(signature).decode(),
        )


class OtherDirectory:
    """An authority that issues certificates to devices."""

    def __init__(self, now: datetime, *, kind: str = P256, name: str = "Contoso devices") -> None:
        self.now = now
        self.key = a_key(kind)
        self.certificate = self._issued(self.key.public_key(), name, name, self.key, authority=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def holder(
        self, device_id: DeviceId | str, *, key: ExistingPrivateKey | None = None, days: int = 365, **names: Any
    ) -> Holder:
        """A device of this id, with a certificate that begins a day ago and lives so long."""
        own = a_key() if key is None else key
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        certificate = self._issued(own.public_key(), str(device_id), str(issuer), self.key, days=days, **names)
        return Holder(own, certificate)

    def intermediate(self, name: str = "Contoso branch") -> OtherDirectory:
        """An authority under this one."""
        made = OtherDirectory(self.now, name=name)
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        made.certificate = self._issued(made.key.public_key(), name, str(issuer), self.key, authority=True)
        return made

    def _issued(
        self,
        public_key: Any,
        name: str,
        issuer: str,
        signer: ExistingPrivateKey,
        *,
        days: int = 365,
        authority: bool = False,
        uri: str | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if uri is not None:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(signer, hashes.SHA256())
