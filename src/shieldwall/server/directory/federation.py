"""Identity providers of a tenant: how they are configured, and who of theirs is let in as whom of ours.

Somebody at a provider is known by issuer and subject alone. Who that is here is decided once, and only where an
administrator has made the person, or has said which groups there make people here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import UUID_PATTERN, GroupId, TenantId
from shieldwall.server.access.actions import EVERYTHING
from shieldwall.server.access.grants import Access
from shieldwall.server.directory import people
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.openid import Expected, FederationRefusedError
from shieldwall.server.outgoing.errors import InvalidReceiverError
from shieldwall.server.outgoing.rules import OutgoingRules, check_url
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity import identity_providers, passkeys
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.identity.identity_providers import FederatedIdentity, IdentityProvider
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Page

MOST_PROVIDERS: Final = 20
_MOST_GROUPS: Final = 1_000
_LONGEST: Final = 2_048


class Admission(StrEnum):
    """Who comes in for the first time."""

    INVITED = "invited"
    """Whom an administrator has made here under the name that the provider gives, and who has no other way in yet."""
    MAPPED = "mapped"
    """Whoever belongs to a group there that stands for a group here, as well."""


Word = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
OurGroup = Annotated[GroupId, msgspec.Meta(pattern=UUID_PATTERN)]


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is expected of a provider. ``group_mappings`` lead from its groups, by their unchanging ids, to ours."""

    scope: Word = "openid profile"
    name_claim: Word = "preferred_username"
    group_claim: Word = "groups"
    admission: Admission = Admission.INVITED
    group_mappings: Annotated[dict[Word, OurGroup], msgspec.Meta(max_length=_MOST_GROUPS)] = {}
    required_acr: tuple[Word, ...] = ()
    required_amr: tuple[Word, ...] = ()
    max_age_seconds: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] | None = None


class InvalidProviderError(ShieldwallError):
    """An identity provider that nobody could sign in at."""

    code = "invalidIdentityProvider"
    remedy = "Give a display name, the issuer's https address, the client id, and groups that are there."


def settings_of(provider: IdentityProvider) -> ProviderSettings:
    """Read what is expected of a provider."""
    return strict_json.decode(provider.settings.encode(), ProviderSettings)


def expected_of(provider: IdentityProvider, *, max_age: timedelta | None = None) -> Expected:
    """Say what the answers of a provider have to fit; ``max_age`` where a fresh proof is wanted."""
    settings = settings_of(provider)
    usual = None if settings.max_age_seconds is None else timedelta(seconds=settings.max_age_seconds)
    return Expected(
        issuer=provider.issuer,
        client_id=provider.client_id,
        acr=settings.required_acr,
        amr=settings.required_amr,
        max_age=usual if max_age is None else max_age,
    )


def require_everything(access: Access) -> None:
    """Let only those decide who signs in as whom who may do everything, for they could become anybody.

    Raises:
        OutrankedError: Something is not granted in the whole tenant.
    """
    if not all(access.may_everywhere(action) for action in EVERYTHING):
        raise people.OutrankedError("Whoever decides who signs in as whom may do everything by it.")


def get_provider(connection: Connection, tenant_id: TenantId, provider_id: str) -> IdentityProvider:
    """Return a provider of this tenant. Raises: NotFoundError."""
    found = identity_providers.find(connection, provider_id)
    if found is None or found.tenant_id != tenant_id:
        raise NotFoundError(f"There is no identity provider {provider_id[:64]}.")
    return found


def find_enabled(connection: Connection, provider_id: str) -> IdentityProvider:
    """Return a provider, of whichever tenant, at which people may sign in. Raises: NotFoundError."""
    found = identity_providers.find(connection, provider_id) if is_name(provider_id) else None
    if found is None or not found.enabled:
        raise NotFoundError("There is no such identity provider.")
    return found


def enabled_providers(connection: Connection, tenant_id: TenantId) -> tuple[IdentityProvider, ...]:
    """Return the providers at which people of a tenant may sign in."""
    found = identity_providers.list_providers(connection, tenant_id, Page(size=MOST_PROVIDERS))
    return tuple(each for each in found if each.enabled)


def put_provider(
    connection: Connection, acting: Acting, provider: IdentityProvider, rules: OutgoingRules, *, is_new: bool
) -> None:
    """Keep a provider. Raises: InvalidProviderError."""
    _check(connection, provider, rules)
    if is_new and len(identity_providers.list_providers(connection, acting.tenant_id, Page())) >= MOST_PROVIDERS:
        raise InvalidProviderError(f"A tenant has at most {MOST_PROVIDERS} identity providers.")
    (identity_providers.add if is_new else identity_providers.change)(connection, provider)
    activity = "identityProvider.created" if is_new else "identityProvider.changed"
    details = {"name": provider.display_name, "issuer": provider.issuer, "enabled": provider.enabled}
    acting.record(connection, activity, "identityProvider", provider.id, **details)


def remove_provider(connection: Connection, acting: Acting, provider: IdentityProvider) -> None:
    """Remove a provider: whoever signed in there alone needs a one-time code from then on."""
    identity_providers.remove(connection, provider.id)
    acting.record(connection, "identityProvider.deleted", "identityProvider", provider.id, name=provider.display_name)


def admit(connection: Connection, acting: Acting, provider: IdentityProvider, claims: Mapping[str, Any]) -> Person:
    """Find who somebody at a provider is here, and keep their groups as the provider names them now.

    Raises:
        FederationRefusedError: Nobody, or somebody who is switched off.
    """
    settings, subject = settings_of(provider), str(claims["sub"])
    known = identity_providers.find_identity(connection, provider.id, subject)
    if known is None:
        known = link(connection, acting, provider, _newcomer(connection, acting, provider, claims), subject)
    person = stored_people.find(connection, known.person_id)
    if person is None or not person.enabled:
        raise FederationRefusedError("This account is switched off.", remedy="Ask an administrator.")
    named = _groups(settings, claims)
    identity_providers.note_groups(connection, known, named)
    ours = frozenset(settings.group_mappings.values())
    joined = frozenset(settings.group_mappings[each] for each in named if each in settings.group_mappings)
    before = stored_people.groups_of(connection, person.id)
    identity_providers.put_memberships(connection, known, joined=joined - before, left=(ours - joined) & before)
    if (joined - before) or (ours - joined) & before:
        changed = {"joined": sorted(joined - before), "left": sorted((ours - joined) & before)}
        acting.record(connection, "person.groupsChanged", "person", person.id, name=person.display_name, **changed)
    return person


def link(
    connection: Connection, acting: Acting, provider: IdentityProvider, person: Person, subject: str
) -> FederatedIdentity:
    """Bind somebody at a provider to a person. Raises: FederationRefusedError."""
    if identity_providers.find_identity(connection, provider.id, subject) is not None:
        raise FederationRefusedError("That account at the identity provider is bound to somebody already.")
    identity = FederatedIdentity(
        provider_id=provider.id,
        subject=subject,
        tenant_id=provider.tenant_id,
        person_id=person.id,
        groups=(),
        created_at=acting.clock.now(),
    )
    identity_providers.add_identity(connection, identity)
    acting.record(
        connection, "person.linked", "person", person.id, name=person.display_name, provider=provider.display_name
    )
    return identity


def _newcomer(connection: Connection, acting: Acting, provider: IdentityProvider, claims: Mapping[str, Any]) -> Person:
    settings = settings_of(provider)
    name = _name(settings, claims)
    found = stored_people.find_by_user_name(connection, provider.tenant_id, name) if name else None
    if found is not None:
        if passkeys.of_person(connection, found.id) or found.last_sign_in_at is not None:
            raise FederationRefusedError(
                "Somebody who signs in otherwise has this name.",
                remedy="Sign in as before, and link the identity provider on the page of your account.",
            )
        return found
    is_mapped = any(each in settings.group_mappings for each in _groups(settings, claims))
    if settings.admission is not Admission.MAPPED or not is_mapped:
        raise FederationRefusedError("Nobody has invited this account.", remedy="Ask an administrator to invite you.")
    shown = claims.get("name")
    display_name = shown if isinstance(shown, str) and is_name(shown) else name or str(claims["sub"])
    short = hashlib.sha256(f"{provider.id} {claims['sub']}".encode()).hexdigest()[:32]
    try:
        return people.create(connection, acting, user_name=name or f"{short}@federated", display_name=display_name)
    except (people.InvalidPersonError, AlreadyExistsError):
        return people.create(connection, acting, user_name=f"{short}@federated", display_name="Somebody")


def _name(settings: ProviderSettings, claims: Mapping[str, Any]) -> str:
    """Read the name by which somebody may have been invited; an address counts where the provider verified it."""
    name = claims.get(settings.name_claim)
    if not isinstance(name, str) or not is_name(name):
        return ""
    if settings.name_claim == "email" and claims.get("email_verified") is not True:
        return ""
    return name.strip().lower()


def _groups(settings: ProviderSettings, claims: Mapping[str, Any]) -> tuple[str, ...]:
    named = claims.get(settings.group_claim)
    texts = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    return tuple(sorted(set(texts)))[:_MOST_GROUPS]


def _check(connection: Connection, provider: IdentityProvider, rules: OutgoingRules) -> None:
    try:
        check_url(provider.issuer, rules)
    except InvalidReceiverError as error:
        raise InvalidProviderError(f"issuer: {error.cause}") from None
    texts = (provider.client_id, provider.client_secret)
    if not is_name(provider.display_name) or not provider.client_id or any(len(each) > _LONGEST for each in texts):
        raise InvalidProviderError("A display name and a client id are needed, of plain characters.")
    if "?" in provider.issuer or not all(each.isprintable() and each.isascii() for each in texts):
        raise InvalidProviderError("The issuer has no query, and client id and secret are printable ASCII.")
    settings = settings_of(provider)
    if "openid" not in settings.scope.split():
        raise InvalidProviderError("The scope has to hold openid.")
    for group_id in sorted(set(settings.group_mappings.values())):
        group = groups.find(connection, group_id)
        if group is None or group.tenant_id != provider.tenant_id or group.is_dynamic:
            raise InvalidProviderError(f"There is no group {group_id} with assigned members.")
