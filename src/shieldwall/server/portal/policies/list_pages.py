"""The list of policies, by type; and the same as a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.strict_json import encode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.inventory.table_export import Table, as_csv
from shieldwall.server.manager import unfinished
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.policies import listing
from shieldwall.server.portal.policies.links import asked_by, following, page_after
from shieldwall.server.portal.policies.listing import ListedPolicy
from shieldwall.server.portal.policies.words import FAMILIES, PLATFORMS
from shieldwall.server.portal.words import STATES
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page

MOST_EXPORTED: Final = 5_000
"""Policies of one file; a tenant has far fewer."""
_MEDIA: Final = {"csv": "text/csv", "json": "application/json"}
_COLUMNS: Final = (
    "id",
    "name",
    "description",
    "type",
    "profile",
    "platform",
    "assigned",
    "priority",
    "revision",
    "modified",
    *(str(state) for state in STATES),
)
"""The same whether or not any policy fits, and while devices are still being counted."""


@get("/policies", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.LISTED), sync_to_thread=True)
def list_policies(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the policies, by type."""
    asked, sight, figures = asked_by(request, *listing.NAMES), sight_of(request), figures_for(services, request)
    with services.database.read() as connection:
        rows = listing.find(services, connection, sight, asked, page=page_after(asked), figures=figures)
        families = listing.counts_by_family(services, connection, sight)
        begun = unfinished.of_person(connection, services.tenant.id, caller_of(request).id)
    order, descending = listing.order_of(asked)
    return rendering.page(
        request,
        "policies/policies.html",
        section="/policies",
        live=("policies",),
        policies=rows,
        families=families,
        family_words=FAMILIES,
        platforms=PLATFORMS,
        profiles=listing.profiles_of(services.catalog, asked.one_of("type", FAMILIES)),
        asked=asked,
        order=order.value,
        descending=descending,
        as_of=listing.as_of(figures),
        unfinished_policies=begun,
        catalog=services.catalog,
        **following(asked, [row.id for row in rows]),
    )


@get(
    "/policies/export/{kind:str}",
    opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.LISTED),
    sync_to_thread=True,
)
def export_policies(services: Services, request: PageRequest, kind: FromPath[str]) -> Response[bytes]:
    """Send the policies that the list shows as a file, to be saved."""
    if kind not in _MEDIA:
        raise NotFoundError(f"There is no export {kind[:16]!r}.")
    asked, figures = asked_by(request, *listing.NAMES), figures_for(services, request)
    with services.database.read() as connection:
        rows = listing.find(
            services, connection, sight_of(request), asked, page=Page(size=MOST_EXPORTED), figures=figures
        )
    content = _csv(map(_told, rows)) if kind == "csv" else encode([_told(row) for row in rows])
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="policies.{kind}"'}
    return Response(content, media_type=_MEDIA[kind], headers=headers)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_policies, export_policies)


def _told(row: ListedPolicy) -> dict[str, Any]:
    policy = row.policy
    return {
        "id": policy.id,
        "name": policy.name,
        "description": policy.description,
        "type": FAMILIES.get(row.family, row.family),
        "profile": row.profile,
        "platform": PLATFORMS.get(policy.platforms, policy.platforms),
        "assigned": row.is_assigned,
        "priority": policy.priority,
        "revision": policy.revision,
        "modified": policy.modified_at.isoformat(),
        **{str(state): count for state, count in (row.counts or {}).items()},
    }


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    table = Table(name="policies", columns=_COLUMNS, rows=([row.get(each) for each in _COLUMNS] for row in rows))
    return "".join(as_csv(table)).encode()
