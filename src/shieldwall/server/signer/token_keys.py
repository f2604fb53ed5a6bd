"""The keys that sign a tenant's tokens: one signs now, the next is published before it does, old ones until they end.

In ``DATA/keys/<tenant id>/token-keys/``, each file named by the second from which its key signs, and ``only`` where no
key before it counts; the first key is the one that the tenant was made with. A key is published for a day before it
signs, so that whoever verifies tokens knows it by then, and until the last token that it signed has ended.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import lcm
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey

from shieldwall.server.signer.errors import KeyFilesError
from shieldwall.server.signer.key_files import check_private_directory, put_secret, read_secret, sync_directory
from shieldwall.server.signer.tokens import LONGEST_TOKEN_LIFETIME

TOKEN_KEY_BITS: Final = 2048
FOLDER: Final = "token-keys"
PUBLISHED_BEFORE: Final = timedelta(days=1)
"""How long a key is known before it signs."""
ROTATE_AFTER: Final = timedelta(days=90)
"""How long a key signs before the next one is made by itself."""
_KEPT_AFTER: Final = LONGEST_TOKEN_LIFETIME + timedelta(minutes=10)
_NAME: Final = re.compile(r"([0-9]{1,12})(\.only)?\.key\.pem\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A key, from when on it signs, and its name (RFC 7638), which is not computed for every token.

    An ``only`` one was made because an earlier one may have been copied: none before it counts.
    """

    key: RSAKey = field(repr=False)
    signs_from: datetime
    name: str
    only: bool = False

    @classmethod
    def of(cls, key: RSAKey, signs_from: datetime, *, only: bool = False) -> TokenKey:
        """Name a key."""
        return cls(key=key, signs_from=signs_from, name=key.thumbprint(), only=only)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{int(self.signs_from.timestamp())}{'.only' if self.only else ''}.key.pem"

    @property
    def public(self) -> dict[str, Any]:
        """The public half as a JWK."""
        return {**self.key.as_dict(private=False), "use": "sig", "alg": "RS256", "kid": self.name}


def key_of(pem: bytes) -> RSAKey:
    """Read a key that was made here. Raises: ValueError, it is damaged.

    That its factors are prime was seen to when it was made. To prove it again takes thirty times as long as all else
    that is read of a tenant, and the signer of a thousand would not be ready in time. It is looked at whether its
    numbers fit each other.
    """
    try:
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, RSAPrivateKey) or not _fits(key.private_numbers()):
        raise ValueError("It is no RSA key, or not the one that was written.")
    return RSAKey.import_key(key)


def _fits(key: RSAPrivateNumbers) -> bool:
    """Tell whether all numbers of a key follow from its factors, so that none of them was changed."""
    public = key.public_numbers
    return (
        min(key.p, key.q) > 1
        and key.p * key.q == public.n
        and (key.d * public.e) % lcm(key.p - 1, key.q - 1) == 1
        and (key.dmp1, key.dmq1) == (key.d % (key.p - 1), key.d % (key.q - 1))
        and (key.iqmp * key.q) % key.p == 1
    )


def current(keys: Sequence[TokenKey], now: datetime) -> TokenKey:
    """Return the key that signs now. ``keys`` are ordered by when they do."""
    return next((each for each in reversed(keys) if each.signs_from <= now), keys[0])


def alive(keys: Sequence[TokenKey], now: datetime) -> tuple[TokenKey, ...]:
    """Return the keys that are still good for something: those that sign, will sign, or whose tokens may last."""
    followers = (*keys[1:], None)
    return tuple(
        key
        for key, follower in zip(keys, followers, strict=True)
        if follower is None or now < follower.signs_from + _KEPT_AFTER
    )


def counting(keys: Sequence[TokenKey]) -> tuple[TokenKey, ...]:
    """Return the keys from the last one on before which none counts."""
    start = max((number for number, key in enumerate(keys) if key.only), default=0)
    return tuple(keys[start:])


def is_due(keys: Sequence[TokenKey], now: datetime) -> bool:
    """Tell whether the newest key has signed so long that another one should be made."""
    return now >= keys[-1].signs_from + ROTATE_AFTER


class TokenKeyRing:
    """The keys of one tenant. Asked by many threads; new keys are on disk before they are known."""

    def __init__(self, first: TokenKey, folder: Path | None, later: Sequence[TokenKey] = ()) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._keys = counting((first, *later))

    @classmethod
    def load(cls, first: TokenKey, folder: Path) -> TokenKeyRing:
        """Read the keys that were made after the first. Raises: KeyFilesError."""
        return cls(first, folder, _read(folder) if folder.exists() else ())

    def signing(self, now: datetime) -> TokenKey:
        """Return the key that signs now."""
        return current(self._keys, now)

    def published(self, now: datetime) -> tuple[TokenKey, ...]:
        """Return the keys that whoever verifies tokens should know."""
        return alive(self._keys, now)

    def rotate(self, now: datetime, *, at_once: bool, only_if_due: bool = False) -> TokenKey | None:
        """Make the next key; ``None`` where none is due.

        ``at_once`` it signs from now on and all others are forgotten, so that every token out there is worth nothing:
        for a key that somebody may have copied. Otherwise it signs in a day, and nobody notices.

        Raises:
            KeyFilesError: It cannot be written.
        """
        with self._lock:
            if only_if_due and not is_due(self._keys, now):
                return None
            waiting = self._keys[-1] if self._keys[-1].signs_from > now else None
            if waiting is not None and not at_once:
                return waiting
            begins = (now if at_once else now + PUBLISHED_BEFORE).replace(microsecond=0)
            made = TokenKey.of(RSAKey.generate_key(TOKEN_KEY_BITS), begins, only=at_once)
            kept = () if at_once else alive(self._keys, now)
            self._write(made)
            self._keys = (*kept, made)
            self._forget()
            return made

    def _write(self, made: TokenKey) -> None:
        if self._folder is None:
            return
        path = self._folder / made.file
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            put_secret(path, made.key.as_pem(private=True))  # a second turn within one second replaces all others
        except OSError as error:
            raise KeyFilesError(f"{path} cannot be written: {error.strerror}.") from None

    def _forget(self) -> None:
        """Remove the files of keys that are good for nothing any more; the first key's file stays, but not in use.

        What a crash left half written goes as well.
        """
        if self._folder is None:
            return
        known = {each.file for each in self._keys}
        for path in self._folder.iterdir():
            if (_NAME.match(path.name) and path.name not in known) or _is_unfinished(path):
                path.unlink(missing_ok=True)
        sync_directory(self._folder)


def _read(folder: Path) -> tuple[TokenKey, ...]:
    check_private_directory(folder)
    found = []
    for path in folder.iterdir():
        named = _NAME.match(path.name)
        if _is_unfinished(path):
            continue
        if named is None:
            raise KeyFilesError(f"{path} is no key of tokens.")
        begins = datetime.fromtimestamp(int(named[1]), UTC)
        try:
            key = key_of(read_secret(path))
        except ValueError:
            raise KeyFilesError(f"{path} is damaged.") from None
        found.append(TokenKey.of(key, begins, only=named[2] is not None))
    return tuple(sorted(found, key=lambda each: (each.signs_from, each.only)))


def _is_unfinished(path: Path) -> bool:
    """Tell whether a file was being written when the signer ended; it has its own name once it is whole."""
    return path.name.startswith(".")
