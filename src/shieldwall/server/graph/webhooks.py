"""``/shieldwall/webhooks`` (ours): who is told what happens, how they are doing, and what they were sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.events import trying, webhooks
from shieldwall.server.events.signing import show_secret
from shieldwall.server.events.trying import box_of
from shieldwall.server.events.webhooks import MOST_OVERLAP_HOURS, WebhookChange
from shieldwall.server.graph.describing import changes, creates, does, lists, removes, shows
from shieldwall.server.graph.event_shapes import attempt_resource, delivery_resource, webhook_resource
from shieldwall.server.graph.fields.security import WEBHOOK_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    page_answer,
    query_of,
)
from shieldwall.server.graph.schemas.events import ATTEMPT, DELIVERY, NEW_WEBHOOK, WEBHOOK
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Sort

PATH: Final = "/shieldwall/webhooks"
_ONE: Final = PATH + "/{webhook_id:str}"
_READ: Final = allow("Shieldwall.Webhooks.Read.All", "Shieldwall.Webhooks.ReadWrite.All") | needs(
    ResourceAction.READ_EVENTS
)
_WRITE: Final = allow("Shieldwall.Webhooks.ReadWrite.All") | needs(ResourceAction.UPDATE_EVENTS)


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an administrator says of a new webhook."""

    display_name: str
    url: str
    event_types: tuple[str, ...]
    enabled: bool = True


class WebhookUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What shall be different; what is not named stays."""

    display_name: str | None = None
    url: str | None = None
    event_types: tuple[str, ...] | None = None
    enabled: bool | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How long the former secret still signs beside the new one."""

    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=MOST_OVERLAP_HOURS)] = 24


class Redelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which event is to be sent once more."""

    event_id: str


@get(PATH, opt=_READ | lists(WEBHOOK), sync_to_thread=True)
def list_webhooks(services: Services, request: GraphRequest) -> Response[bytes]:
    """List webhooks, in pages, and how each is doing; their secrets are never shown again (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = receivers.list_receivers(connection, services.tenant.id, Sort.WEBHOOK, query.page_of(WEBHOOK_FIELDS))
    rows = [(each.id, webhook_resource(each)) for each in found]
    return page_answer(services, request, query, rows, WEBHOOK_FIELDS)


@post(PATH, opt=_WRITE | creates(NEW_WEBHOOK, takes=NewWebhook, fails=[409]), sync_to_thread=True)
def create_webhook(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a webhook; `secret` in the answer verifies its deliveries and is shown this once (ours)."""
    asked = body_of(request, body, NewWebhook)
    change = WebhookChange(
        display_name=asked.display_name, url=asked.url, event_kinds=asked.event_types, enabled=asked.enabled
    )
    with services.database.write() as connection:
        made, secret = webhooks.create_webhook(
            connection, acting_for(services, request), box_of(services), services.outgoing.rules, change
        )
    return answer(webhook_resource(made) | {"secret": show_secret(secret)}, status=201)


@get(_ONE, opt=_READ | shows(WEBHOOK), sync_to_thread=True)
def get_webhook(services: Services, request: GraphRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """Return one webhook, without its secret (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
    return answer(query.shape(webhook_resource(found)))


@patch(_ONE, opt=_WRITE | changes(WEBHOOK, takes=WebhookUpdate), sync_to_thread=True)
def patch_webhook(
    services: Services, request: GraphRequest, webhook_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Change a webhook, or switch it off and on; then it gets what happened meanwhile, as far as it is kept (ours)."""
    asked = body_of(request, body, WebhookUpdate)
    change = WebhookChange(
        display_name=asked.display_name, url=asked.url, event_kinds=asked.event_types, enabled=asked.enabled
    )
    with services.database.write() as connection:
        changed = webhooks.change_webhook(
            connection, acting_for(services, request), services.outgoing.rules, webhook_id, change
        )
    return answer(webhook_resource(changed))


@delete(_ONE, opt=_WRITE | removes(), sync_to_thread=True)
def delete_webhook(services: Services, request: GraphRequest, webhook_id: FromPath[str]) -> Response[None]:
    """Delete a webhook and its history (ours)."""
    with services.database.write() as connection:
        webhooks.delete_webhook(connection, acting_for(services, request), webhook_id)
    return empty()


@get(_ONE + "/deliveries", opt=_READ | lists(DELIVERY), sync_to_thread=True)
def list_deliveries(services: Services, request: GraphRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """List what a webhook was sent lately, the newest event first (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = webhooks.list_deliveries(connection, services.tenant.id, webhook_id)
    return list_answer(services, request, query, [delivery_resource(each) for each in found])


@post(_ONE + "/rotateSecret", opt=_WRITE | does(NEW_WEBHOOK, takes=Rotation), sync_to_thread=True, status_code=200)
def rotate_secret(
    services: Services, request: GraphRequest, webhook_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Give a webhook a new secret, shown this once; the former signs beside it for a while (ours)."""
    asked = body_of(request, body, Rotation)
    with services.database.write() as connection:
        changed, secret = webhooks.rotate_secret(
            connection,
            acting_for(services, request),
            box_of(services),
            webhook_id,
            overlap=timedelta(hours=asked.overlap_hours),
        )
    return answer(webhook_resource(changed) | {"secret": show_secret(secret)})


@post(_ONE + "/ping", opt=_WRITE | does(ATTEMPT), status_code=200)
async def ping_webhook(services: Services, request: GraphRequest, webhook_id: FromPath[str]) -> Response[bytes]:
    """Send a `webhook.ping` now, and say what came of it (ours)."""
    sent = await trying.ping(services, acting_for(services, request), webhook_id)
    return answer(attempt_resource(sent))


@post(_ONE + "/redeliver", opt=_WRITE | does(ATTEMPT, takes=Redelivery), status_code=200)
async def redeliver(
    services: Services, request: GraphRequest, webhook_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Send an event that is still kept once more, now, and say what came of it (ours)."""
    asked = body_of(request, body, Redelivery)
    sent = await trying.redeliver(services, webhook_id, asked.event_id)
    return answer(attempt_resource(sent))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_webhooks,
    create_webhook,
    get_webhook,
    patch_webhook,
    delete_webhook,
    list_deliveries,
    rotate_secret,
    ping_webhook,
    redeliver,
)
