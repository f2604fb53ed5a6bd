"""What is to be remembered once it is enforced, and why it is. Pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.applier import stability
from shieldwall.agent.applier.state import AS_PUBLISHED, State, Terms, aim_of
from shieldwall.agent.applier.uptime import Moment
from shieldwall.contract.ids import Digest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy


class Cause(Struct, frozen=True, kw_only=True):
    """Why something is enforced: the target, on which terms, and what of it was refused."""

    refused: tuple[RefusedPolicy, ...] = ()
    target: Digest | None = None
    terms: Terms = AS_PUBLISHED
    is_offered: bool = False
    """Whether the target comes from outside just now, so that what is held back of another one ends."""


def wanting(state: State, documents: tuple[PolicyDocument, ...], cause: Cause, now: Moment) -> State:
    """Say what is to be remembered. What was held back of one target is tried again with another."""
    held, aim = state.held_back, aim_of(cause.target, documents)
    offered = stability.offered(stability.tried(state, aim, now), aim) if cause.is_offered else state.footing
    return replace(
        state,
        target=cause.target,
        terms=cause.terms,
        documents=documents,
        refused=cause.refused,
        held_back=held if held is not None and held.target == aim else None,
        footing=offered,
    )
