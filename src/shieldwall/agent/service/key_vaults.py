"""Places beside a TPM of Linux and a plain file in which a device key can live: CNG and DPAPI on Windows, the Keychain.

On disk stands one JSON document, in which ``protection`` names the vault and the rest is what that vault needs.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from shieldwall.trust.device_key import SigningKey


@runtime_checkable
class KeptKey(SigningKey, Protocol):
    """A signing key of a vault."""

    def record(self) -> bytes:
        """Write down how it is found again: JSON, with nothing in it that signs by itself."""
        ...


class KeyVault(Protocol):
    """Makes and finds keys."""

    def make(self) -> KeptKey:
        """Make a new key in the safest place that this vault has, and see that it signs.

        Raises:
            HostError: The vault refuses; a key in a file is then better than none.
        """
        ...

    def find(self, record: bytes) -> KeptKey:
        """Return the key that a record names; nothing has to answer before it signs.

        Raises:
            BadDeviceKeyError: The record is none of this vault.
        """
        ...

    def forget(self, record: bytes) -> None:
        """Destroy the key that a record names, where it outlives its record. What is gone already is fine."""
        ...
