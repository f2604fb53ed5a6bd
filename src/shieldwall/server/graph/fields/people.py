"""Fields of people, and of what they sign in with."""

from __future__ import annotations

from typing import Final

from sqlalchemy import case, func, select

from shieldwall.server.graph.fields.described import described
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.schemas.people import USER
from shieldwall.server.storage.tables.identity_schema import people
from shieldwall.server.storage.tables.schema import tenants

_person = people.c
_DOMAIN: Final = select(func.lower(tenants.c.domain)).where(tenants.c.id == _person.tenant_id).scalar_subquery()
USER_FIELDS: Final = described(
    USER,
    fields.guid("id", _person.id),
    fields.text(
        "userPrincipalName",
        case((_person.user_name.contains("@"), _person.user_name), else_=_person.user_name + "@" + _DOMAIN),
        folded=True,
    ),
    fields.text("displayName", _person.display_name),
    fields.boolean("accountEnabled", _person.enabled),
    fields.moment("createdDateTime", _person.created_at),
    fields.moment("signInSessionsValidFromDateTime", _person.valid_from),
    searched={"displayName": "displayName", "userPrincipalName": "userPrincipalName"},
)
