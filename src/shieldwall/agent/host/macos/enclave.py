"""Keys in the Secure Enclave, by Apple's Security framework and nothing else.

A key that is not *permanent* needs no keychain, and so none of the entitlements that only signed applications have. The
framework gives out its blob as the attribute ``toid`` (``kSecAttrTokenOID``) and makes the key of it again. The blob is
wrapped by the enclave of this machine; no other can open it.

Whether the enclave serves a background process before anybody has logged in depends on the key's accessibility; it is
*always, on this device alone*: the file with the blob lies on a disk that FileVault guards. Nothing is believed before
a signature was tried (``agent.macos.vault``), and a machine that does not play along gets a key in a file.

Sources: Apple, *Protecting keys with the Secure Enclave*, *SecKeyCreateRandomKey*, *SecKeyCreateWithData*; Apple's
published source of the Security framework, ``SecItemPriv.h`` and the regression tests of token keys, for ``toid``.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from msgspec import Struct

from shieldwall.agent.host.macos.frameworks import EnclaveError, Frameworks, Held, load

_BITS: Final = 256
_FOR_SIGNING: Final = 1 << 30
"""``kSecAccessControlPrivateKeyUsage``."""
_BLOB: Final = "toid"
_POINT_BYTES: Final = 65


class EnclaveKey(Struct, frozen=True, kw_only=True):
    """A key in the enclave: its public point, uncompressed (65 bytes), and its blob, of use to this enclave alone."""

    point: bytes
    blob: bytes


class SecureEnclave(Struct, frozen=True):
    """Makes keys on the curve P-256 and signs with them."""

    frameworks: Frameworks

    def make(self) -> EnclaveKey:
        """Make a new key. Raises: EnclaveError."""
        with self._held() as held:
            private = held.dictionary(
                {"kSecAttrIsPermanent": held.constant("kCFBooleanFalse"), "kSecAttrAccessControl": self._access(held)}
            )
            key = held.call(
                "SecKeyCreateRandomKey",
                held.dictionary({**_kind(held), "kSecPrivateKeyAttrs": private}),
            )
            attributes = held.keep(held.security.SecKeyCopyAttributes(key), "SecKeyCopyAttributes")
            blob = held.core.CFDictionaryGetValue(attributes, held.text(_BLOB))
            if not blob:
                raise EnclaveError("The Secure Enclave gives out no blob of its key.")
            return EnclaveKey(point=self._point(held, key), blob=held.bytes_of(blob))

    def sign(self, blob: bytes, data: bytes) -> bytes:
        """Sign with SHA-256 and return ``r`` and ``s``, 32 bytes each. Raises: EnclaveError."""
        with self._held() as held:
            attributes = held.dictionary(
                {**_kind(held), "kSecAttrKeyClass": held.constant("kSecAttrKeyClassPrivate")},
                texts={_BLOB: held.data(blob)},
            )
            key = held.call("SecKeyCreateWithData", held.data(b""), attributes)
            algorithm = held.constant("kSecKeyAlgorithmECDSASignatureMessageX962SHA256")
            signature = held.call("SecKeyCreateSignature", key, algorithm, held.data(data))
            try:
                r, s = decode_dss_signature(held.bytes_of(signature))
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")
            except (ValueError, OverflowError):
                raise EnclaveError("The Secure Enclave gives out what is no signature.") from None

    def _point(self, held: Held, key: int) -> bytes:
        public = held.keep(held.security.SecKeyCopyPublicKey(key), "SecKeyCopyPublicKey")
        point = held.bytes_of(held.call("SecKeyCopyExternalRepresentation", public))
        if len(point) != _POINT_BYTES:
            raise EnclaveError("The Secure Enclave gives out a public key of another kind.")
        return point

    def _access(self, held: Held) -> int:
        return held.call(
            "SecAccessControlCreateWithFlags",
            None,
            held.constant("kSecAttrAccessibleAlwaysThisDeviceOnly"),
            ctypes.c_ulong(_FOR_SIGNING),
        )

    @contextmanager
    def _held(self) -> Iterator[Held]:
        held = Held(self.frameworks)
        try:
            yield held
        finally:
            held.release()


def _kind(held: Held) -> dict[str, Any]:
    return {
        "kSecAttrKeyType": held.constant("kSecAttrKeyTypeECSECPrimeRandom"),
        "kSecAttrKeySizeInBits": held.number(_BITS),
        "kSecAttrTokenID": held.constant("kSecAttrTokenIDSecureEnclave"),
    }


def secure_enclave() -> SecureEnclave | None:
    """Return the Secure Enclave of this machine; ``None`` where there is no macOS around us, or no such framework.

    A Mac without an enclave has the framework all the same: making a key fails there.
    """
    frameworks = load() if sys.platform == "darwin" else None
    return None if frameworks is None else SecureEnclave(frameworks)
