"""Connectors: how the channel is, and everybody elsewhere who signs people in, is told, or asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.configuration.settings_file import FileStream
from shieldwall.server.directory import apps
from shieldwall.server.events import subscriptions
from shieldwall.server.events.notifications import options_of
from shieldwall.server.events.receiving import get_receiver, place_of
from shieldwall.server.manager import enforcement_scope
from shieldwall.server.manager.channel import partner_state
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.events import receivers, stream_cursors
from shieldwall.server.storage.events.receivers import Receiver, Sort
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.onboarding import onboarding_states
from shieldwall.server.storage.records import Page

_MANAGE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_EVENTS)
_MOST_APPS: Final = 200
_MACHINES: Final = "Machine."
"""Permissions of Defender's API begin so."""
CHANNEL: Final = {
    "available": (
        marked("off"),
        "calm",
        marked("This channel manages no device. Switch it on in the enforcement scope."),
    ),
    "notSetUp": (marked("waiting"), "wait", marked("The channel is on, and no device has checked in yet.")),
    "unresponsive": (
        marked("silent"),
        "bad",
        marked("No device was in touch for a week. Look whether devices reach the gateway."),
    ),
    "enabled": (marked("on"), "good", marked("Devices check in and are managed as the enforcement scope says.")),
}
"""By the published word: a short one, its tone, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """One sink of the audit stream; ``lag`` counts events that it still waits for."""

    name: str
    goes_to: str
    begun: bool
    lag: int
    missed: int
    moved_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """One subscription to change notifications."""

    subscription: Receiver
    resource: str
    changes: str
    place: str


@get("/connectors", opt=SIGNED_IN | needs(ResourceAction.READ_CONNECTORS, Reach.OPEN), sync_to_thread=True)
def show_connectors(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how the channel is and who is connected, as far as the caller may know."""
    access, now = caller_of(request).access, services.clock.now()
    sees_events = access.may_everywhere(ResourceAction.READ_EVENTS)
    sees_people = access.may_everywhere(ResourceAction.READ_PEOPLE)
    sees_apps = access.may_everywhere(ResourceAction.READ_APPLICATIONS)
    tenant_id = services.tenant.id
    with services.database.read() as connection:
        scope = enforcement_scope.get_scope(connection, tenant_id)
        heartbeat = onboarding_states.last_check_in(connection, tenant_id)
        webhooks = receivers.list_receivers(connection, tenant_id, Sort.WEBHOOK, Page()) if sees_events else ()
        subscribed = subscriptions.all_subscriptions(connection, tenant_id, now) if sees_events else ()
        providers = identity_providers.list_providers(connection, tenant_id, Page()) if sees_people else ()
        streams = _streams(connection, services) if sees_events and services.serves_home else []
        programs = _of_defender(connection, services) if sees_apps else []
    return rendering.page(
        request,
        "settings/connectors.html",
        section="/connectors",
        channel=CHANNEL[partner_state(scope, heartbeat, now)],
        heartbeat=heartbeat,
        webhooks=[(each, place_of(each.url)) for each in webhooks],
        subscriptions=[_subscription(each) for each in subscribed],
        providers=providers,
        streams=streams,
        programs=programs,
        sees_events=sees_events,
        sees_people=sees_people,
        sees_apps=sees_apps,
        sees_streams=services.serves_home,
        public_url=services.settings.public_url,
        live=audited(request),
    )


@get("/subscriptions/{subscription_id:str}/end", opt=_MANAGE, sync_to_thread=True)
def ask_to_end(
    services: Services, rendering: Renderer, request: PageRequest, subscription_id: FromPath[str]
) -> Response[str]:
    """Say what ending somebody's subscription would do."""
    with services.database.read() as connection:
        found = get_receiver(connection, services.tenant.id, Sort.SUBSCRIPTION, subscription_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/connectors",
        label=marked("End the subscription"),
        subject=f"{options_of(found).resource}: {place_of(found.url)}",
        effect=(marked("The program that asked for it hears nothing more, and has to subscribe again."),),
        action=f"/subscriptions/{found.id}/end",
        back="/connectors",
    )


@post("/subscriptions/{subscription_id:str}/end", opt=_MANAGE, sync_to_thread=True)
def end_subscription(services: Services, request: PageRequest, subscription_id: FromPath[str], form: Form) -> Redirect:
    """End somebody's subscription to change notifications."""
    check_form(services, request, form)
    with services.database.write() as connection:
        subscriptions.end_subscription(connection, acting_at(services, request), subscription_id)
    return redirect("/connectors")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_connectors, ask_to_end, end_subscription)


def _streams(connection: Connection, services: AdminServices) -> list[StreamRow]:
    configured = services.settings.audit_streams
    names = [each.name for each in configured]
    found = {each.stream: each for each in stream_cursors.find_many(connection, services.settings.tenant_id, names)}
    newest = outbox.newest(connection)
    rows = []
    for each in configured:
        cursor = found.get(each.name)
        place = each.path if isinstance(each, FileStream) else f"{each.transport}://{each.host}:{each.used_port}"
        rows.append(
            StreamRow(
                name=each.name,
                goes_to=place,
                begun=cursor is not None,
                lag=max(newest - cursor.cursor, 0) if cursor else 0,
                missed=cursor.missed if cursor else 0,
                moved_at=cursor.moved_at if cursor else None,
            )
        )
    return rows


def _of_defender(connection: Connection, services: AdminServices) -> list[App]:
    """Return the apps that may use Defender's API, among the first of the tenant."""
    found = apps.list_apps(connection, services.tenant.id, Page(size=_MOST_APPS))
    return [app for app in found if any(each.startswith(_MACHINES) for each in (*app.permissions, *app.delegated))]


def _subscription(receiver: Receiver) -> SubscriptionRow:
    options = options_of(receiver)
    return SubscriptionRow(
        subscription=receiver,
        resource=options.resource,
        changes=", ".join(options.change_types),
        place=place_of(receiver.url),
    )
