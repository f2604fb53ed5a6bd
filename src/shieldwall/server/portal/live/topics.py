"""What a page may follow, and who may: a topic is ``devices``, or ``device:ID`` for one object."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Authorization, Demand, Principal, Reach
from shieldwall.server.admin.gates import is_narrowed, pass_gates
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.portal.work.works import Works

MOST: Final = 12
"""Topics of one page."""
WORK: Final = "work"
_LISTS: Final[Mapping[str, Demand]] = {
    "overview": Demand(reach=Reach.OPEN, everybody=True),
    "devices": Demand(ResourceAction.READ_DEVICES, Reach.LISTED),
    "policies": Demand(ResourceAction.READ_POLICIES, Reach.LISTED),
    "groups": Demand(ResourceAction.READ_GROUPS, Reach.LISTED),
    "alerts": Demand(ResourceAction.READ_ALERTS, Reach.LISTED),
    "audit": Demand(ResourceAction.READ_AUDIT),
    "packages": Demand(ResourceAction.READ_ONBOARDING),
}
_OBJECTS: Final[Mapping[str, Demand]] = {
    "device": Demand(ResourceAction.READ_DEVICES, Reach.OBJECT),
    "policy": Demand(ResourceAction.READ_POLICIES, Reach.OBJECT),
    "group": Demand(ResourceAction.READ_GROUPS, Reach.OBJECT),
}


def permitted(services: AdminServices, works: Works, principal: Principal, topics: Collection[str]) -> tuple[str, ...]:
    """Return those of these topics that somebody may follow, each once and in order.

    That something in a list changed is told also to those who do not see all of it: they learn that, and not what.
    """
    return tuple(topic for topic in sorted(set(topics))[:MOST] if _is_permitted(services, works, principal, topic))


def _is_permitted(services: AdminServices, works: Works, principal: Principal, topic: str) -> bool:
    kind, _, identity = topic.partition(":")
    try:
        if identity and kind == WORK:
            works.find(principal, identity)
            return True
        demand = (_OBJECTS if identity else _LISTS).get(kind)
        if demand is None:
            return False
        asked = Authorization(frozenset({ADMINISTRATOR}), demand=demand)
        asked.admit(principal, services.clock.now())
        if is_narrowed(asked, principal):
            pass_gates(services, asked, principal, {f"{kind}_id": identity} if identity else {})
    except ShieldwallError:
        return False
    return True
