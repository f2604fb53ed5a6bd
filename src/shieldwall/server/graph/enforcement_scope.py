"""``/deviceManagement/enforcementScope`` (ours): which devices may be managed, and what another scope would do.

Microsoft's portal has a page of this name and no public API for it. A scope is changed member by member: what is not
named stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Response, get, patch, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.strict_json import convert
from shieldwall.policy.enrollment import EnforcementScope, Enrollment
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs, require_fresh_proof
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.graph.describing import changes, does, shows
from shieldwall.server.graph.requests import GraphRequest, Services, answer, members_of, query_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.protection import SCOPE, SCOPE_CHANGES, SCOPE_EFFECT
from shieldwall.server.manager import enforcement_scope
from shieldwall.server.manager.enforcement_scope import Moved, ScopeEffect

PATH: Final = "/deviceManagement/enforcementScope"
_READ: Final = allow("DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementServiceConfig.ReadWrite.All")


@get(PATH, opt=_READ | needs(ResourceAction.READ_SCOPE) | shows(SCOPE), sync_to_thread=True)
def get_enforcement_scope(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return which devices of the tenant may be managed (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        scope = enforcement_scope.get_scope(connection, services.tenant.id)
    return answer(query.shape(scope_resource(scope)))


@patch(PATH, opt=_WRITE | needs(ResourceAction.UPDATE_SCOPE) | changes(SCOPE, takes=SCOPE_CHANGES), sync_to_thread=True)
def update_enforcement_scope(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Change the members named; `effect` says which devices are taken and released when they check in next (ours)."""
    members = members_of(request, body)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        before = enforcement_scope.get_scope(connection, services.tenant.id)
        scope, effect = enforcement_scope.change_scope(connection, acting, lambda now: _changed(now, members))
        if before.is_allowed and not scope.is_allowed:
            require_fresh_proof(caller_of(request), services.clock.now())  # else all that was done here is undone
    return answer(scope_resource(scope) | {"effect": effect_resource(effect)})


@post(
    PATH + "/preview",
    opt=_WRITE | needs(ResourceAction.UPDATE_SCOPE) | does(SCOPE_EFFECT, takes=SCOPE_CHANGES),
    sync_to_thread=True,
    status_code=200,
)
def preview_enforcement_scope(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say how many devices a change would take and release, per platform and reason; nothing is changed (ours)."""
    members = members_of(request, body)
    with services.database.read() as connection:
        scope = _changed(enforcement_scope.get_scope(connection, services.tenant.id), members)
        effect = enforcement_scope.preview_scope(connection, services.tenant.id, scope)
    return answer(effect_resource(effect))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    get_enforcement_scope,
    update_enforcement_scope,
    preview_enforcement_scope,
)


def scope_resource(scope: EnforcementScope) -> Json:
    """Shape a scope with every member, also those that nobody chose."""
    return {
        "isAllowed": scope.is_allowed,
        "windows": scope.windows.value,
        "windowsServer": scope.windows_server.value,
        "linux": scope.linux.value,
        "macOS": scope.mac_os.value,
        "includesDomainControllers": scope.includes_domain_controllers,
        "configurationManagerAuthority": scope.configuration_manager_authority,
        "dynamicTags": [{"displayName": each.display_name, "rule": each.rule} for each in scope.dynamic_tags],
    }


def effect_resource(effect: ScopeEffect) -> Json:
    """Shape what a scope does to the devices."""
    return {
        "managedBefore": effect.managed_before,
        "managedAfter": effect.managed_after,
        "taken": {"count": effect.taken_count, "parts": _parts(effect.taken)},
        "released": {"count": effect.released_count, "parts": _parts(effect.released)},
    }


def _parts(moved: Iterable[Moved]) -> list[Json]:
    return [
        {
            "operatingSystem": each.os_type,
            "count": each.count,
            "reason": each.reason.value,
            "enrollmentCode": int(Enrollment(each.reason).code),
            "cause": Enrollment(each.reason).cause,
            "samples": [{"id": device, "deviceName": name} for device, name in each.samples],
        }
        for each in moved
    ]


def _changed(present: EnforcementScope, members: Mapping[str, Any]) -> EnforcementScope:
    """Lay what is asked over the present scope. Raises: InvalidJsonError."""
    return convert({**scope_resource(present), **members}, EnforcementScope)
