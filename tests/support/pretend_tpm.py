"""A TPM made of software keys, for tests in which it lies: its structures are right, its promises are not."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.registration import AttestationChallenge, AttestationOffer, AttestRequest
from shieldwall.trust import attestation, strict_base64, tpm
from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.tpm import Attribute, sized

GENERATED = bytes.fromhex("ff544347")
CERTIFY = bytes.fromhex("8017")
ALL_ZERO_CLOCK = bytes(25)


def curve_area(key: ec.EllipticCurvePublicKey, template: bytes) -> bytes:
    """A public area after a template on P-256 whose place for the key is empty or full of zeros."""
    point = public_key_bytes(key)
    body = template[: -2 * 34] if template.endswith(sized(bytes(32)) * 2) else template[:-4]
    return body + sized(point[1:33]) + sized(point[33:])


def rsa_area(key: rsa.RSAPublicKey) -> bytes:
    return tpm.rsa_endorsement_template()[:-256] + key.public_numbers().n.to_bytes(256, "big")


def kdfa(seed: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Written from the TPM's own specification: a counter, the label with its zero, the context, the number of bits."""
    message = (1).to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.digest(seed, message, "sha256")[: bits // 8]


@dataclass
class PretendTpm:
    """Its keys lie open in memory."""

    device_key: DeviceKey = field(default_factory=DeviceKey.generate)
    attestation_key: DeviceKey = field(default_factory=DeviceKey.generate)
    endorsement: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    device_attributes: Attribute = tpm.DEVICE_KEY
    attestation_attributes: Attribute = tpm.ATTESTATION_KEY

    @property
    def endorsement_area(self) -> bytes:
        if isinstance(self.endorsement, rsa.RSAPrivateKey):
            return rsa_area(self.endorsement.public_key())
        return curve_area(self.endorsement.public_key(), tpm.curve_endorsement_template())

    @property
    def attestation_area(self) -> bytes:
        return curve_area(self.attestation_key.public_key, tpm.curve_template(self.attestation_attributes))

    @property
    def device_area(self) -> bytes:
        return curve_area(self.device_key.public_key, tpm.curve_template(self.device_attributes))

    def offer(self, *, certificate: bytes | None = None, chain: tuple[bytes, ...] = ()) -> AttestationOffer:
        encode = strict_base64.encode
        return AttestationOffer(
            endorsement_public=encode(self.endorsement_area),
            endorsement_certificate=None if certificate is None else encode(certificate),
            endorsement_chain=tuple(map(encode, chain)),
            attestation_public=encode(self.attestation_area),
            device_public=encode(self.device_area),
        )

    def open(self, challenge: AttestationChallenge) -> bytes:
        """TPM2_ActivateCredential."""
        blob = strict_base64.decode(challenge.credential_blob)
        encrypted_seed = strict_base64.decode(challenge.encrypted_secret)
        name = tpm.read_public_area(self.attestation_area).name
        seed = self._seed(encrypted_seed)
        integrity, identity = blob[2:34], blob[34:]
        expected = hmac.digest(kdfa(seed, b"INTEGRITY", b"", 256), identity + name, "sha256")
        assert integrity == expected, "the credential is for another TPM or another key"
        decryptor = Cipher(algorithms.AES(kdfa(seed, b"STORAGE", name, 128)), CFB(bytes(16))).decryptor()
        plain = decryptor.update(identity) + decryptor.finalize()
        assert int.from_bytes(plain[:2], "big") == len(plain) - 2
        return plain[2:]

    def statement(self, *, name: bytes | None = None, qualifier: bytes = b"") -> bytes:
        """TPMS_ATTEST of TPM2_Certify."""
        of = name if name is not None else tpm.read_public_area(self.device_area).name
        parents = b"\0\x0b" + bytes(32)
        return GENERATED + CERTIFY + sized(parents) + sized(qualifier) + ALL_ZERO_CLOCK + sized(of) + sized(parents)

    def answer(
        self,
        challenge: AttestationChallenge,
        *,
        tenant_id: TenantId,
        device_id: DeviceId,
        statement: bytes | None = None,
        signer: DeviceKey | None = None,
    ) -> AttestRequest:
        secret = self.open(challenge)
        told = statement or self.statement(qualifier=attestation.qualifier(tenant_id, device_id, secret))
        encode = strict_base64.encode
        return AttestRequest(
            secret=encode(secret),
            certify_info=encode(told),
            signature=encode((signer or self.attestation_key).sign(told)),
        )

    def _seed(self, encrypted: bytes) -> bytes:
        if isinstance(self.endorsement, rsa.RSAPrivateKey):
            mask = padding.MGF1(hashes.SHA256())
            return self.endorsement.decrypt(encrypted, padding.OAEP(mask, hashes.SHA256(), label=b"IDENTITY\0"))
        x, y = encrypted[2:34], encrypted[36:68]
        other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + x + y)
        own = public_key_bytes(self.endorsement.public_key())[1:33]
        shared = self.endorsement.exchange(ec.ECDH(), other)
        return hashlib.sha256((1).to_bytes(4, "big") + shared + b"IDENTITY\0" + x + own).digest()
