"""Whether somebody sees one object, and may do one thing to it: decided on what is known of the object itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import GroupId
from shieldwall.server.access.actions import READING, ResourceAction
from shieldwall.server.access.grants import Access


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about one object: its scope tags, and for a device the groups it belongs to.

    ``groups`` is absent where scope groups say nothing, as for policies. An object ``of_tenant`` has no scope of its
    own: whoever may read such objects reads it, and only who is not narrowed changes it.
    """

    tags: frozenset[str] = frozenset()
    groups: frozenset[GroupId] | None = None
    of_tenant: bool = False


OF_TENANT = Facts(of_tenant=True)


class OutOfScopeError(ShieldwallError):
    """Something is named that the caller sees and may not do this to, or that lies beyond their scope."""

    code = "outOfScope"
    remedy = "Leave it out, or ask somebody whose roles reach it."


class Verdict(Enum):
    """What comes of asking to do something to an object."""

    UNSEEN = auto()
    """For the caller the object is not there."""
    REFUSED = auto()
    """The caller sees it, and may not do this to it."""
    GRANTED = auto()


def judge(access: Access, action: ResourceAction, facts: Facts, readings: Collection[ResourceAction]) -> Verdict:
    """Decide. Who may do something to an object sees it; who may not sees it by one of ``readings`` all the same."""
    if _is_granted(access, action, facts):
        return Verdict.GRANTED
    if any(_is_granted(access, reading, facts) for reading in readings if reading in READING):
        return Verdict.REFUSED
    return Verdict.UNSEEN


def _is_granted(access: Access, action: ResourceAction, facts: Facts) -> bool:
    if facts.of_tenant:
        return access.may(action) if action in READING else access.may_everywhere(action)
    if facts.groups is None or action in READING:
        return access.sees(action, facts.tags)
    return access.may_act_on(action, facts.tags, facts.groups)
