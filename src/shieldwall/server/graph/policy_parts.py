"""One part of a policy or a template by its id: a setting, an assignment, a setting template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.graph.describing import shows
from shieldwall.server.graph.policy_access import ONE, READ
from shieldwall.server.graph.policy_shapes import assignments_resource, settings_resource
from shieldwall.server.graph.requests import GraphRequest, Services, answer, query_of, resources_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.policies import ASSIGNMENT
from shieldwall.server.graph.schemas.settings import SETTING
from shieldwall.server.graph.schemas.templates import SETTING_TEMPLATE
from shieldwall.server.manager import assignments, policies
from shieldwall.server.storage.errors import NotFoundError

_TEMPLATE: Final = "/deviceManagement/configurationPolicyTemplates/{template_id:str}"
_SHOWN: Final = READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT)


@get(ONE + "/settings/{part:str}", opt=_SHOWN | shows(SETTING), sync_to_thread=True)
def get_setting(
    services: Services, request: GraphRequest, policy_id: FromPath[str], part: FromPath[str]
) -> Response[bytes]:
    """Return one setting of a policy; settings are counted from 0."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
    return answer(query.shape(_one(settings_resource(policy), "setting", part)))


@get(ONE + "/assignments/{part:str}", opt=_SHOWN | shows(ASSIGNMENT), sync_to_thread=True)
def get_assignment(
    services: Services, request: GraphRequest, policy_id: FromPath[str], part: FromPath[str]
) -> Response[bytes]:
    """Return one assignment of a policy."""
    query = query_of(request)
    with services.database.read() as connection:
        found = assignments.assignments_of(connection, services.tenant.id, parse_policy_id(policy_id))
    return answer(query.shape(_one(assignments_resource(found), "assignment", part)))


@get(
    _TEMPLATE + "/settingTemplates/{part:str}",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(SETTING_TEMPLATE),
    sync_to_thread=False,
)
def get_setting_template(request: GraphRequest, template_id: FromPath[str], part: FromPath[str]) -> Response[bytes]:
    """Return one setting that a template offers; they are counted from 0."""
    query = query_of(request)
    found = resources_of(request).setting_templates(template_id, frozenset())
    if found is None:
        raise NotFoundError(f"There is no template {template_id[:128]!r}.")
    return answer(query.shape(_one(found, "setting template", part)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (get_setting, get_assignment, get_setting_template)


def _one(resources: Iterable[Json], kind: str, part: str) -> Json:
    """Return the resource of an id. Raises: NotFoundError."""
    for each in resources:
        if each["id"] == part:
            return each
    raise NotFoundError(f"There is no {kind} {part[:128]!r}.")
