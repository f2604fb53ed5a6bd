"""What validation finds in a policy."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError


class Finding(Struct, frozen=True):
    """Something wrong with a policy: the field, a stable code, plain words, and what is allowed there."""

    path: str
    code: str
    message: str
    allowed: str = ""


class InvalidPolicyError(ShieldwallError):
    """A policy does not fit its template; ``findings`` name every field."""

    code: ClassVar[str] = "invalidPolicy"
    remedy: ClassVar[str] = "Correct the fields named and save the policy again."

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first, *others = findings
        more = f" And {len(others)} more." if others else ""
        super().__init__(f"{first.path}: {first.message}{more}")
        self.findings = findings
