"""``/identity/identityProviders``: where else people of the tenant may sign in.

Whoever configures a provider decides who comes in as whom, so a person needs every right there is for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.strict_json import encode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import federation
from shieldwall.server.directory.federation import ProviderSettings, settings_of
from shieldwall.server.graph.describing import changes, creates, lists, removes, shows
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.identity_providers import (
    IDENTITY_PROVIDER,
    IDENTITY_PROVIDER_CHANGES,
    NEW_IDENTITY_PROVIDER,
)
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity.identity_providers import IdentityProvider
from shieldwall.server.storage.records import Page

_READ: Final = allow("IdentityProvider.Read.All", "IdentityProvider.ReadWrite.All") | needs(ResourceAction.READ_PEOPLE)
_WRITE: Final = allow("IdentityProvider.ReadWrite.All") | needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_PATH: Final = "/identity/identityProviders"
_ONE: Final = _PATH + "/{provider_id:str}"


class NewProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A provider, as we are known to it; without a secret we are a public client there."""

    display_name: str
    issuer: str
    client_id: str
    client_secret: str = ""
    is_enabled: bool = True
    settings: ProviderSettings = ProviderSettings()


class ProviderChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of a provider: not its issuer, for another issuer's people are other people."""

    display_name: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    is_enabled: bool | None = None
    settings: ProviderSettings | None = None


@get(_PATH, opt=_READ | lists(IDENTITY_PROVIDER), sync_to_thread=True)
def list_identity_providers(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the identity providers of the tenant; their secrets are never shown."""
    query = query_of(request)
    with services.database.read() as connection:
        found = identity_providers.list_providers(connection, services.tenant.id, Page())
    return list_answer(services, request, query, list(map(_resource, found)))


@post(_PATH, opt=_WRITE | creates(IDENTITY_PROVIDER, takes=NEW_IDENTITY_PROVIDER), sync_to_thread=True)
def create_identity_provider(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Let people of the tenant sign in at another OpenID provider."""
    wanted = body_of(request, body, NewProvider)
    federation.require_everything(caller_of(request).access)
    acting, now = acting_for(services, request), services.clock.now()
    provider = IdentityProvider(
        id=services.new_id(),
        tenant_id=services.tenant.id,
        display_name=wanted.display_name,
        issuer=wanted.issuer,
        client_id=wanted.client_id,
        client_secret=wanted.client_secret,
        settings=encode(wanted.settings).decode(),
        enabled=wanted.is_enabled,
        created_at=now,
        modified_at=now,
    )
    with services.database.write() as connection:
        federation.put_provider(connection, acting, provider, services.outgoing.rules, is_new=True)
    return answer(_resource(provider), status=201)


@get(_ONE, opt=_READ | shows(IDENTITY_PROVIDER), sync_to_thread=True)
def get_identity_provider(services: Services, request: GraphRequest, provider_id: FromPath[str]) -> Response[bytes]:
    """Return one identity provider."""
    query = query_of(request)
    with services.database.read() as connection:
        provider = federation.get_provider(connection, services.tenant.id, provider_id)
    return answer(query.shape(_resource(provider)))


@patch(_ONE, opt=_WRITE | changes(IDENTITY_PROVIDER, takes=IDENTITY_PROVIDER_CHANGES), sync_to_thread=True)
def patch_identity_provider(
    services: Services, request: GraphRequest, provider_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Change an identity provider, or switch it off."""
    wanted = body_of(request, body, ProviderChanges)
    federation.require_everything(caller_of(request).access)
    with services.database.write() as connection:
        before = federation.get_provider(connection, services.tenant.id, provider_id)
        after = replace(before, **_changed(wanted), modified_at=services.clock.now())
        acting = acting_for(services, request)
        federation.put_provider(connection, acting, after, services.outgoing.rules, is_new=False)
    return answer(_resource(after))


@delete(_ONE, opt=_WRITE | removes(), sync_to_thread=True)
def delete_identity_provider(services: Services, request: GraphRequest, provider_id: FromPath[str]) -> Response[None]:
    """Remove an identity provider."""
    federation.require_everything(caller_of(request).access)
    with services.database.write() as connection:
        provider = federation.get_provider(connection, services.tenant.id, provider_id)
        federation.remove_provider(connection, acting_for(services, request), provider)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_identity_providers,
    create_identity_provider,
    get_identity_provider,
    patch_identity_provider,
    delete_identity_provider,
)


def _changed(wanted: ProviderChanges) -> dict[str, Any]:
    given = {
        "display_name": wanted.display_name,
        "client_id": wanted.client_id,
        "client_secret": wanted.client_secret,
        "enabled": wanted.is_enabled,
        "settings": None if wanted.settings is None else encode(wanted.settings).decode(),
    }
    return {name: value for name, value in given.items() if value is not None}


def _resource(provider: IdentityProvider) -> Json:
    settings = settings_of(provider)
    return {
        "@odata.type": "#microsoft.graph.oidcIdentityProvider",
        "id": provider.id,
        "displayName": provider.display_name,
        "issuer": provider.issuer,
        "clientId": provider.client_id,
        "clientSecret": None,
        "hasClientSecret": bool(provider.client_secret),
        "isEnabled": provider.enabled,
        "settings": msgspec.to_builtins(settings),
        "createdDateTime": moment(provider.created_at),
        "modifiedDateTime": moment(provider.modified_at),
    }
