"""``/deviceManagement/conflictRules`` (ours): how policies are brought together that want different values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, put
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.graph.describing import changes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.policy_access import READ, WRITE
from shieldwall.server.graph.requests import GraphRequest, Services, answer, members_of, query_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.previews import CONFLICT_RULES, CONFLICT_RULES_SENT
from shieldwall.server.manager import conflict_rules

PATH: Final = "/deviceManagement/conflictRules"
_AS_PUBLISHED: Final = "published"


@get(PATH, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(CONFLICT_RULES), sync_to_thread=True)
def get_conflict_rules(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return the rule of every family of settings (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        rules = conflict_rules.get_rules(connection, services.tenant.id)
    return answer(query.shape(_resource(rules)))


@put(
    PATH,
    opt=WRITE | needs(ResourceAction.UPDATE_POLICIES) | changes(CONFLICT_RULES, takes=CONFLICT_RULES_SENT),
    sync_to_thread=True,
)
def put_conflict_rules(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Replace the rules, a family left out is decided as published; every device follows (ours)."""
    wanted = read_conflict_rules(members_of(request, body))
    with services.database.write() as connection:
        rules = conflict_rules.replace_rules(connection, acting_for(services, request), wanted)
    return answer(_resource(rules))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (get_conflict_rules, put_conflict_rules)


def read_conflict_rules(members: Mapping[str, Any]) -> ConflictRules:
    """Read a rule for each family named. Raises: InvalidJsonError, InvalidRequestError."""
    rules: dict[ConflictFamily, ConflictRule] = {}
    for name, rule in members.items():
        if name not in list(ConflictFamily):
            raise InvalidJsonError(f"The member {name[:128]!r} is not a family of settings.")
        if rule == _AS_PUBLISHED:
            continue
        if rule not in list(ConflictRule):
            known = ", ".join((_AS_PUBLISHED, *ConflictRule))
            raise InvalidRequestError(f"{name}: {str(rule)[:64]!r} is not one of {known}.")
        rules[ConflictFamily(name)] = ConflictRule(rule)
    return rules


def _resource(rules: ConflictRules) -> Json:
    return {family: rules.get(family, _AS_PUBLISHED) for family in ConflictFamily}
