"""The page of tamper protection: who is protected, what a change would do, and only then saving it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager import protection
from shieldwall.server.manager.protection import ProtectionEffect
from shieldwall.server.portal.forms import many_fields
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.protection_forms import MOST_FIELDS, changed, read, written
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.reports import first_steps

_MANY: Final = many_fields(MOST_FIELDS)


@get("/protection", opt=SIGNED_IN | needs(ResourceAction.READ_PROTECTION), sync_to_thread=True)
def show_protection(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who is protected; how many that are is counted here while the fleet is small, else by a preview."""
    with services.database.read() as connection:
        found, tenant = protection.get_settings(connection, services.tenant.id), services.tenant.id
        effect = protection.preview(connection, tenant, found) if first_steps.is_small(connection, tenant) else None
        return _page(connection, rendering, request, found, effect)


@post(
    "/protection/preview",
    opt=SIGNED_IN | needs(ResourceAction.UPDATE_PROTECTION) | _MANY,
    sync_to_thread=True,
    status_code=200,
)
def preview_protection(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Say how many devices gain protection and how many lose it; only from there it can be saved."""
    check_form(services, request, form)
    with services.database.read() as connection:
        present = protection.get_settings(connection, services.tenant.id)
        try:
            wanted = changed(connection, services, sight_of(request), present, form)
            effect = protection.preview(connection, services.tenant.id, wanted)
        except ShieldwallError as problem:
            return _page(connection, rendering, request, present, None, form=form, problem=problem)
        return _page(connection, rendering, request, present, effect, wanted=wanted)


@post("/protection", opt=SIGNED_IN | needs(ResourceAction.UPDATE_PROTECTION), sync_to_thread=True)
def save_protection(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Protect devices as the form says, if that does what its preview said."""
    check_form(services, request, form)
    wanted = read(form.get("wanted", ""))
    with services.database.write() as connection:
        targets.lock(connection)
        present = protection.get_settings(connection, services.tenant.id)
        effect = protection.preview(connection, services.tenant.id, wanted)
        told = (form.get("seen"), form.get("gained"), form.get("lost"))
        if told == (digest_of(present), str(effect.gained), str(effect.lost)):
            protection.replace_settings(connection, acting_at(services, request), wanted)
            return redirect("/protection")
        return _page(connection, rendering, request, present, effect, wanted=wanted, is_stale=True)


def _page(
    connection: Connection,
    rendering: Rendering,
    request: PageRequest,
    present: ProtectionSettings,
    effect: ProtectionEffect | None,
    *,
    wanted: ProtectionSettings | None = None,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
    is_stale: bool = False,
) -> Response[str]:
    shown = wanted or present
    names = groups.names(connection, [*shown.groups.keys() | present.groups.keys()])
    return rendering.page(
        request,
        "settings/protection.html",
        status=200 if problem is None else 400,
        section="/protection",
        live=("devices",) if wanted is None and problem is None else (),
        settings=present,
        shown=shown,
        groups=[(group, names.get(group, group), shown.groups.get(group)) for group in sorted(names)],
        excluded=devices.find_many(connection, present.excluded),
        newly_excluded=devices.find_many(connection, set(shown.excluded) - set(present.excluded)),
        effect=effect,
        wanted=wanted,
        to_save="" if wanted is None else written(wanted),
        seen=digest_of(present),
        filled=dict(form or {}),
        problem=problem,
        is_stale=is_stale,
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_protection,
    preview_protection,
    save_protection,
)
