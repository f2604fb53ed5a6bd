"""What is said of a group that cannot be."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class InvalidGroupError(ShieldwallError):
    """A group cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidGroup"
    remedy = "Correct the part named and send the group again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member
