"""The error of an application, or of a credential of one, that cannot be."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class InvalidAppError(ShieldwallError):
    """An application cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidApp"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member
