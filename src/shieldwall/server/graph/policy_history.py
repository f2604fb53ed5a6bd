"""``configurationPolicies/{id}/revisions``: what a policy was, what changed, and the way back (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import PolicyId, TenantId, parse_policy_id
from shieldwall.contract.settings import PolicyDocument
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import authoring, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import ETAG, IF_MATCH, REASON, asked, does, lists, shows
from shieldwall.server.graph.fields.policies import CHANGE_FIELDS, REVISION_FIELDS
from shieldwall.server.graph.policy_access import (
    EXPANDABLE,
    ONE,
    READ,
    WRITE,
    etag_of,
    matching_or_deleted,
    reason_of,
    resource_of,
)
from shieldwall.server.graph.policy_shapes import change_resource, revision_content_resource, revision_resource
from shieldwall.server.graph.query import MOST_DIGITS, counted_after
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    list_answer,
    number_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.schemas.policies import POLICY
from shieldwall.server.graph.schemas.revisions import CHANGE, REVISION, REVISION_CONTENT
from shieldwall.server.manager import revisions
from shieldwall.server.manager.revision_changes import changes_between, class_between
from shieldwall.server.manager.revisions import RevisionContent
from shieldwall.server.openapi.shapes import COUNT
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page

_REVISIONS: Final = ONE + "/revisions"
_REVISION: Final = _REVISIONS + "/{revision:str}"
_SINCE: Final = asked("since", "The revision to compare with; the one before where it is left out.", COUNT)


class RollbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which revision's content shall hold again, and why."""

    revision: int
    reason: str = ""


@get(_REVISIONS, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | lists(REVISION), sync_to_thread=True)
def list_revisions(services: Services, request: GraphRequest, policy_id: FromPath[str]) -> Response[bytes]:
    """List the revisions of a policy, newest first, each with what it did to the protection (ours)."""
    query, wanted = query_of(request), parse_policy_id(policy_id)
    counted_after(query)
    with services.database.read() as connection:
        found = revisions.history(connection, services.tenant.id, wanted, query.page_of(REVISION_FIELDS))
        contents = [revisions.content_of(revision) for revision in found]
        documents = _with_those_before(connection, services.tenant.id, wanted, contents)
    rows = [
        (str(number), revision_resource(each, _class(services, documents.get(number - 1), each.document)))
        for each in contents
        for number in [each.revision.revision]
    ]
    return page_answer(services, request, query, rows, REVISION_FIELDS)


@get(
    _REVISION,
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | shows(REVISION_CONTENT),
    sync_to_thread=True,
)
def get_revision(
    services: Services, request: GraphRequest, policy_id: FromPath[str], revision: FromPath[str]
) -> Response[bytes]:
    """Return a policy as it was in one revision (ours)."""
    query, wanted, number = query_of(request), parse_policy_id(policy_id), _number(revision)
    with services.database.read() as connection:
        content = revisions.get_revision(connection, services.tenant.id, wanted, number)
    template = services.catalog.templates.get(content.draft.template_id)
    return answer(query.shape(revision_content_resource(content, template)))


@get(
    _REVISION + "/changes",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OBJECT) | lists(CHANGE, asks=[_SINCE]),
    sync_to_thread=True,
)
def list_changes(
    services: Services, request: GraphRequest, policy_id: FromPath[str], revision: FromPath[str]
) -> Response[bytes]:
    """List what a revision changed against ``since``, by default the one before it, setting by setting (ours)."""
    query, wanted = query_of(request, parameters=frozenset({"since"})), parse_policy_id(policy_id)
    number, since = _number(revision), number_of(request, "since")
    with services.database.read() as connection:
        after = revisions.get_revision(connection, services.tenant.id, wanted, number).document
        before = _earlier(services, connection, wanted, number, since)
    changes = changes_between(services.catalog, before, after)
    return list_answer(
        services, request, query, [change_resource(services.catalog, change) for change in changes], CHANGE_FIELDS
    )


@post(
    ONE + "/rollback",
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES, Reach.OBJECT)
    | does(POLICY, takes=RollbackRequest, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
    status_code=200,
)
@signed_between
def roll_back(services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Make the content of an earlier revision that of the next one; a deleted policy comes back, unassigned (ours)."""
    asked, wanted = body_of(request, body, RollbackRequest), parse_policy_id(policy_id)
    with services.database.write() as connection:
        matching_or_deleted(services, request, connection, wanted)
        policy = authoring(services).rollback(
            connection,
            acting_for(services, request),
            wanted,
            asked.revision,
            reason=asked.reason or reason_of(request),
        )
        resource, etag = resource_of(services, connection, policy, EXPANDABLE), etag_of(connection, policy)
    return answer(resource, etag=etag)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_revisions, get_revision, list_changes, roll_back)


def _with_those_before(
    connection: Connection, tenant_id: TenantId, policy_id: PolicyId, contents: Sequence[RevisionContent]
) -> dict[int, PolicyDocument]:
    """Return what these revisions say and those before them, by number; in an order asked for, few are neighbours."""
    documents = {each.revision.revision: each.document for each in contents}
    for number in [each - 1 for each in documents if each > 1 and each - 1 not in documents]:
        documents[number] = revisions.get_revision(connection, tenant_id, policy_id, number).document
    return documents


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise NotFoundError(f"There is no revision {text[:64]!r}.")
    return int(text)


def _class(services: AdminServices, before: PolicyDocument | None, after: PolicyDocument) -> str | None:
    return None if before is None else class_between(services.catalog, before, after)


def _earlier(
    services: AdminServices, connection: Connection, policy_id: PolicyId, number: int, since: int | None
) -> PolicyDocument | None:
    """Return the revision to compare with: the one named, else the one before, ``None`` where there is none."""
    tenant = services.tenant.id
    if since is not None:
        return revisions.get_revision(connection, tenant, policy_id, since).document
    before = revisions.history(connection, tenant, policy_id, Page(size=1, after=str(number)))
    return revisions.document_of(before[0]) if before else None
