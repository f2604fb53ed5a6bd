"""Applications: programs that ask for tokens, of their own or for people who sign in to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import Access
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.app_credentials import SECRET_LIFETIME, add_secret, new_secret
from shieldwall.server.directory.invalid_app import InvalidAppError
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import apps
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page

MOST_REDIRECT_URIS: Final = 20
LONGEST_REDIRECT_URI: Final = 256
LOOPBACKS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PERMISSION: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+){1,4}\Z")
_URI: Final = re.compile(r"[!-~]+\Z")


class BeyondMakerError(ShieldwallError):
    """An application would get more than whoever makes or changes it holds: it would be a way to more rights."""

    code = "beyondMaker"
    remedy = (
        "Ask somebody who holds these permissions or AppRoleAssignment.ReadWrite.All, or a Global Administrator, to "
        "make the change."
    )


def register_app(
    connection: Connection,
    acting: Acting,
    *,
    display_name: str,
    permissions: Collection[str] = (),
    delegated: Collection[str] = (),
    redirect_uris: Collection[str] = (),
    is_public: bool = False,
    requires_proof: bool = False,
    client_id: str | None = None,
) -> App:
    """Make an application without any credential; ``client_id`` is drawn unless it is given.

    Raises:
        InvalidAppError: A name, permission or address that cannot be.
    """
    now = acting.clock.now()
    app = App(
        client_id=client_id or acting.new_id(),
        tenant_id=acting.tenant_id,
        object_id=acting.new_id(),
        display_name=display_name,
        permissions=_in_order(permissions),
        delegated=_in_order(delegated),
        redirect_uris=tuple(dict.fromkeys(redirect_uris)),
        is_public=is_public,
        requires_proof=requires_proof,
        created_at=now,
        valid_from=now,
    )
    _check(app)
    apps.add(connection, app)
    acting.record(connection, "app.created", "app", app.client_id, **_told(app))
    return app


def create_app(
    connection: Connection,
    acting: Acting,
    *,
    display_name: str,
    permissions: tuple[str, ...],
    lifetime: timedelta = SECRET_LIFETIME,
    make_secret: Callable[[], str] = new_secret,
) -> tuple[App, str]:
    """Make an application that has permissions and a secret, which is in the answer and nowhere else.

    Raises:
        InvalidAppError: A name, permission or lifetime that cannot be.
    """
    if not permissions:
        raise InvalidAppError("An application needs permissions such as Device.Read.All.", member="permissions")
    app = register_app(connection, acting, display_name=display_name, permissions=permissions)
    _, secret = add_secret(
        connection, acting, app, display_name="First secret", lifetime=lifetime, make_secret=make_secret
    )
    return app, secret


def find_app(connection: Connection, tenant_id: TenantId, client_id: str) -> App | None:
    """Return a tenant's application by the id that it signs in with, or ``None``."""
    app = apps.find(connection, client_id)
    return app if app is not None and app.tenant_id == tenant_id else None


def get_app(connection: Connection, tenant_id: TenantId, client_id: str) -> App:
    """Return a tenant's application by the id that it signs in with. Raises: NotFoundError."""
    if (app := find_app(connection, tenant_id, client_id)) is None:
        raise NotFoundError(f"There is no application {client_id[:64]}.")
    return app


def get_by_object_id(connection: Connection, tenant_id: TenantId, object_id: str) -> App:
    """Return a tenant's application by the id that the directory knows it by. Raises: NotFoundError."""
    if (app := apps.find_by_object_id(connection, tenant_id, object_id)) is None:
        raise NotFoundError(f"There is no application {object_id[:64]}.")
    return app


def list_apps(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[App, ...]:
    """Return one page of a tenant's applications, ordered by client id."""
    return apps.list_apps(connection, tenant_id, page)


def change_app(connection: Connection, acting: Acting, app: App, **changes: Any) -> App:
    """Change an application of this tenant. Whatever it held before a change of its rights is worth nothing.

    Raises:
        InvalidAppError: A name, permission or address that cannot be.
    """
    for name in ("permissions", "delegated"):
        if name in changes:
            changes[name] = _in_order(changes[name])
    changed = replace(app, **changes)
    if changed == app:
        return app
    _check(changed)
    lost = set(app.permissions) - set(changed.permissions) or set(app.delegated) - set(changed.delegated)
    bound = changed.requires_proof and not app.requires_proof
    if lost or bound or (app.enabled and not changed.enabled):
        changed = replace(changed, valid_from=acting.clock.now())
    apps.change(connection, changed)
    acting.record(connection, "app.changed", "app", app.client_id, **_told(changed))
    return changed


def revoke_tokens(connection: Connection, acting: Acting, app: App) -> App:
    """Let everything that the application was handed so far be worth nothing."""
    changed = replace(app, valid_from=acting.clock.now())
    apps.change(connection, changed)
    acting.record(connection, "app.tokensRevoked", "app", app.client_id, name=app.display_name)
    return changed


def delete_app(connection: Connection, acting: Acting, client_id: str) -> None:
    """Let an application ask for tokens no more. Raises: NotFoundError."""
    app = get_app(connection, acting.tenant_id, client_id)
    apps.remove(connection, app.client_id)
    acting.record(connection, "app.deleted", "app", app.client_id, name=app.display_name)


def require_holds(held: Collection[str] | None, app: App, was: App | None = None) -> None:
    """Refuse to let somebody make or change an application that can do more than they themselves.

    ``held`` are their permissions; ``None`` may give all there are. Whoever gives an application a secret can speak
    for it, so what it ``was`` counts as well.

    Raises:
        BeyondMakerError: Names the permissions that they lack.
    """
    if held is None:
        return
    rights = {*app.permissions, *app.delegated, *((*was.permissions, *was.delegated) if was else ())}
    if beyond := sorted(rights - set(held)):
        raise BeyondMakerError(f"You do not hold what {app.display_name} has or would get: {', '.join(beyond)}.")


def giving_of_person(access: Access) -> frozenset[str] | None:
    """Say which permissions a person may give to applications: ``None``, which is all, or none.

    An application's permission holds everywhere, whatever roles say, so people may give it only where their roles let
    them do everything.
    """
    return None if all(access.may_everywhere(action) for action in ResourceAction) else frozenset()


def is_loopback(uri: str) -> bool:
    """Tell whether an address is on the machine of whoever opens it (RFC 8252 section 7.3)."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACKS


def may_redirect_to(app: App, uri: str) -> bool:
    """Tell whether an address is one that was registered, to the letter; on loopback the port may be any.

    RFC 8252 section 7.3: programs listen wherever the system lets them.
    """
    if len(uri) > LONGEST_REDIRECT_URI or not _URI.match(uri):
        return False
    if uri in app.redirect_uris:
        return True
    try:
        return is_loopback(uri) and any(
            is_loopback(each) and _without_port(each) == _without_port(uri) for each in app.redirect_uris
        )
    except ValueError:
        return False


def _without_port(uri: str) -> tuple[str | None, str, str, str]:
    parts = urlsplit(uri)
    _ = parts.port  # raises where it is no number
    if parts.username is not None or parts.password is not None:
        raise ValueError("An address of ours has no user in it.")
    return parts.hostname, parts.path or "/", parts.query, parts.fragment


def _check(app: App) -> None:
    if not is_name(app.display_name):
        raise InvalidAppError("An application's name has 1 to 256 plain characters.", member="displayName")
    for member in ("permissions", "delegated"):
        if not all(_PERMISSION.match(permission) for permission in getattr(app, member)):
            raise InvalidAppError("A permission looks like Device.Read.All.", member=member)
    if len(app.redirect_uris) > MOST_REDIRECT_URIS:
        raise InvalidAppError(f"An application has at most {MOST_REDIRECT_URIS} addresses.", member="redirectUris")
    for uri in app.redirect_uris:
        if not _can_be_registered(uri):
            raise InvalidAppError(
                f"{uri[:128]!r} is no address to return to: https://…, or http://localhost for programs.",
                member="redirectUris",
            )


def _can_be_registered(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    plain = bool(_URI.match(uri)) and len(uri) <= LONGEST_REDIRECT_URI and "#" not in uri and "*" not in uri
    named = bool(parts.hostname) and parts.username is None and parts.password is None
    return plain and named and "\\" not in uri and (parts.scheme == "https" or is_loopback(uri))


def _in_order(permissions: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(set(permissions)))


def _told(app: App) -> dict[str, Any]:
    told: dict[str, Any] = {"name": app.display_name, "permissions": app.permissions}
    if app.delegated:
        told["delegated"] = app.delegated
    if app.redirect_uris:
        told["redirectUris"] = app.redirect_uris
    if not app.enabled:
        told["enabled"] = False
    if app.requires_proof:
        told["requiresProof"] = True
    return told
