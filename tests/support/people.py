"""People with roles, and what they call the server with: an access token for Graph, a session for the admin center.

The token is what the identity platform gives to the command line for somebody who has just signed in; the session is
what a sign-in begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from tests.support.admin import PUBLIC_URL, AdminWorld, Client

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.roles import ADMINISTRATOR, Role
from shieldwall.server.admin.callers import issuer_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import sessions
from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.first_party import delegated_of, ensure_cli
from shieldwall.server.directory.resource_names import Api
from shieldwall.server.portal.sessions import COOKIE
from shieldwall.server.storage.access import role_assignments, roles
from shieldwall.server.storage.access.roles import CustomRole
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person, ProofMethod
from shieldwall.server.storage.records import Tenant


def a_person(
    world: AdminWorld,
    role: Role | None = ADMINISTRATOR,
    *,
    tags: Sequence[str] = (),
    groups: Sequence[GroupId] | None = None,
    tenant: Tenant | None = None,
    name: str = "Grace",
) -> Person:
    """Make a person who has one role, narrowed by scope tags and scope groups where some are given."""
    services = _services(world, tenant)
    person = Person(
        id=services.new_id(),
        tenant_id=services.tenant.id,
        user_name=f"{services.new_id()}@people.test",
        display_name=name,
        created_at=world.clock.now(),
        valid_from=world.clock.now(),
    )
    with world.writing() as connection:
        people.add(connection, person)
    if role is not None:
        give(world, person, role, tags=tags, groups=groups)
    return person


def give(
    world: AdminWorld,
    person: Person,
    role: Role,
    *,
    tags: Sequence[str] = (),
    groups: Sequence[GroupId] | None = None,
) -> None:
    """Give somebody one role more; a role that is not built in is made where it is not there."""
    now = world.clock.now()
    with world.writing() as connection:
        if not role.is_built_in and roles.find(connection, person.tenant_id, role.id) is None:
            made = CustomRole(role=role, tenant_id=person.tenant_id, created_at=now, modified_at=now)
            roles.add(connection, made)
        role_assignments.add(
            connection,
            RoleAssignment(
                id=world.services.new_id(),
                tenant_id=person.tenant_id,
                role_id=role.id,
                display_name=role.display_name,
                description="",
                members=(person.id,),
                scope_type=ScopeType.ALL_DEVICES if groups is None else ScopeType.RESOURCE_SCOPE,
                scope_groups=tuple(groups or ()),
                role_scope_tag_ids=tuple(tags),
                created_at=now,
                modified_at=now,
            ),
        )


def token_client(
    world: AdminWorld, person: Person, *, api: Api = Api.GRAPH, tenant: Tenant | None = None, proof_age: int = 0
) -> Client:
    """Call Graph as a person; ``proof_age`` is how many minutes ago they showed who they are."""
    services = _services(world, tenant)
    proved_at = world.clock.now() - timedelta(minutes=proof_age)
    with world.writing() as connection:
        app = ensure_cli(connection, services.acting("console"))
    claims = issuer_of(services).claims_of_person(
        app,
        SignIn(person=person, proved_at=proved_at, method=ProofMethod.PASSKEY),
        audience=api.value,
        scopes=tuple(delegated_of(app)),
        now=world.clock.now(),
        token_id=services.new_id(),
    )
    client = world.client()
    client.headers["Authorization"] = f"Bearer {services.signer.sign_token(claims)}"
    return client


def browser(world: AdminWorld, person: Person, *, tenant: Tenant | None = None) -> Client:
    """Call the admin center as a person who has just signed in."""
    services = _services(world, tenant)
    with world.writing() as connection:
        _, token = sessions.begin(connection, services.acting("portal"), person, ProofMethod.PASSKEY)
    client = world.client()
    client.cookies.set(COOKIE, token)
    client.headers["Origin"] = PUBLIC_URL
    return client


def _services(world: AdminWorld, tenant: Tenant | None) -> AdminServices:
    return world.services if tenant is None else world.services.of(tenant)
