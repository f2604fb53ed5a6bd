"""Webhooks: who is told what happens, how each is doing, what it was sent; secrets are shown once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.events import trying, webhooks
from shieldwall.server.events.judging import in_words
from shieldwall.server.events.settling import Sent
from shieldwall.server.events.signing import show_secret
from shieldwall.server.events.trying import box_of
from shieldwall.server.events.webhooks import WebhookChange
from shieldwall.server.portal.forms import choice, lines, whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.events.receivers import DeliveryState, Receiver

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_EVENTS)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_EVENTS)
_ONE: Final = "/webhooks/{webhook_id:str}"
_DELIVERIES: Final = {
    DeliveryState.SUCCEEDED: (marked("delivered"), "good"),
    DeliveryState.WAITING: (marked("waits to be tried again"), "wait"),
    DeliveryState.FAILED: (marked("failed"), "bad"),
}


@get("/webhooks/new", opt=_WRITE, sync_to_thread=True)
def new_webhook(rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask where events shall be sent, and which."""
    return _form_page(rendering, request, None, {"event_kinds": "alert.*\ndevice.*\npolicy.*"})


@post("/webhooks", opt=_WRITE, sync_to_thread=True, status_code=200)
def create_webhook(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a webhook; its secret is on this page and nowhere else."""
    check_form(services, request, form)
    try:
        with services.database.write() as connection:
            acting, rules = acting_at(services, request), services.outgoing.rules
            made, secret = webhooks.create_webhook(connection, acting, box_of(services), rules, _change(form))
    except ShieldwallError as problem:
        return _form_page(rendering, request, None, form, problem=problem)
    return _secret_page(rendering, request, made, secret)


@get(_ONE, opt=_READ, sync_to_thread=True)
def show_webhook(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str]
) -> Response[str]:
    """Show a webhook, how it is doing and what it was sent lately."""
    return _one_page(services, rendering, request, webhook_id)


@get(_ONE + "/edit", opt=_WRITE, sync_to_thread=True)
def edit_webhook(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str]
) -> Response[str]:
    """Show a webhook to be changed."""
    with services.database.read() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
    typed = {"display_name": found.display_name, "url": found.url, "event_kinds": "\n".join(found.event_kinds)}
    return _form_page(rendering, request, found, typed)


@post(_ONE + "/edit", opt=_WRITE, sync_to_thread=True)
def save_webhook(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Change where events are sent, or which."""
    check_form(services, request, form)
    with services.database.read() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
    try:
        with services.database.write() as connection:
            acting, rules = acting_at(services, request), services.outgoing.rules
            webhooks.change_webhook(connection, acting, rules, found.id, _change(form))
    except ShieldwallError as problem:
        return _form_page(rendering, request, found, form, problem=problem)
    return redirect(f"/webhooks/{found.id}")


@post(_ONE + "/switch", opt=_WRITE, sync_to_thread=True)
def switch_webhook(services: Services, request: PageRequest, webhook_id: FromPath[str], form: Form) -> Redirect:
    """Switch a webhook off, or on: then it gets what happened meanwhile, as far as it is kept."""
    check_form(services, request, form)
    with services.database.write() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
        change = WebhookChange(enabled=choice(form, "enabled", "Webhook", ("yes", "no")) == "yes")
        acting, rules = acting_at(services, request), services.outgoing.rules
        webhooks.change_webhook(connection, acting, rules, found.id, change)
    return redirect(f"/webhooks/{found.id}")


@post(_ONE + "/secret", opt=_WRITE, sync_to_thread=True, status_code=200)
def rotate_secret(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str], form: Form
) -> Response[str]:
    """Give a webhook a new secret, shown this once; the former signs beside it for a while."""
    check_form(services, request, form)
    with services.database.write() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
        hours = min(whole(form, "hours", "Hours"), webhooks.MOST_OVERLAP_HOURS)
        acting, overlap = acting_at(services, request), timedelta(hours=hours)
        changed, secret = webhooks.rotate_secret(connection, acting, box_of(services), found.id, overlap=overlap)
    return _secret_page(rendering, request, changed, secret)


@post(_ONE + "/ping", opt=_WRITE, status_code=200)
async def ping_webhook(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str], form: Form
) -> Response[str]:
    """Send a test event now, and say what came of it."""
    check_form(services, request, form)
    sent = await trying.ping(services, acting_at(services, request), webhook_id)
    return await sync_to_thread(_told, services, rendering, request, webhook_id, sent)


@post(_ONE + "/redeliver", opt=_WRITE, status_code=200)
async def redeliver(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str], form: Form
) -> Response[str]:
    """Send an event that is still kept once more, now, and say what came of it."""
    check_form(services, request, form)
    sent = await trying.redeliver(services, webhook_id, form.get("event", ""))
    return await sync_to_thread(_told, services, rendering, request, webhook_id, sent)


@get(_ONE + "/delete", opt=_WRITE, sync_to_thread=True)
def ask_to_delete_webhook(
    services: Services, rendering: Renderer, request: PageRequest, webhook_id: FromPath[str]
) -> Response[str]:
    """Say what deleting a webhook would do."""
    with services.database.read() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/connectors",
        label=marked("Delete the webhook"),
        subject=found.display_name,
        effect=(marked("Nothing is sent there any more, also not what waits; the history of deliveries is gone."),),
        action=f"/webhooks/{found.id}/delete",
        back=f"/webhooks/{found.id}",
    )


@post(_ONE + "/delete", opt=_WRITE, sync_to_thread=True)
def delete_webhook(services: Services, request: PageRequest, webhook_id: FromPath[str], form: Form) -> Redirect:
    """Delete a webhook and its history."""
    check_form(services, request, form)
    with services.database.write() as connection:
        webhooks.delete_webhook(connection, acting_at(services, request), webhook_id)
    return redirect("/connectors")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    new_webhook,
    create_webhook,
    show_webhook,
    edit_webhook,
    save_webhook,
    switch_webhook,
    rotate_secret,
    ping_webhook,
    redeliver,
    ask_to_delete_webhook,
    delete_webhook,
)


def _change(form: Mapping[str, str]) -> WebhookChange:
    return WebhookChange(
        display_name=form.get("display_name", "").strip(),
        url=form.get("url", "").strip(),
        event_kinds=lines(form, "event_kinds"),
    )


def _told(
    services: AdminServices, rendering: Rendering, request: PageRequest, webhook_id: str, sent: Sent
) -> Response[str]:
    return _one_page(services, rendering, request, webhook_id, sent=sent)


def _one_page(
    services: AdminServices, rendering: Rendering, request: PageRequest, webhook_id: str, *, sent: Sent | None = None
) -> Response[str]:
    with services.database.read() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
        deliveries = webhooks.list_deliveries(connection, services.tenant.id, webhook_id)
        newest = outbox.newest(connection)
        patterns, tenant_id = found.event_kinds, services.tenant.id
        waiting = outbox.count(connection, found.cursor, newest, tenant_id=tenant_id, patterns=patterns)
    shown: dict[str, Any] = {"attempt": None}
    if sent is not None:
        shown = {
            "attempt": sent.attempt,
            "said": in_words(sent.attempt),
            "took": sent.took // timedelta(milliseconds=1),
        }
    return rendering.page(
        request,
        "settings/webhook.html",
        section="/connectors",
        webhook=found,
        deliveries=deliveries,
        delivery_words=_DELIVERIES,
        waiting=waiting,
        live=audited(request),
        **shown,
    )


def _secret_page(rendering: Rendering, request: PageRequest, webhook: Receiver, secret: bytes) -> Response[str]:
    return rendering.page(
        request, "settings/webhook_secret.html", section="/connectors", webhook=webhook, secret=show_secret(secret)
    )


def _form_page(
    rendering: Rendering,
    request: PageRequest,
    webhook: Receiver | None,
    typed: Mapping[str, str],
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    return rendering.page(
        request,
        "settings/webhook_edit.html",
        status=200 if problem is None else 400,
        section="/connectors",
        webhook=webhook,
        typed=typed,
        problem=problem,
    )
