"""The two keys of the broker's trust, in ``DATA/push``: worth little, since nothing passes there but "check in now"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.settings import write_private

_OPERATOR: Final = "operator.key"
ACCOUNT: Final = "account.key"
_SEED_BYTES: Final = 32


class NoPushKeysError(ShieldwallError):
    """A message broker is set, and its keys are not there."""

    code = "noPushKeys"
    remedy = "Make them with `shieldwall server push init`, or take `push` out of server.json."


@dataclass(frozen=True, slots=True, kw_only=True)
class PushKeys:
    """The key of the broker's operator, and that of the account in which devices and server meet."""

    operator: Ed25519PrivateKey
    account: Ed25519PrivateKey


def make(directory: Path) -> PushKeys:
    """Make keys where there are none, and return those that are there."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for name in (_OPERATOR, ACCOUNT):
        if not (directory / name).exists():
            write_private(directory / name, Ed25519PrivateKey.generate().private_bytes_raw())
    return load(directory)


def load(directory: Path) -> PushKeys:
    """Read the keys. Raises: NoPushKeysError."""
    return PushKeys(operator=_read(directory / _OPERATOR), account=load_account(directory))


def load_account(directory: Path) -> Ed25519PrivateKey:
    """Read the key that says who may wake and who may listen, which is all that a server needs to run.

    Raises:
        NoPushKeysError: It is not there.
    """
    return _read(directory / ACCOUNT)


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        seed = path.read_bytes()
    except OSError as error:
        raise NoPushKeysError(f"{path} cannot be read: {error.strerror}.") from None
    if len(seed) != _SEED_BYTES:
        raise NoPushKeysError(f"{path} does not hold a key.")
    return Ed25519PrivateKey.from_private_bytes(seed)
