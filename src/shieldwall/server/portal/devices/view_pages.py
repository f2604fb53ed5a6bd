"""The views of the list that somebody keeps: filters, order and columns under a name, each their own."""

from __future__ import annotations

from typing import Any, Final

from litestar import post
from litestar.response import Redirect

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import saved_views
from shieldwall.server.portal.devices.asking import read_query
from shieldwall.server.portal.devices.list_pages import PATH
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form

_WANTED: Final = SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED)


@post(PATH + "/views", opt=_WANTED, sync_to_thread=True)
def save_view(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Keep the list as it is shown under a name; a view of that name becomes this one."""
    check_form(services, request, form)
    query = read_query(form.get("query", "")).here().query
    with services.database.write() as connection:
        saved_views.save(
            connection,
            acting_for(services, request),
            caller_of(request).id,
            PATH,
            name=form.get("name", ""),
            query=query,
        )
    return redirect(f"{PATH}?{query}")


@post(PATH + "/views/remove", opt=_WANTED, sync_to_thread=True)
def remove_view(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Forget a view."""
    check_form(services, request, form)
    with services.database.write() as connection:
        saved_views.remove(connection, acting_for(services, request), caller_of(request).id, form.get("view", ""))
    return redirect(PATH)


HANDLERS: Final[tuple[Any, ...]] = (save_view, remove_view)
