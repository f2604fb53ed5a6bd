"""Where a device's private key lives: in a TPM where there is one, in a vault of the system, else in a file.

On disk stands one document either way. For a key in a file it is the key (PKCS #8); for one in a TPM it is JSON with
what the TPM gave out: public areas, and private parts that no other TPM can open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.tpm import Endorsement, Tpm, WrappedKey
from shieldwall.agent.host.tpm_device import TpmError
from shieldwall.agent.service.key_vaults import KeptKey, KeyVault
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import Digest, KeyThumbprint
from shieldwall.trust import strict_base64, tpm
from shieldwall.trust.device_key import (
    BadDeviceKeyError,
    DeviceKey,
    KeyProtection,
    PublicKey,
    SigningKey,
    is_signed_by,
    thumbprint,
)

OpenTpm = Callable[[], Tpm]
"""Opens this machine's TPM; the caller closes it."""
_PROBE: Final = b"shieldwall-key-probe"


class TpmKeyRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A device key in a TPM, with the key that vouches for it there, as they stand on disk."""

    protection: Literal["tpm"] = "tpm"
    public: str
    private: str
    attestation_public: str
    attestation_private: str


class TpmKey(Struct, frozen=True, kw_only=True):
    """A signing key in a TPM; ``attestation`` is the restricted key that speaks for it."""

    key: WrappedKey
    attestation: WrappedKey
    open_tpm: OpenTpm

    @property
    def public_key(self) -> PublicKey:
        """See ``SigningKey.public_key``."""
        return tpm.curve_key(tpm.read_public_area(self.key.public))

    @property
    def thumbprint(self) -> KeyThumbprint:
        """See ``SigningKey.thumbprint``."""
        return thumbprint(self.public_key)

    @property
    def protection(self) -> KeyProtection:
        """See ``SigningKey.protection``."""
        return "tpm"

    def sign(self, data: bytes) -> bytes:
        """See ``SigningKey.sign``; the TPM is asked anew each time, for it may have slept since. Raises: TpmError."""
        with self.open_tpm() as device:
            return device.sign(self.key, data)


def make_key(open_tpm: OpenTpm | None, vault: KeyVault | None = None) -> SigningKey:
    """Make a new key, in a vault or the TPM if it plays along. One that does not is no reason to have no key."""
    if vault is not None:
        with contextlib.suppress(HostError):
            return vault.make()
    if open_tpm is not None:
        try:
            return make_tpm_key(open_tpm)
        except TpmError:
            pass
    return DeviceKey.generate()


def make_tpm_key(open_tpm: OpenTpm) -> TpmKey:
    """Make a new key in the TPM, and see that it signs. Raises: TpmError."""
    with open_tpm() as device:
        made = TpmKey(
            key=device.make_key(tpm.DEVICE_KEY), attestation=device.make_key(tpm.ATTESTATION_KEY), open_tpm=open_tpm
        )
        if not is_signed_by(made.public_key, device.sign(made.key, _PROBE), _PROBE):
            raise TpmError("The TPM's signatures do not fit its key.")
        return made


def write_key(key: SigningKey) -> bytes:
    """Write a key for the disk. Raises: BadDeviceKeyError."""
    match key:
        case DeviceKey():
            return key.to_pem()
        case TpmKey():
            encode = strict_base64.encode
            return strict_json.encode(
                TpmKeyRecord(
                    public=encode(key.key.public),
                    private=encode(key.key.private),
                    attestation_public=encode(key.attestation.public),
                    attestation_private=encode(key.attestation.private),
                )
            )
        case KeptKey():
            return key.record()
        case _:
            raise BadDeviceKeyError("A key of this kind cannot be kept on disk.")


def read_key(content: bytes, open_tpm: OpenTpm | None, vault: KeyVault | None = None) -> SigningKey:
    """Read a key back; neither vault nor TPM is touched before it has to sign. Raises: BadDeviceKeyError."""
    if not content.startswith(b"{"):
        return DeviceKey.from_pem(content)
    if vault is not None:
        return vault.find(content)
    try:
        record = strict_json.decode(content, TpmKeyRecord)
        decode = strict_base64.decode
        key = WrappedKey(public=decode(record.public), private=decode(record.private))
        attestation = WrappedKey(public=decode(record.attestation_public), private=decode(record.attestation_private))
        tpm.curve_key(tpm.read_public_area(key.public))
    except (InvalidJsonError, ValueError, tpm.MalformedTpmStructureError):
        raise BadDeviceKeyError("The file does not hold a key of a TPM.") from None
    return TpmKey(key=key, attestation=attestation, open_tpm=open_tpm or _no_tpm)


def tpm_hash(endorsement: Endorsement) -> Digest:
    """Name a TPM by its endorsement key. Raises: MalformedTpmStructureError."""
    from shieldwall.trust.endorsement import endorsement_hash  # noqa: PLC0415 - megabytes that a rest does without

    return endorsement_hash(tpm.endorsement_key(tpm.read_public_area(endorsement.public)))


def _no_tpm() -> Tpm:
    raise TpmError("The device key lives in a TPM, and this machine has none.")
