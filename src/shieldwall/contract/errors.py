"""The root of every expected error.

An error carries what a person needs to go on: a stable code that programs may rely on, the cause in plain words and the
remedy. Front doors translate it: HTTP into a problem document, the command line into three lines.
"""

from __future__ import annotations

from typing import ClassVar


class ShieldwallError(Exception):
    """Something expected went wrong, and we can say what to do about it.

    Subclasses set ``code`` (stable, camelCase) and ``remedy``; the message given at raise time is the cause.
    """

    code: ClassVar[str] = "error"
    remedy: ClassVar[str] = "Look at the log of the component that raised this."

    def __init__(self, cause: str, *, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self._remedy = remedy

    @property
    def advice(self) -> str:
        """What the reader can do next: the remedy of this occurrence, else that of its kind."""
        return self._remedy or self.remedy


class InvalidJsonError(ShieldwallError):
    """The bytes are not the strict JSON we accept, or not of the expected shape."""

    code = "invalidJson"
    remedy = "Correct the document at the place named and send it again."


class InvalidIdError(ShieldwallError):
    """A text is not an id of the kind expected."""

    code = "invalidId"
    remedy = "Ids are lower-case UUIDs such as 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f."
