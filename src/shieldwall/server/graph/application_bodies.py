"""What clients write of applications, and what it comes to."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.access.permissions import check_permissions
from shieldwall.server.directory.app_credentials import SECRET_LIFETIME
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.permission_ids import BY_ID, Sort
from shieldwall.server.storage.identity_records import App, AppCredential, CredentialKind

Guid = Annotated[str, msgspec.Meta(pattern=UUID_PATTERN)]


class RedirectUris(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where answers to people's sign-ins may go."""

    redirect_uris: tuple[str, ...] = ()


class ResourceAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A permission by its id: for the application itself, or for people who sign in to it."""

    id: Guid
    type: Literal["Role", "Scope"]


class RequiredResourceAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an application needs of an API; ours alone is there."""

    resource_app_id: Literal["00000003-0000-0000-c000-000000000000"]
    resource_access: tuple[ResourceAccess, ...]


class KeyCredential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A certificate: a new one by its ``key`` (base64 of the DER), one that is there by its ``keyId``."""

    key_id: Guid | None = None
    key: str | None = None
    display_name: str | None = None
    type: Literal["AsymmetricX509Cert"] = "AsymmetricX509Cert"
    usage: Literal["Verify"] = "Verify"
    custom_key_identifier: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None

    @property
    def certificate(self) -> bytes:
        """The certificate. Raises: InvalidRequestError."""
        try:
            return b64decode(self.key or "", validate=True)
        except (Error, ValueError):
            raise InvalidRequestError("The key of a keyCredential is base64.") from None


class OwnRights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an application may do, by name (ours); what is not said stays."""

    permissions: tuple[str, ...] | None = None
    delegated_permissions: tuple[str, ...] | None = None
    enabled: bool | None = None
    requires_proof: bool | None = None

    @property
    def switches(self) -> dict[str, Any]:
        """Return the members of the record that are switched on or off."""
        found = {"enabled": self.enabled, "requires_proof": self.requires_proof}
        return {name: value for name, value in found.items() if value is not None}


class ApplicationChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of an application; what is not said stays."""

    display_name: str | None = None
    sign_in_audience: Literal["AzureADMyOrg"] | None = None
    is_fallback_public_client: bool | None = None
    public_client: RedirectUris | None = None
    web: RedirectUris | None = None
    required_resource_access: tuple[RequiredResourceAccess, ...] | None = None
    key_credentials: tuple[KeyCredential, ...] | None = None
    shieldwall: OwnRights | None = None

    def changed(self, app: App | None) -> dict[str, Any]:
        """Return the members of the record that change.

        Raises:
            InvalidRequestError: Permissions are named twice, or by an id that there is not.
            UnknownPermissionError: One is misspelt.
        """
        own, changes = self.shieldwall or OwnRights(), dict[str, Any]()
        if self.display_name is not None:
            changes["display_name"] = self.display_name
        if self.is_fallback_public_client is not None:
            changes["is_public"] = self.is_fallback_public_client
        if self.public_client is not None or self.web is not None:
            changes["redirect_uris"] = self._redirect_uris()
            if self.is_fallback_public_client is None and app is None:
                changes["is_public"] = bool(self.public_client and self.public_client.redirect_uris)
        if self.required_resource_access is not None:
            if own.permissions is not None or own.delegated_permissions is not None:
                raise InvalidRequestError(
                    "Permissions stand in requiredResourceAccess or under shieldwall, not in both."
                )
            changes["permissions"] = self._named(Sort.ROLE)
            changes["delegated"] = self._named(Sort.SCOPE)
        if own.permissions is not None:
            changes["permissions"] = check_permissions(own.permissions)
        if own.delegated_permissions is not None:
            changes["delegated"] = check_permissions(own.delegated_permissions)
        return changes | own.switches

    def _redirect_uris(self) -> tuple[str, ...]:
        public, web = (each.redirect_uris if each else () for each in (self.public_client, self.web))
        if public and web:
            raise InvalidRequestError("An application is a public one or one of the web, not both.")
        return public or web

    def _named(self, sort: Sort) -> tuple[str, ...]:
        found = []
        for each in self.required_resource_access or ():
            for access in each.resource_access:
                if access.type != sort.value:
                    continue
                name = BY_ID.get((access.id, sort))
                if name is None:
                    raise InvalidRequestError(f"There is no permission {access.id} of the type {access.type}.")
                found.append(name)
        return tuple(found)


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A secret that is wanted; what it is, the server says."""

    display_name: str | None = None
    start_date_time: str | None = None
    end_date_time: str | None = None

    def span(self, now: datetime) -> tuple[datetime, timedelta]:
        """Say from when on the secret is good, and how long. Raises: InvalidRequestError."""
        begins = _moment(self.start_date_time) or now
        ends = _moment(self.end_date_time)
        return begins, SECRET_LIFETIME if ends is None else ends - begins


class AddPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One more secret."""

    password_credential: NewPassword = NewPassword()


class RemovePassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One secret less."""

    key_id: Guid


def certificates_to_change(
    wanted: Sequence[KeyCredential], kept: Sequence[AppCredential]
) -> tuple[list[KeyCredential], list[AppCredential]]:
    """Compare the certificates that are wanted with those that are there: what to add, what to remove."""
    named = {each.key_id for each in wanted if each.key is None}
    there = [each for each in kept if each.kind is CredentialKind.CERTIFICATE]
    if unknown := named - {each.id for each in there}:
        raise InvalidRequestError(f"The application has no certificate {min(map(str, unknown))}.")
    return [each for each in wanted if each.key is not None], [each for each in there if each.id not in named]


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(f"{text[:64]!r} is no time; write it like 2026-12-24T12:00:00Z.") from None
    if parsed.tzinfo is None:
        raise InvalidRequestError("A time says its zone; Z is UTC.")
    return parsed.astimezone(UTC)
