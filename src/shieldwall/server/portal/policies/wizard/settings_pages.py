"""The second step: the settings, as a form made from the catalog. It is kept and checked while somebody types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import GroupCollectionSetting, GroupValue, walk
from shieldwall.server.admin.authoring import server_of
from shieldwall.server.manager import reusable_settings
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.forms import every_value, many_fields
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.wizard.faults import Faults, located
from shieldwall.server.portal.policies.wizard.form_fields import Settings, fields_of_policy, offered_by, strangers
from shieldwall.server.portal.policies.wizard.form_reading import Items, read_policy
from shieldwall.server.portal.policies.wizard.hints import hints_of, option_names, told_item
from shieldwall.server.portal.policies.wizard.sections import found, looking_for, sections
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    STAY,
    Step,
    is_forward,
    is_partial,
    kept,
    onward,
    show,
    taken,
    template_of,
)
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.records import Page

MOST_SETTING_FIELDS: Final = 4_000
_LISTED: Final = 50
"""Items of a list that are shown before somebody asks for all."""
_OPEN: Final = 4
"""Chapters that are all shown unfolded, where there are no more."""
_MOST_REUSABLE: Final = 500
_SEARCH: Final = "~q"
_ONLY_SET: Final = "~only"


@dataclass(frozen=True, slots=True)
class ItemAct:
    """What a button beside an item, or below a list, asks for."""

    verb: str
    setting: SettingId
    place: int = -1


@get(ONE + "/settings", opt=OWN, sync_to_thread=True)
def show_settings(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show the settings, to be entered."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    asked = request.query_params
    return _page(services, rendering, request, unfinished, asked.get("q", ""), only_set="only" in asked)


@post(ONE + "/settings", opt=OWN | many_fields(MOST_SETTING_FIELDS), sync_to_thread=True)
def keep_settings(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Keep what was entered, say what is wrong with it, and go where it is asked."""
    check_form(services, request, form)
    act = _act_of(form)
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        read = _read(services, unfinished, form, act)
        unfinished = keep_draft_settings(services, request, connection, unfinished, read)
    words, only_set = form.get(_SEARCH, ""), _ONLY_SET in form
    if act is not None and act.verb in {"add", "edit"}:
        place = len(items_of(read, act.setting)) - 1 if act.verb == "add" else act.place
        return redirect(item_path(unfinished, act.setting, place))
    if is_partial(request):
        return _page(services, rendering, request, unfinished, words, only_set=only_set)
    asked = {"q": words, "only": "1" if only_set else ""}
    if act is not None:
        return onward(unfinished, {}, Step.SETTINGS, **asked)
    return _onward(services, unfinished, form, asked)


def _onward(services: Services, unfinished: Unfinished, form: Form, asked: Mapping[str, str]) -> Redirect:
    """Go on once all is right and was seen; stay where somebody looks for something."""
    if is_forward(form, Step.SETTINGS):
        if faults_of(services, unfinished).found:
            return onward(unfinished, {}, Step.SETTINGS, check="1")
        if _brings_more(services, unfinished, form):
            return onward(unfinished, {}, Step.SETTINGS, more="1")
    elif form.get("do") == STAY:
        return onward(unfinished, form, Step.SETTINGS, **asked)
    return onward(unfinished, form, Step.SETTINGS)


def keep_draft_settings(
    services: Services, request: PageRequest, connection: Connection, unfinished: Unfinished, read: Settings
) -> Unfinished:
    """Keep these settings. Raises: as ``manager.unfinished.keep``."""
    draft = replace(unfinished.draft, settings=read)
    return kept(services, request, connection, unfinished, msgspec.structs.replace(unfinished.content, draft=draft))


def faults_of(services: Services, unfinished: Unfinished) -> Faults:
    """Say what is wrong with the settings, each at its field."""
    draft = unfinished.draft
    findings = validate(
        services.catalog,
        draft.template_id,
        draft.platforms,
        draft.technologies,
        draft.settings,
        server=server_of(services),
    )
    return located(services.catalog, draft.settings, (each for each in findings if each.path.startswith("settings")))


def items_of(settings: Settings, setting: SettingId) -> tuple[GroupValue, ...]:
    """Return the items of a list, wherever it stands; none where it is not set."""
    for instance in walk(settings):
        if instance.definition == setting and isinstance(instance, GroupCollectionSetting):
            return instance.values
    return ()


def item_path(unfinished: Unfinished, setting: SettingId, place: int) -> str:
    """Return the path of the form of one item."""
    return f"/policies/unfinished/{unfinished.id}/item?{urlencode({'setting': setting, 'place': place})}"


def reusable_names(services: Services, connection: Connection) -> Mapping[str, str]:
    """Return the reusable settings that a policy may refer to, by id."""
    listed = reusable_settings.list_settings(connection, services.tenant.id, Page(size=_MOST_REUSABLE))
    return {each.id: each.display_name for each in listed}


def _page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    unfinished: Unfinished,
    words: str,
    *,
    only_set: bool,
) -> Response[str]:
    catalog, template = services.catalog, template_of(services, unfinished)
    settings = unfinished.draft.settings
    faults = faults_of(services, unfinished)
    looking = looking_for(words[:200], only_set=only_set)
    fields = fields_of_policy(catalog, template, settings)
    chapters = sections(found(catalog, fields, looking), faults.settings)
    return show(
        services,
        rendering,
        request,
        unfinished,
        Step.SETTINGS,
        chapters=chapters,
        strangers=strangers(offered_by(template), settings),
        faults=faults,
        words=words[:200],
        only_set=only_set,
        unfold=len(chapters) <= _OPEN,
        is_everything=looking.is_everything,
        is_checked="check" in request.query_params,
        brings_more="more" in request.query_params,
        listed=None if "all" in request.query_params else _LISTED,
        hints=hints_of,
        told_item=lambda group: told_item(catalog, group),
        name_of=lambda setting: catalog.definition(setting).display_name,
        option_names=lambda each: option_names(catalog, each),
        reusables={},
    )


def _read(services: Services, unfinished: Unfinished, form: Form, act: ItemAct | None) -> Settings:
    base = unfinished.draft.settings
    items: Items = {} if act is None else {act.setting: _acted(items_of(base, act.setting), act)}
    return read_policy(services.catalog, template_of(services, unfinished), base, every_value(form), items)


def _acted(values: tuple[GroupValue, ...], act: ItemAct) -> tuple[GroupValue, ...]:
    """Do to a list what a button asks for; one that names no item any more does nothing."""
    if act.verb == "add":
        return (*values, GroupValue())
    if not 0 <= act.place < len(values):
        return values
    if act.verb == "remove":
        return values[: act.place] + values[act.place + 1 :]
    if act.verb == "copy":
        return (*values[: act.place + 1], *values[act.place :])
    return values


def _act_of(form: Mapping[str, str]) -> ItemAct | None:
    verb, _, rest = form.get("do", "").partition(":")
    if verb not in {"add", "edit", "remove", "copy"}:
        return None
    place, _, setting = rest.partition(":")
    return ItemAct(verb, SettingId(setting), int(place) if place.isascii() and place.isdigit() else -1)


def _brings_more(services: Services, unfinished: Unfinished, form: Form) -> bool:
    """Whether what was chosen brings settings along that its author has not been shown."""
    waiting = list(fields_of_policy(services.catalog, template_of(services, unfinished), unfinished.draft.settings))
    while waiting:
        field = waiting.pop()
        if field.name in form and any(child.name not in form for child in field.children):
            return True
        waiting += field.children
    return False


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_settings, keep_settings)
