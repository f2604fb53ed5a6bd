"""Where a device key lives on Windows: in the TPM by CNG, else in a file that DPAPI seals for the agent's account."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import ClassVar, Final, Literal, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.service.key_vaults import KeptKey
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import (
    POINT_BYTES,
    SIGNATURE_BYTES,
    BadDeviceKeyError,
    DeviceKey,
    KeyProtection,
    PublicKey,
    is_signed_by,
    thumbprint,
)

_PROBE: Final = b"shieldwall-key-probe"
_NAME: Final = "Shieldwall-device-"
_ECDSA_P256: Final = b"ECS1" + (32).to_bytes(4, "little")


class CngError(HostError):
    """Windows refused a key; ``status`` is its number."""

    code: ClassVar[str] = "keyStoreRefused"
    remedy: ClassVar[str] = "See by `tpmtool getdeviceinformation` whether the TPM is ready; the number says more."

    def __init__(self, cause: str, *, status: int = 0, remedy: str | None = None) -> None:
        super().__init__(f"{cause} (0x{status:08x})." if status else cause, remedy=remedy)
        self.status = status


class NamedKeys(Protocol):
    """Keys that a store has by name and never gives out."""

    def make(self, name: str) -> bytes:
        """Make a key on P-256; returns its public point, uncompressed. Raises: HostError."""
        ...

    def sign(self, name: str, digest: bytes) -> bytes:
        """Sign a SHA-256; returns r and s. Raises: HostError."""
        ...

    def destroy(self, name: str) -> None:
        """Destroy a key; one that is not there is fine. Raises: HostError."""
        ...


class Seal(Protocol):
    """Seals bytes for this account on this machine."""

    def seal(self, content: bytes) -> bytes:
        """Seal. Raises: HostError."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Open what was sealed. Raises: HostError."""
        ...


class VaultRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as it stands on disk: in the TPM, by its name there and its public point; or in this file, sealed."""

    protection: Literal["cng", "dpapi"]
    name: str = ""
    point: str = ""
    sealed: str = ""


class CngKey(Struct, frozen=True, kw_only=True):
    """A key in the TPM."""

    keys: NamedKeys
    name: str
    point: bytes

    @property
    def public_key(self) -> PublicKey:
        """See ``SigningKey.public_key``."""
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.point)

    @property
    def thumbprint(self) -> KeyThumbprint:
        """See ``SigningKey.thumbprint``."""
        return thumbprint(self.public_key)

    @property
    def protection(self) -> KeyProtection:
        """See ``SigningKey.protection``."""
        return "tpm"

    def sign(self, data: bytes) -> bytes:
        """See ``SigningKey.sign``. Raises: HostError."""
        signature = self.keys.sign(self.name, hashlib.sha256(data).digest())
        if len(signature) != SIGNATURE_BYTES:
            raise CngError("The TPM's signature has a senseless length.")
        return signature

    def record(self) -> bytes:
        """See ``KeptKey.record``."""
        return strict_json.encode(VaultRecord(protection="cng", name=self.name, point=strict_base64.encode(self.point)))


class SealedKey(Struct, frozen=True, kw_only=True):
    """A key that lies sealed in a file, and in memory while the agent runs."""

    key: DeviceKey
    sealed: bytes

    @property
    def public_key(self) -> PublicKey:
        """See ``SigningKey.public_key``."""
        return self.key.public_key

    @property
    def thumbprint(self) -> KeyThumbprint:
        """See ``SigningKey.thumbprint``."""
        return self.key.thumbprint

    @property
    def protection(self) -> KeyProtection:
        """See ``SigningKey.protection``."""
        return "software"

    def sign(self, data: bytes) -> bytes:
        """See ``SigningKey.sign``."""
        return self.key.sign(data)

    def record(self) -> bytes:
        """See ``KeptKey.record``."""
        return strict_json.encode(VaultRecord(protection="dpapi", sealed=strict_base64.encode(self.sealed)))


class WindowsVault(Struct, frozen=True, kw_only=True):
    """Implements ``KeyVault``. ``keys`` is ``None`` on a machine without a TPM."""

    keys: NamedKeys | None
    seal: Seal
    randomness: Callable[[int], bytes]

    def make(self) -> KeptKey:
        """See ``KeyVault.make``. Raises: HostError."""
        if self.keys is not None:
            try:
                return self._in_tpm(self.keys)
            except HostError:
                pass  # a TPM that does not play along is no reason to have no key
        key = DeviceKey.generate()
        return SealedKey(key=key, sealed=self.seal.seal(key.to_pem()))

    def find(self, record: bytes) -> KeptKey:
        """See ``KeyVault.find``. Raises: BadDeviceKeyError."""
        try:
            read = strict_json.decode(record, VaultRecord)
            if read.protection == "dpapi":
                sealed = strict_base64.decode(read.sealed)
                return SealedKey(key=DeviceKey.from_pem(self.seal.open(sealed)), sealed=sealed)
            point = strict_base64.decode(read.point)
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except BadDeviceKeyError:
            raise
        except (InvalidJsonError, ValueError):
            raise BadDeviceKeyError("The file does not hold a key of Windows.") from None
        except ShieldwallError as error:
            raise BadDeviceKeyError(f"The key cannot be opened: {error.cause}") from error
        return CngKey(keys=self.keys or _NoKeys(), name=read.name, point=point)

    def forget(self, record: bytes) -> None:
        """See ``KeyVault.forget``. Raises: HostError."""
        try:
            read = strict_json.decode(record, VaultRecord)
        except InvalidJsonError:
            return
        if read.protection == "cng" and self.keys is not None:
            self.keys.destroy(read.name)

    def _in_tpm(self, keys: NamedKeys) -> CngKey:
        name = _NAME + self.randomness(16).hex()
        made = CngKey(keys=keys, name=name, point=keys.make(name))
        try:
            fits = is_signed_by(made.public_key, made.sign(_PROBE), _PROBE)
        except ValueError:
            fits = False
        if not fits:
            keys.destroy(name)
            raise CngError("The TPM's signatures do not fit its key.")
        return made


class _NoKeys:
    """A machine whose TPM is gone."""

    def make(self, name: str) -> bytes:
        """See ``NamedKeys.make``. Raises: CngError."""
        raise CngError(f"There is no TPM for the key {name}.")

    def sign(self, name: str, digest: bytes) -> bytes:
        """See ``NamedKeys.sign``. Raises: CngError."""
        raise CngError(f"There is no TPM that signs {len(digest)} bytes with the key {name}.")

    def destroy(self, name: str) -> None:
        """See ``NamedKeys.destroy``: it went with its TPM."""


def point_of(blob: bytes) -> bytes:
    """Return the uncompressed point in a ``BCRYPT_ECCKEY_BLOB``. Raises: CngError."""
    if len(blob) != len(_ECDSA_P256) + POINT_BYTES - 1 or not blob.startswith(_ECDSA_P256):
        raise CngError("The key that Windows made is none on P-256.")
    return b"\x04" + blob[len(_ECDSA_P256) :]
