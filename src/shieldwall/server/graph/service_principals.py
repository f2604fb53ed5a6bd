"""``/servicePrincipals``: whom tokens speak for, and the permissions there are. They follow the applications."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.apps import get_app, list_apps
from shieldwall.server.directory.resource_names import GRAPH_APP_ID
from shieldwall.server.graph.application_shapes import (
    graph_principal_id,
    graph_principal_resource,
    role_assignment_resource,
    service_principal_resource,
)
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.applications import APP_ROLE_ASSIGNMENT_FIELDS, SERVICE_PRINCIPAL_FIELDS
from shieldwall.server.graph.requests import GraphRequest, Services, answer, list_answer, query_of
from shieldwall.server.graph.schemas.applications import APP_ROLE_ASSIGNMENT, SERVICE_PRINCIPAL
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page

_READ: Final = allow("Application.Read.All", "Application.ReadWrite.All")
_SEE: Final = needs(ResourceAction.READ_APPLICATIONS)
_ONE: Final = "/servicePrincipals/{principal_id:str}"
_BY_APP_ID: Final = "appid="
_MOST: Final = 10_000


@get("/servicePrincipals", opt=_READ | _SEE | lists(SERVICE_PRINCIPAL), sync_to_thread=True)
def list_service_principals(services: Services, request: GraphRequest) -> Response[bytes]:
    """List our API, which names all permissions, and the applications of the tenant."""
    query = query_of(request)
    with services.database.read() as connection:
        found = list_apps(connection, services.tenant.id, Page(size=_MOST))
    resources = [graph_principal_resource(services.tenant.id), *map(service_principal_resource, found)]
    return list_answer(services, request, query, resources, SERVICE_PRINCIPAL_FIELDS)


@get(_ONE, opt=_READ | _SEE | shows(SERVICE_PRINCIPAL), sync_to_thread=True)
def get_service_principal(services: Services, request: GraphRequest, principal_id: FromPath[str]) -> Response[bytes]:
    """Return one of them, by id or as `servicePrincipals(appId='…')`."""
    query = query_of(request)
    with services.database.read() as connection:
        app = _app(connection, services, principal_id)
    resource = graph_principal_resource(services.tenant.id) if app is None else service_principal_resource(app)
    return answer(query.shape(resource, SERVICE_PRINCIPAL_FIELDS))


@get(_ONE + "/appRoleAssignments", opt=_READ | _SEE | lists(APP_ROLE_ASSIGNMENT), sync_to_thread=True)
def list_app_role_assignments(
    services: Services, request: GraphRequest, principal_id: FromPath[str]
) -> Response[bytes]:
    """List the permissions that an application has of its own."""
    query = query_of(request)
    with services.database.read() as connection:
        app = _app(connection, services, principal_id)
    found = [] if app is None else [role_assignment_resource(app, name) for name in app.permissions]
    return list_answer(services, request, query, found, APP_ROLE_ASSIGNMENT_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_service_principals,
    get_service_principal,
    list_app_role_assignments,
)


def _app(connection: Connection, services: AdminServices, text: str) -> App | None:
    """Find an application; ``None`` is our API. Raises: NotFoundError."""
    wanted = text.lower().removeprefix(_BY_APP_ID)
    if wanted in {GRAPH_APP_ID, graph_principal_id(services.tenant.id)}:
        return None
    return get_app(connection, services.tenant.id, wanted)
