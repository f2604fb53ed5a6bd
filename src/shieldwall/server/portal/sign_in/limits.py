"""How often a stranger may try to come in: codes are counted as attempts, questions to browsers are paced.

A passkey's answer is neither: it cannot be guessed, so it is looked at however many others were wrong. Somebody who
floods an account or their neighbours therefore never keeps an owner's passkey out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from litestar.di import NamedDependency

from shieldwall.server.access.throttling import Attempts, Meter, TooManyRequestsError, network_of

QUESTIONS: Final = 120
"""Questions that one network may have at once; and one more every half second."""
_SECONDS: Final = 60.0


class SignInLimits:
    """Decides about strangers."""

    def __init__(self, attempts: Attempts, monotonic: Callable[[], float]) -> None:
        self._attempts: Final = attempts
        self._monotonic: Final = monotonic
        self._lock: Final = threading.Lock()
        self._questions: Final = Meter(QUESTIONS, _SECONDS)

    def admit_code(self, address: str) -> None:
        """Let somebody try a code. Raises: TooManyRequestsError."""
        self._attempts.admit(f"code {network_of(address)}", address)

    def code_was_right(self, address: str) -> None:
        """Say that the code was a good one: it does not count."""
        self._attempts.succeeded(f"code {network_of(address)}", address)

    def admit_question(self, address: str) -> None:
        """Let a browser be asked something, which costs a row for five minutes. Raises: TooManyRequestsError."""
        name, now = network_of(address), self._monotonic()
        with self._lock:
            wait = self._questions.wait(name, now)
            if wait > 0:
                raise TooManyRequestsError("Too many sign-ins were begun in a short time.", seconds=wait)
            self._questions.take(name, now)


Limits = NamedDependency[SignInLimits]
