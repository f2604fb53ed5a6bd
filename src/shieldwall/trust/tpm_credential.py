"""TPM2_MakeCredential without a TPM: a secret that only one TPM can open, and only while it holds one key.

TPM 2.0 Library, Part 1, section 24 and the annexes on RSA and ECC. The seed goes to the endorsement key; from it come
a cipher key bound to the name of the other key and the key of the integrity check.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from msgspec import Struct

from shieldwall.trust.tpm import COORDINATE_BYTES, EndorsementPublicKey, sized

SECRET_BYTES: Final = 32
_SEED_BYTES: Final = 32
_KEY_BYTES: Final = 16
_BLOCK_BYTES: Final = 16
_IDENTITY: Final = b"IDENTITY\0"


class Credential(Struct, frozen=True, kw_only=True):
    """What TPM2_ActivateCredential takes: the contents of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET."""

    blob: bytes
    encrypted_seed: bytes


def make_credential(
    endorsement: EndorsementPublicKey, name: bytes, secret: bytes, make_random: Callable[[int], bytes]
) -> Credential:
    """Seal ``secret`` for the TPM of this endorsement key, to be opened while it holds the key called ``name``."""
    seed, encrypted_seed = (
        _seed_for_rsa(endorsement, make_random)
        if isinstance(endorsement, rsa.RSAPublicKey)
        else _seed_for_curve(endorsement)
    )
    identity = _encrypt(_derive(seed, b"STORAGE", name, _KEY_BYTES), sized(secret))
    integrity = hmac.digest(_derive(seed, b"INTEGRITY", b"", 32), identity + name, "sha256")
    return Credential(blob=sized(integrity) + identity, encrypted_seed=encrypted_seed)


def _seed_for_rsa(key: rsa.RSAPublicKey, make_random: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    seed = make_random(_SEED_BYTES)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=_IDENTITY)
    return seed, key.encrypt(seed, oaep)


def _seed_for_curve(key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    shared = ephemeral.exchange(ec.ECDH(), key)
    own = ephemeral.public_key().public_numbers()
    parties = _coordinate(own.x) + _coordinate(key.public_numbers().x)
    seed = ConcatKDFHash(hashes.SHA256(), _SEED_BYTES, _IDENTITY + parties).derive(shared)  # KDFe
    return seed, sized(_coordinate(own.x)) + sized(_coordinate(own.y))


def _derive(seed: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """KDFa is the counter mode of NIST SP 800-108 with numbers of four bytes."""
    return KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=length,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    ).derive(seed)


def _encrypt(key: bytes, plain: bytes) -> bytes:
    """AES in CFB mode from a zero vector, as the TPM has it; each key is used once, and the integrity is checked."""
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(_BLOCK_BYTES))).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def _coordinate(number: int) -> bytes:
    return number.to_bytes(COORDINATE_BYTES, "big")
