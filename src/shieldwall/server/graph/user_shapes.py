"""People and what they sign in with as Graph resources."""

from __future__ import annotations

from datetime import datetime

from shieldwall.server.directory.one_time_codes import INVITATION_LIFETIME
from shieldwall.server.directory.people import principal_name
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.storage.identity.invitations import Invitation
from shieldwall.server.storage.identity.passkeys import Passkey
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Tenant

USER_TYPE = "#microsoft.graph.user"


def user_resource(person: Person, tenant: Tenant) -> Json:
    """Shape a user."""
    return {
        "id": person.id,
        "userPrincipalName": principal_name(person, tenant),
        "displayName": person.display_name,
        "accountEnabled": person.enabled,
        "userType": "Member",
        "mail": None,
        "createdDateTime": moment(person.created_at),
        "signInActivity": {"lastSignInDateTime": moment(person.last_sign_in_at)},
        "signInSessionsValidFromDateTime": moment(person.valid_from),
    }


def passkey_resource(passkey: Passkey) -> Json:
    """Shape a fido2AuthenticationMethod."""
    return {
        "id": passkey.digest,
        "displayName": passkey.display_name,
        "createdDateTime": moment(passkey.created_at),
        "lastUsedDateTime": moment(passkey.last_used_at),
        "aaGuid": passkey.authenticator,
        "model": None,
        "attestationLevel": "notAttested",
        "passkeyType": "synced" if passkey.backed_up else "deviceBound",
    }


def code_resource(invitation: Invitation, now: datetime, *, code: str | None = None, url: str | None = None) -> Json:
    """Shape a temporaryAccessPassAuthenticationMethod; the code itself stands in the answer that makes it alone."""
    started = moment(invitation.expires_at - INVITATION_LIFETIME)
    is_usable = invitation.used_at is None and now < invitation.expires_at
    return {
        "id": invitation.code_digest,
        "temporaryAccessPass": code,
        "createdDateTime": started,
        "startDateTime": started,
        "lifetimeInMinutes": int(INVITATION_LIFETIME.total_seconds()) // 60,
        "isUsableOnce": True,
        "isUsable": is_usable,
        "methodUsabilityReason": "EnabledByPolicy" if is_usable else "Expired",
        "signInUrl": url,
    }
