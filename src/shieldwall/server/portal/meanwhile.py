"""Two people at one thing: a form says in which state its page showed it, and changes nothing where that is another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import digest_of_bytes

SEEN: Final = "seen"
"""The field of a form that names the state."""


class ChangedMeanwhileError(ShieldwallError):
    """What was shown is not what is there any more."""

    code = "changedMeanwhile"
    remedy = "Look at what it is now, and decide again."


def state_of(*shown: object) -> str:
    """Name a state by what is shown of it; what has no order is handed in sorted."""
    return digest_of_bytes(repr(shown).encode())


def require_seen(form: Mapping[str, str], state: str, name: str) -> None:
    """Let a form pass whose page showed this state, read in the transaction of the change.

    Raises:
        ChangedMeanwhileError: It showed another.
    """
    if form.get(SEEN) != state:
        raise ChangedMeanwhileError(f"Somebody else changed {name} meanwhile, so nothing was saved.")


def status_with(problem: ShieldwallError | None) -> int:
    """Choose the status of a page with a form, by what came of sending it."""
    return 200 if problem is None else 409 if isinstance(problem, ChangedMeanwhileError) else 400
