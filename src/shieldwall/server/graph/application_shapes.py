"""Applications as Graph resources; a secret is shown when it is made, and never again."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from uuid import UUID, uuid5

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.first_party import delegated_of, is_first_party
from shieldwall.server.directory.resource_names import GRAPH_APP_ID
from shieldwall.server.graph.permission_ids import NAMES, Sort, id_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.openapi.permission_words import in_words
from shieldwall.server.storage.identity_records import App, AppCredential, CredentialKind
from shieldwall.server.storage.records import Tenant

AUDIENCE: Final = "AzureADMyOrg"
"""Who may sign in to an application: people of its own tenant."""
_GRAPH_NAME: Final = "Microsoft Graph"


def application_resource(app: App, credentials: Iterable[AppCredential], tenant: Tenant) -> Json:
    """Shape an application, with what it may do under ``shieldwall`` by name as well."""
    kept = list(credentials)
    return {
        "id": app.object_id,
        "appId": app.client_id,
        "displayName": app.display_name,
        "createdDateTime": moment(app.created_at),
        "signInAudience": AUDIENCE,
        "publisherDomain": tenant.domain,
        "identifierUris": [],
        "isFallbackPublicClient": app.is_public,
        "publicClient": {"redirectUris": list(app.redirect_uris) if app.is_public else []},
        "web": {"redirectUris": [] if app.is_public else list(app.redirect_uris)},
        "requiredResourceAccess": _required(app),
        "passwordCredentials": [password_resource(each) for each in kept if each.kind is CredentialKind.SECRET],
        "keyCredentials": [_key_resource(each) for each in kept if each.kind is CredentialKind.CERTIFICATE],
        "shieldwall": {
            "permissions": list(app.permissions),
            "delegatedPermissions": list(delegated_of(app)),
            "enabled": app.enabled,
            "requiresProof": app.requires_proof,
            "tokensValidFromDateTime": moment(app.valid_from),
            "isFirstParty": is_first_party(app),
        },
    }


def password_resource(credential: AppCredential, secret: str | None = None) -> Json:
    """Shape a secret; ``secretText`` stands in the answer to its making alone."""
    return {
        "keyId": credential.id,
        "displayName": credential.display_name,
        "hint": credential.hint,
        "startDateTime": moment(credential.starts_at),
        "endDateTime": moment(credential.expires_at),
        "secretText": secret,
        "customKeyIdentifier": None,
    }


def graph_principal_id(tenant_id: TenantId) -> str:
    """Return the id of the service principal that stands for our API in a tenant."""
    return str(uuid5(UUID(tenant_id), GRAPH_APP_ID))


def service_principal_resource(app: App) -> Json:
    """Shape an application as the one whom tokens speak for: its id is their ``oid``."""
    return _principal(app.client_id, app.client_id, app.display_name, app.tenant_id, enabled=app.enabled)


def graph_principal_resource(tenant_id: TenantId) -> Json:
    """Shape the service principal that stands for our API: it lists every permission there is."""
    words = in_words(NAMES)
    roles = [
        {
            "id": id_of(name, Sort.ROLE),
            "value": name,
            "displayName": words[name],
            "description": words[name],
            "allowedMemberTypes": ["Application"],
            "isEnabled": True,
        }
        for name in NAMES
    ]
    scopes = [
        {
            "id": id_of(name, Sort.SCOPE),
            "value": name,
            "type": "Admin",
            "adminConsentDisplayName": words[name],
            "adminConsentDescription": words[name],
            "isEnabled": True,
        }
        for name in NAMES
    ]
    own = _principal(graph_principal_id(tenant_id), GRAPH_APP_ID, _GRAPH_NAME, tenant_id, enabled=True)
    return own | {"appRoles": roles, "oauth2PermissionScopes": scopes}


def role_assignment_resource(app: App, permission: str) -> Json:
    """Shape one permission that an application has of its own."""
    return {
        "id": str(uuid5(UUID(app.client_id), permission)),
        "principalId": app.client_id,
        "principalType": "ServicePrincipal",
        "principalDisplayName": app.display_name,
        "resourceId": graph_principal_id(app.tenant_id),
        "resourceDisplayName": _GRAPH_NAME,
        "appRoleId": id_of(permission, Sort.ROLE),
        "createdDateTime": moment(app.created_at),
    }


def _principal(principal_id: str, app_id: str, name: str, tenant_id: TenantId, *, enabled: bool) -> Json:
    return {
        "id": principal_id,
        "appId": app_id,
        "displayName": name,
        "appDisplayName": name,
        "accountEnabled": enabled,
        "servicePrincipalType": "Application",
        "appOwnerOrganizationId": tenant_id,
        "servicePrincipalNames": [app_id],
        "signInAudience": AUDIENCE,
        "appRoles": [],
        "oauth2PermissionScopes": [],
    }


def _required(app: App) -> list[Json]:
    wanted = [{"id": id_of(name, Sort.ROLE), "type": Sort.ROLE.value} for name in app.permissions]
    wanted += [{"id": id_of(name, Sort.SCOPE), "type": Sort.SCOPE.value} for name in app.delegated]
    return [{"resourceAppId": GRAPH_APP_ID, "resourceAccess": wanted}] if wanted else []


def _key_resource(credential: AppCredential) -> Json:
    assert credential.certificate is not None, "a certificate has one"
    print_of = x509.load_der_x509_certificate(credential.certificate).fingerprint(hashes.SHA1())  # noqa: S303 - Graph's name for it
    return {
        "keyId": credential.id,
        "displayName": credential.display_name,
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "startDateTime": moment(credential.starts_at),
        "endDateTime": moment(credential.expires_at),
        "customKeyIdentifier": b64encode(print_of).decode(),
        "key": None,
    }
