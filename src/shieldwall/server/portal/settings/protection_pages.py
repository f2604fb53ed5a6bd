"""The page of tamper protection: who is protected, what a change would do, and only then saving it."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import needs
from shieldwall.server.manager import protection
from shieldwall.server.manager.protection import InvalidProtectionError, ProtectionEffect
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage import devices, groups, targets

_ON_OFF: Final = {"on": True, "off": False}


@get("/protection", opt=SIGNED_IN | needs(ResourceAction.READ_PROTECTION), sync_to_thread=True)
def show_protection(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who is protected."""
    with services.database.read() as connection:
        found = protection.get_settings(connection, services.tenant.id)
        effect = protection.preview(connection, services.tenant.id, found)
        return _page(connection, rendering, request, found, effect)


@post(
    "/protection/preview", opt=SIGNED_IN | needs(ResourceAction.UPDATE_PROTECTION), sync_to_thread=True, status_code=200
)
def preview_protection(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Say how many devices gain protection and how many lose it; only from there it can be saved."""
    check_form(services, request, form)
    with services.database.read() as connection:
        present = protection.get_settings(connection, services.tenant.id)
        wanted = msgspec.structs.replace(present, enabled=_enabled(form.get("enabled", "")))
        effect = protection.preview(connection, services.tenant.id, wanted)
        return _page(connection, rendering, request, present, effect, wanted=wanted)


@post("/protection", opt=SIGNED_IN | needs(ResourceAction.UPDATE_PROTECTION), sync_to_thread=True)
def save_protection(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Protect devices as the form says, if that does what its preview said."""
    check_form(services, request, form)
    with services.database.write() as connection:
        targets.lock(connection)
        present = protection.get_settings(connection, services.tenant.id)
        wanted = msgspec.structs.replace(present, enabled=_enabled(form.get("enabled", "")))
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
    effect: ProtectionEffect,
    *,
    wanted: ProtectionSettings | None = None,
    is_stale: bool = False,
) -> Response[str]:
    return rendering.page(
        request,
        "settings/protection.html",
        section="/protection",
        settings=present,
        groups=[(groups.get(connection, group).display_name, word) for group, word in present.groups.items()],
        excluded=devices.find_many(connection, present.excluded),
        effect=effect,
        wanted=wanted,
        seen=digest_of(present),
        is_stale=is_stale,
    )


def _enabled(word: str) -> bool:
    if word not in _ON_OFF:
        raise InvalidProtectionError("Tamper protection is on or off.")
    return _ON_OFF[word]


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_protection,
    preview_protection,
    save_protection,
)
