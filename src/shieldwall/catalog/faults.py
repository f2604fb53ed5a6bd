"""What can be wrong with one value, before anybody knows where in a policy it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a value: stable code, plain words, and what is allowed instead."""

    code: str
    message: str
    allowed: str = ""
