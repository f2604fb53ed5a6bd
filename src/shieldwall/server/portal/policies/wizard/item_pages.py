"""One item of a list, such as an exclusion or a firewall rule, on a form of its own."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.catalog.model import SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.forms import every_value, many_fields
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.wizard.faults import Faults
from shieldwall.server.portal.policies.wizard.form_fields import Control, Field, fields_of
from shieldwall.server.portal.policies.wizard.form_reading import read_policy, read_settings
from shieldwall.server.portal.policies.wizard.hints import hints_of, option_names, told_item
from shieldwall.server.portal.policies.wizard.sections import applicable
from shieldwall.server.portal.policies.wizard.settings_pages import (
    MOST_SETTING_FIELDS,
    faults_of,
    item_path,
    items_of,
    keep_draft_settings,
    reusable_names,
)
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    Step,
    is_partial,
    path_to,
    taken,
    template_of,
)
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.errors import NotFoundError

_DONE: Final = "done"
_BACK: Final = "back"


@get(ONE + "/item", opt=OWN, sync_to_thread=True)
def show_item(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show one item of a list, to be entered."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    return _page(services, rendering, request, unfinished)


@post(ONE + "/item", opt=OWN | many_fields(MOST_SETTING_FIELDS), sync_to_thread=True)
def keep_item(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Keep what was entered of an item, and say what is wrong with it."""
    check_form(services, request, form)
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        definition, place = _asked(services, request, unfinished)
        values = items_of(unfinished.draft.settings, definition.id)
        children = read_settings(services.catalog, definition.children, values[place].children, every_value(form))
        item = msgspec.structs.replace(values[place], children=children)
        is_removed = form.get("do") == "remove"
        changed = (*values[:place], *(() if is_removed else (item,)), *values[place + 1 :])
        read = read_policy(
            services.catalog,
            template_of(services, unfinished),
            unfinished.draft.settings,
            {definition.id: ("",)},  # without its last item a list is not set
            {definition.id: changed},
        )
        unfinished = keep_draft_settings(services, request, connection, unfinished, read)
    back = path_to(unfinished, Step.SETTINGS)
    if is_removed or form.get("do") == _BACK:
        return redirect(back)
    if is_partial(request):
        return _page(services, rendering, request, unfinished)
    if form.get("do") != _DONE:
        return redirect(item_path(unfinished, definition.id, place))
    if faults_of(services, unfinished).inside(definition.id, place):
        return redirect(item_path(unfinished, definition.id, place) + "&check=1")
    return redirect(back)


def _page(services: Services, rendering: Renderer, request: PageRequest, unfinished: Unfinished) -> Response[str]:
    definition, place = _asked(services, request, unfinished)
    catalog = services.catalog
    item = items_of(unfinished.draft.settings, definition.id)[place]
    is_checked = "check" in request.query_params
    fields = fields_of(catalog, definition.children, item.children, definition.required_children)
    reusables = {}
    if any(field.control is Control.REFERENCES for field in fields):
        with services.database.read() as connection:
            reusables = dict(reusable_names(services, connection))
    return rendering.page(
        request,
        "policies/wizard/item.html",
        section="/policies",
        unfinished=unfinished,
        draft=unfinished.draft,
        profile=template_of(services, unfinished),
        collection=definition,
        place=place,
        fields=_required_first(applicable(fields)),
        # Nothing is wrong yet with an item that has just been added.
        faults=faults_of(services, unfinished) if item.children or is_checked else Faults(),
        back=path_to(unfinished, Step.SETTINGS),
        here=item_path(unfinished, definition.id, place),
        is_checked=is_checked,
        told=told_item(catalog, item),
        hints=hints_of,
        told_item=lambda group: told_item(catalog, group),
        name_of=lambda setting: catalog.definition(setting).display_name,
        option_names=lambda each: option_names(catalog, each),
        reusables=reusables,
    )


def _asked(services: Services, request: PageRequest, unfinished: Unfinished) -> tuple[SettingDefinition, int]:
    """Return the list that an item belongs to, and its place there. Raises: NotFoundError."""
    setting, place = SettingId(request.query_params.get("setting", "")), request.query_params.get("place", "")
    count = len(items_of(unfinished.draft.settings, setting))
    if not (place.isascii() and place.isdigit() and len(place) < 7 and int(place) < count):
        raise NotFoundError("There is no such item in the list.", remedy="Go back to the settings of the policy.")
    return services.catalog.definition(setting), int(place)


def _required_first(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(sorted(fields, key=lambda field: not field.is_required))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_item, keep_item)
