"""What a route has to answer to somebody, computed from its declaration alone, and not by the code that decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Authorization

UNGATED = {"OPEN", "TENANT"}
NAMING = {
    "policy_id",
    "filter_id",
    "setting_id",
    "device_id",
    "named",
    "member_id",
    "group_id",
    "alert_id",
    "role_id",
    "tag_id",
    "machine_id",
}
"""Parameters of paths that name something with a scope."""


class Outcome(StrEnum):
    """What comes of a request that names nothing that is there."""

    REFUSED = "403"
    ABSENT = "404"
    SERVED = "neither refused nor unauthenticated"
    STEP_UP = "401"


@dataclass(frozen=True)
class Somebody:
    """A caller: the actions of their role, whether it is narrowed, and whether their proof is fresh."""

    actions: frozenset[ResourceAction]
    is_narrowed: bool = False
    is_fresh: bool = True
    permissions: frozenset[str] | None = None


def expected(template: str, declared: Authorization, caller: Somebody) -> Outcome:
    """Say what comes of asking a route with ids that nothing has, and without a body."""
    demand = declared.demand
    if caller.permissions is not None and not caller.permissions & declared.permissions:
        return Outcome.REFUSED
    if not demand.everybody:
        if demand.action not in caller.actions:
            return Outcome.REFUSED
        if caller.is_narrowed and demand.reach.name == "TENANT":
            return Outcome.REFUSED
    if demand.sensitive and not caller.is_fresh:
        return Outcome.STEP_UP
    named = set(re.findall(r"\{(\w+)\}", template)) & NAMING
    if caller.is_narrowed and named and demand.reach.name not in UNGATED:
        return Outcome.ABSENT
    return Outcome.SERVED


def fits(outcome: Outcome, status: int) -> bool:
    """Tell whether a status is what was expected."""
    if outcome is Outcome.SERVED:
        return status not in {401, 403, 500}
    return status == int(outcome.value)
