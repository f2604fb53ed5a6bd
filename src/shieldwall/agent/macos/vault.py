"""Where a device key lives on a Mac: in the Secure Enclave. Where there is none, the caller keeps it in a file."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from shieldwall.agent.host.macos.enclave import SecureEnclave, secure_enclave
from shieldwall.agent.host.macos.frameworks import EnclaveError
from shieldwall.agent.service.key_vaults import KeptKey
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import (
    BadDeviceKeyError,
    KeyProtection,
    PublicKey,
    is_signed_by,
    public_key_bytes,
    public_key_from_bytes,
    thumbprint,
)

_PROBE: Final = b"shieldwall-key-probe"


class EnclaveRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key in the enclave, as it stands on disk: its blob, of use to that enclave alone, and its public point."""

    protection: Literal["secureEnclave"] = "secureEnclave"
    blob: str
    point: str


class KeyInEnclave(Struct, frozen=True, kw_only=True):
    """A key in the enclave. Implements ``KeptKey``."""

    enclave: SecureEnclave | None
    blob: bytes
    public_key: PublicKey

    @property
    def thumbprint(self) -> KeyThumbprint:
        """See ``SigningKey.thumbprint``."""
        return thumbprint(self.public_key)

    @property
    def protection(self) -> KeyProtection:
        """See ``SigningKey.protection``."""
        return "secureEnclave"

    def sign(self, data: bytes) -> bytes:
        """See ``SigningKey.sign``. Raises: EnclaveError."""
        if self.enclave is None:
            raise EnclaveError("The device key lives in a Secure Enclave, and this machine has none.")
        return self.enclave.sign(self.blob, data)

    def record(self) -> bytes:
        """See ``KeptKey.record``."""
        point = strict_base64.encode(public_key_bytes(self.public_key))
        return strict_json.encode(EnclaveRecord(blob=strict_base64.encode(self.blob), point=point))


class MacosVault(Struct, frozen=True, kw_only=True):
    """Implements ``KeyVault``."""

    enclave: SecureEnclave | None

    def make(self) -> KeptKey:
        """See ``KeyVault.make``. Raises: EnclaveError."""
        if self.enclave is None:
            raise EnclaveError("This machine has no Secure Enclave.")
        made = self.enclave.make()
        try:
            key = KeyInEnclave(enclave=self.enclave, blob=made.blob, public_key=public_key_from_bytes(made.point))
        except BadDeviceKeyError as error:
            raise EnclaveError(f"The Secure Enclave makes no key of use: {error.cause}") from error
        if not is_signed_by(key.public_key, key.sign(_PROBE), _PROBE):
            raise EnclaveError("The signatures of the Secure Enclave do not fit its key.")
        return key

    def find(self, record: bytes) -> KeptKey:
        """See ``KeyVault.find``. Raises: BadDeviceKeyError."""
        try:
            read = strict_json.decode(record, EnclaveRecord)
            blob, point = strict_base64.decode(read.blob), strict_base64.decode(read.point)
        except (InvalidJsonError, ValueError):
            raise BadDeviceKeyError("The file does not hold a key of a Secure Enclave.") from None
        return KeyInEnclave(enclave=self.enclave, blob=blob, public_key=public_key_from_bytes(point))

    def forget(self, record: bytes) -> None:
        """See ``KeyVault.forget``: with its blob, a key of the enclave is gone."""


def macos_vault() -> MacosVault:
    """Return the vault of this Mac."""
    return MacosVault(enclave=secure_enclave())
