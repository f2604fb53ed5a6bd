"""``/applications``: programs that ask for tokens, their permissions, secrets and certificates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import app_credentials, apps
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.first_party import require_not_ours
from shieldwall.server.graph.application_access import may_give, named_app
from shieldwall.server.graph.application_bodies import (
    AddPassword,
    ApplicationChanges,
    KeyCredential,
    RemovePassword,
    certificates_to_change,
)
from shieldwall.server.graph.application_shapes import application_resource, password_resource
from shieldwall.server.graph.describing import changes, creates, does, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.applications import APPLICATION_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.applications import (
    ADD_PASSWORD,
    APPLICATION,
    APPLICATION_CHANGES,
    NEW_APPLICATION,
    PASSWORD,
    REMOVE_PASSWORD,
)
from shieldwall.server.storage.identity_records import App

_READ: Final = allow("Application.Read.All", "Application.ReadWrite.All")
_WRITE: Final = allow("Application.ReadWrite.All")
_SEE: Final = needs(ResourceAction.READ_APPLICATIONS)
_CHANGE: Final = needs(ResourceAction.UPDATE_APPLICATIONS, sensitive=True)
_ONE: Final = "/applications/{application_id:str}"
_ENABLED: Final = frozenset({"enabled"})


@get("/applications", opt=_READ | _SEE | lists(APPLICATION), sync_to_thread=True)
def list_applications(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the applications of the tenant, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = apps.list_apps(connection, services.tenant.id, query.page_of(APPLICATION_FIELDS))
        rows = [(app.client_id, _resource(connection, services, app)) for app in found]
    return page_answer(services, request, query, rows, APPLICATION_FIELDS)


@post("/applications", opt=_WRITE | _CHANGE | creates(APPLICATION, takes=NEW_APPLICATION), sync_to_thread=True)
def create_application(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make an application; the caller gives it no more than they may give."""
    wanted = body_of(request, body, ApplicationChanges)
    if wanted.display_name is None:
        raise InvalidRequestError("The member displayName is missing.")
    given = wanted.changed(None)
    enabled = given.pop("enabled", True)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        app = apps.register_app(connection, acting, **given)
        apps.require_holds(may_give(request), app)
        if not enabled:
            app = apps.change_app(connection, acting, app, enabled=False)
        _add_certificates(connection, acting, app, wanted.key_credentials or ())
        resource = _resource(connection, services, app)
    return answer(resource, status=201)


@get(_ONE, opt=_READ | _SEE | shows(APPLICATION), sync_to_thread=True)
def get_application(services: Services, request: GraphRequest, application_id: FromPath[str]) -> Response[bytes]:
    """Return one application, by id or as `applications(appId='…')`."""
    query = query_of(request)
    with services.database.read() as connection:
        resource = _resource(connection, services, named_app(connection, services, application_id))
    return answer(query.shape(resource, APPLICATION_FIELDS))


@patch(_ONE, opt=_WRITE | _CHANGE | changes(takes=APPLICATION_CHANGES), sync_to_thread=True)
def patch_application(
    services: Services, request: GraphRequest, application_id: FromPath[str], body: RawBody
) -> Response[None]:
    """Change an application: its name, permissions, addresses, certificates; or switch it on or off."""
    wanted = body_of(request, body, ApplicationChanges)
    with services.database.write() as connection:
        app, acting = named_app(connection, services, application_id), acting_for(services, request)
        given = wanted.changed(app)
        if given.keys() - _ENABLED or wanted.key_credentials is not None:
            require_not_ours(app)
        changed = apps.change_app(connection, acting, app, **given)
        if given.keys() - _ENABLED or wanted.key_credentials is not None or changed.enabled:
            apps.require_holds(may_give(request), changed, app)
        if wanted.key_credentials is not None:
            kept = app_credentials.credentials_of(connection, changed)
            added, removed = certificates_to_change(wanted.key_credentials, kept)
            for credential in removed:
                app_credentials.remove_credential(connection, acting, changed, credential.id)
            _add_certificates(connection, acting, changed, added)
    return empty()


@delete(_ONE, opt=_WRITE | _CHANGE | removes(), sync_to_thread=True)
def delete_application(services: Services, request: GraphRequest, application_id: FromPath[str]) -> Response[None]:
    """Remove an application; its tokens are worth nothing from now on."""
    with services.database.write() as connection:
        app = named_app(connection, services, application_id)
        apps.delete_app(connection, acting_for(services, request), app.client_id)
    return empty()


@post(_ONE + "/addPassword", opt=_WRITE | _CHANGE | does(PASSWORD, takes=ADD_PASSWORD), sync_to_thread=True)
def add_password(
    services: Services, request: GraphRequest, application_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Give an application one more secret; `secretText` is in this answer and nowhere else."""
    wanted = body_of(request, body, AddPassword).password_credential
    begins, lifetime = wanted.span(services.clock.now())
    with services.database.write() as connection:
        app, acting = named_app(connection, services, application_id), acting_for(services, request)
        require_not_ours(app)
        apps.require_holds(may_give(request), app)
        credential, secret = app_credentials.add_secret(
            connection,
            acting,
            app,
            display_name=wanted.display_name or "Secret",
            lifetime=lifetime,
            starts_at=begins,
        )
    return answer(password_resource(credential, secret))


@post(_ONE + "/removePassword", opt=_WRITE | _CHANGE | does(takes=REMOVE_PASSWORD), sync_to_thread=True)
def remove_password(
    services: Services, request: GraphRequest, application_id: FromPath[str], body: RawBody
) -> Response[None]:
    """Take a secret away; every token that the application was handed is worth nothing from now on."""
    wanted = body_of(request, body, RemovePassword)
    with services.database.write() as connection:
        app, acting = named_app(connection, services, application_id), acting_for(services, request)
        app_credentials.remove_credential(connection, acting, app, wanted.key_id)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_applications,
    create_application,
    get_application,
    patch_application,
    delete_application,
    add_password,
    remove_password,
)


def _resource(connection: Connection, services: AdminServices, app: App) -> Json:
    return application_resource(app, app_credentials.credentials_of(connection, app), services.tenant)


def _add_certificates(connection: Connection, acting: Acting, app: App, wanted: Iterable[KeyCredential]) -> None:
    for each in wanted:
        app_credentials.add_certificate(connection, acting, app, each.certificate, display_name=each.display_name or "")
