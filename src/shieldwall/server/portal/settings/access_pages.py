"""Who can do what: for one right everybody who has it, and by what; for one person all they may do."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.directory import holdings, people
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.settings.action_words import AREAS, WORDS
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.settings.names_of_access import granted_by, names_of
from shieldwall.server.storage.identity import people as stored_people

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_ROLES)
_MOST: Final = 500
"""Rows on the page."""
_BY_NAME: Final = {action.value: action for action in ResourceAction}


@get("/access", opt=_READ, sync_to_thread=True)
def who_can(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who may do the action that ``?action=`` names, everywhere or within a scope, and by which assignment."""
    action = _BY_NAME.get(request.query_params.get("action", ""), ResourceAction.UPDATE_POLICIES)
    with services.database.read() as connection:
        found = holdings.holders(connection, services.tenant.id, action)
        named = stored_people.find_many(connection, services.tenant.id, {each.person_id for each in found})
        names = names_of(
            connection, services.tenant.id, {each.assignment.id: each.assignment for each in found}.values()
        )
    rows = sorted(
        ((named[each.person_id], each) for each in found if each.person_id in named),
        key=lambda row: (row[0].display_name.casefold(), row[0].id),
    )
    return rendering.page(
        request,
        "settings/who_can.html",
        section="/roles",
        areas=AREAS,
        action=action,
        area=WORDS[action][0],
        words=WORDS[action][1],
        rows=rows[:_MOST],
        people=len({person.id for person, _ in rows}),
        is_cut=len(rows) > _MOST,
        names=names,
        live=audited(request),
    )


@get(
    "/people/{person_id:str}/access",
    opt=SIGNED_IN | needs(ResourceAction.READ_ROLES),
    sync_to_thread=True,
)
def what_somebody_can(
    services: Services, rendering: Renderer, request: PageRequest, person_id: FromPath[str]
) -> Response[str]:
    """Show all that one person may do, each with what it means and by what they have it."""
    with services.database.read() as connection:
        person = people.get(connection, services.tenant.id, person_id)
        found = holdings.holdings_of(connection, person)
        names = names_of(connection, services.tenant.id, [each.assignment for each in found])
    return rendering.page(
        request,
        "settings/person_access.html",
        section="/people",
        person=person,
        user_name=people.principal_name(person, services.tenant),
        holdings=found,
        areas=granted_by(found),
        names=names,
        live=audited(request),
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (who_can, what_somebody_can)
