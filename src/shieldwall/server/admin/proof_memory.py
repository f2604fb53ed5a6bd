"""The proofs of possession that were used with tokens, and the nonces that they hold where the server wants one.

Tokens are looked at with every request, so this writes no database: it is the memory of one process, bounded by count
and by the short time in which a proof is good. Nonces are of a key that lives as long as the process, so where they
are wanted, no proof from before a restart is good after it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from shieldwall.server.access.throttling import TooManyRequestsError
from shieldwall.server.directory.possession import WINDOW, InvalidProofError, Proof

SPAN: Final = 2 * WINDOW
"""How long after its first use a proof could come again and still be in time: its clock may be ahead of ours."""
MOST: Final = 100_000
"""Proofs in one span; there are two at a time, of about 160 bytes a proof."""
MOST_OF_ONE_KEY: Final = 20_000
"""One caller does not take the room of all."""
NONCE_LIFETIME: Final = timedelta(minutes=5)
_NONCE_BYTES: Final = 18


class ProofMemory:
    """Keeps in mind which proofs were used, in two generations that follow each other. Safe among threads."""

    def __init__(
        self, nonce_key: bytes | None = None, *, most: int = MOST, most_of_one_key: int = MOST_OF_ONE_KEY
    ) -> None:
        self._nonce_key = secrets.token_bytes(32) if nonce_key is None else nonce_key
        self._most, self._most_of_one_key = most, most_of_one_key
        self._lock = threading.Lock()
        self._began = datetime.min.replace(tzinfo=UTC)
        self._newer: set[str] = set()
        self._older: set[str] = set()
        self._of_key: Counter[str] = Counter()

    def use(self, proof: Proof, now: datetime) -> None:
        """Use a proof up.

        Raises:
            InvalidProofError: It was used before.
            TooManyRequestsError: There is no room to keep it in mind; it is not taken then.
        """
        name = proof.digest
        with self._lock:
            self._turn(now)
            if name in self._newer or name in self._older:
                raise InvalidProofError("The proof of possession is not good.")
            if len(self._newer) >= self._most or self._of_key[proof.key] >= self._most_of_one_key:
                seconds = (self._began + SPAN - now).total_seconds()
                raise TooManyRequestsError("There are too many proofs of possession at a time.", seconds=seconds)
            self._newer.add(name)
            self._of_key[proof.key] += 1

    def nonce(self, now: datetime) -> str:
        """Return the nonce of this moment."""
        return self._nonce(_turn_of(now))

    def knows(self, nonce: str, now: datetime) -> bool:
        """Tell whether a nonce is ours and lately handed out."""
        turn = _turn_of(now)
        return any(hmac.compare_digest(self._nonce(each).encode(), nonce.encode()) for each in (turn, turn - 1))

    def _turn(self, now: datetime) -> None:
        if (elapsed := now - self._began) < SPAN:
            return
        self._older = self._newer if elapsed < 2 * SPAN else set()
        self._newer, self._of_key, self._began = set(), Counter(), now

    def _nonce(self, turn: int) -> str:
        code = hmac.digest(self._nonce_key, str(turn).encode(), "sha256")
        return base64.urlsafe_b64encode(code[:_NONCE_BYTES]).decode()


def _turn_of(now: datetime) -> int:
    return int(now.timestamp() // NONCE_LIFETIME.total_seconds())
