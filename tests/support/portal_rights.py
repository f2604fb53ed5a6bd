"""Who may what in the furnished tenant (``portal_scene``), and who looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from shieldwall.server.access.grants import FULL
from shieldwall.server.access.roles import HELP_DESK_OPERATOR
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import administrators
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.role_assigning import AssignmentDraft, assign_role
from shieldwall.server.directory.roles import RoleDraft, create_role
from shieldwall.server.directory.scope_tags import create_tag
from shieldwall.server.storage.access_records import ScopeType
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.tenants import trusted_authorities
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind, TrustedAuthority


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Makes people, roles and what is trusted."""

    services: AdminServices
    now: datetime

    @cached_property
    def acting(self) -> Acting:
        return self.services.acting("person:alan@contoso.example")

    def viewer(self, connection: Connection) -> Person:
        """Return Ada, who looks at all this; what she has begun is hers alone."""
        found = people.find_by_user_name(connection, self.services.tenant.id, "ada")
        if found is None:
            administrators.invite(connection, self.acting, display_name="Ada")
            found = people.find_by_user_name(connection, self.services.tenant.id, "ada")
        assert found is not None
        return found

    def give(self, connection: Connection, viewer: Person) -> None:
        """Make a scope tag, a role, an assignment of it, and an authority that is trusted."""
        tag = create_tag(connection, self.acting, "Branch", "What stands in the branch offices")
        draft = RoleDraft(display_name="Branch operator", actions=HELP_DESK_OPERATOR.actions)
        role = create_role(connection, self.acting, FULL, draft)
        given = AssignmentDraft(
            display_name="Branch operators",
            members=(viewer.id,),
            scope_type=ScopeType.ALL_DEVICES,
            role_scope_tag_ids=(tag.id,),
        )
        assign_role(connection, self.acting, FULL, role.id, given)
        authority = TrustedAuthority(
            id=self.services.new_id(),
            tenant_id=self.services.tenant.id,
            kind=AuthorityKind.ENDORSEMENT,
            display_name="The TPM of the build machine",
            value="ab" * 32,
            created_at=self.now,
        )
        trusted_authorities.add(connection, authority)
