"""Doing something to a device: a page that says what it would do, and the form on it that does it.

Every action has an address of its own, read to ask and posted to act; ``device_actions`` says what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, parse_device_id
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory.devices import WrongDeviceStateError, get_device
from shieldwall.server.inventory.certifying import with_certificates
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.manager import protection
from shieldwall.server.portal.devices import device_words
from shieldwall.server.portal.devices.device_actions import ACTIONS, Action, require_name
from shieldwall.server.portal.devices.device_twins import TwinRow, twin_rows
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.device_records import Device

_HOURS: Final = (1, 4, 8, 24)


def asking(action: Action) -> Callable[..., Response[str]]:
    """Make what shows the page that asks for this action."""

    def ask(services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]) -> Response[str]:
        tenant, wanted = services.tenant.id, parse_device_id(device_id)
        with services.database.read() as connection:
            device = get_device(connection, tenant, wanted)
            if device.state not in action.states:
                raise WrongDeviceStateError(f"The device {device.display_name!r} is {device.state}.")
            chosen = request.query_params.get("former")
            former = _former(connection, request, device, chosen)
            rows = twin_rows(connection, tenant, device, sight_of(request)) if action.compares else []
            if former is not None and all(row.device.id != former.id for row in rows):
                rows.append(TwinRow(device=former, shares=()))
            is_protected = protection.is_device_protected(connection, device)
        return rendering.page(
            request,
            "devices/device_action.html",
            section="/devices",
            action=action,
            device=device,
            former=former,
            twins=rows,
            can_keep=False,
            hours=_HOURS,
            words=device_words,
            is_protected=is_protected,
        )

    ask.__doc__ = f"Ask before this is done: {action.label}."
    return ask


def doing(action: Action) -> Callable[..., Redirect]:
    """Make what does this action."""

    def act(services: Services, request: PageRequest, device_id: FromPath[str], form: Form) -> Redirect:
        check_form(services, request, form)
        acting = acting_for(services, request)

        def done(connection: Connection, issuer: CertificateIssuer) -> DeviceId:
            device = get_device(connection, services.tenant.id, parse_device_id(device_id))
            if form.get("former"):
                require_devices(connection, request, [parse_device_id(form["former"])])
            if action.is_grave:
                require_name(device, form.get("name", ""))
            action.perform(connection, acting, issuer, device, form)
            return device.id

        acted_on = with_certificates(services.database.write, services.signer, done)
        return redirect("/devices" if action.name == "delete" else f"/devices/{acted_on}")

    act.__doc__ = f"Do it: {action.label}."
    return act


def _former(connection: Connection, request: PageRequest, device: Device, chosen: str | None) -> Device | None:
    """Return the device whose place this one would take: the one chosen, else the one it seems to follow.

    Raises:
        NotFoundError: It is not there, or not for the caller.
        OutOfScopeError: The caller may not do anything to it.
    """
    wanted = parse_device_id(chosen) if chosen else device.replaces
    if wanted is None:
        return None
    require_devices(connection, request, [wanted])
    return get_device(connection, device.tenant_id, wanted)


def _handlers(action: Action) -> tuple[Any, Any]:
    path, name = f"/devices/{{device_id:str}}/{action.name}", action.name
    wanted = SIGNED_IN | needs(action.action, Reach.OBJECT, sensitive=action.is_sensitive)
    return (
        get(path, name=f"ask-{name}", opt=wanted, sync_to_thread=True)(asking(action)),
        post(path, name=f"do-{name}", opt=wanted, sync_to_thread=True)(doing(action)),
    )


HANDLERS: Final[tuple[Any, ...]] = tuple(handler for action in ACTIONS for handler in _handlers(action))
