"""The third step: scope tags, which say whose administrators see the policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.access.tagging import tags_held
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory.scope_tags import MOST_TAGS, all_tags
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.forms import every_value, many_fields
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    Step,
    action_on,
    is_partial,
    kept,
    onward,
    show,
    taken,
)
from shieldwall.server.portal.sessions import check_form


@get(ONE + "/scope-tags", opt=OWN, sync_to_thread=True)
def show_scope_tags(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show which scope tags the policy has and may get."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    return _page(services, rendering, request, unfinished)


@post(ONE + "/scope-tags", opt=OWN | many_fields(2 * MOST_TAGS), sync_to_thread=True)
def keep_scope_tags(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Keep the tags ticked; those that are not offered to this person stay as they are."""
    check_form(services, request, form)
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        ticked, before = every_value(form).get("tag", ()), unfinished.draft.role_scope_tag_ids
        held = _held(request, unfinished)
        offered = {each.id for each in all_tags(connection, services.tenant.id) if held is None or each.id in held}
        is_new = unfinished.policy_id is None  # nobody else gave it a tag that would have to stay
        stay = [tag for tag in before if tag in ticked or (tag not in offered and not is_new)]
        wanted = tuple(dict.fromkeys((*stay, *(tag for tag in ticked if tag in offered))))
        draft = replace(unfinished.draft, role_scope_tag_ids=wanted or (DEFAULT_TAG,))
        content = msgspec.structs.replace(unfinished.content, draft=draft)
        unfinished = kept(services, request, connection, unfinished, content)
    if is_partial(request):
        return _page(services, rendering, request, unfinished)
    return onward(unfinished, form, Step.SCOPE_TAGS)


def _page(services: Services, rendering: Renderer, request: PageRequest, unfinished: Unfinished) -> Response[str]:
    held = _held(request, unfinished)
    with services.database.read() as connection:
        known = all_tags(connection, services.tenant.id)
    present = unfinished.draft.role_scope_tag_ids
    return show(
        services,
        rendering,
        request,
        unfinished,
        Step.SCOPE_TAGS,
        offered=[each for each in known if held is None or each.id in held],
        others=[]
        if unfinished.policy_id is None or held is None
        else [each for each in known if each.id in set(present) - held],
        is_narrowed=held is not None,
    )


def _held(request: PageRequest, unfinished: Unfinished) -> frozenset[str] | None:
    return tags_held(caller_of(request).access, action_on(unfinished))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_scope_tags, keep_scope_tags)
