"""``/subscriptions``: Graph's change notifications, of groups and their members.

Of devices and of what is under ``deviceManagement`` there are none, as with Graph; webhooks tell of those.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, UnauthenticatedError, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events import subscriptions
from shieldwall.server.events.notifications import SubscriptionOptions
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.subscriptions import InvalidSubscriptionError, SubscriptionDraft, checked_options
from shieldwall.server.graph.describing import changes, creates, lists, removes, shows
from shieldwall.server.graph.event_shapes import subscription_resource
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.schemas.events import SUBSCRIPTION
from shieldwall.server.storage.events.receivers import Receiver

PATH: Final = "/subscriptions"
MOST_CLIENT_STATE: Final = 128
_ONE: Final = PATH + "/{subscription_id:str}"
_TOKEN_BYTES: Final = 32
_MAY: Final = allow("Group.Read.All", "Group.ReadWrite.All") | needs(ResourceAction.READ_GROUPS)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class SubscriptionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A subscription as Graph's clients ask for it."""

    change_type: str
    notification_url: str
    resource: str
    expiration_date_time: Moment
    client_state: Annotated[str, msgspec.Meta(max_length=MOST_CLIENT_STATE)] | None = None
    lifecycle_notification_url: str | None = None
    latest_supported_tls_version: str | None = None
    include_resource_data: bool | None = None
    encryption_certificate: str | None = None
    encryption_certificate_id: str | None = None
    notification_query_options: str | None = None
    notification_url_app_id: str | None = None


class Renewal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Until when a subscription shall last now."""

    expiration_date_time: Moment


@get(PATH, opt=_MAY | lists(SUBSCRIPTION), sync_to_thread=True)
def list_subscriptions(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the caller's own subscriptions to change notifications."""
    query = query_of(request)
    with services.database.read() as connection:
        found = subscriptions.list_subscriptions(
            connection, services.tenant.id, owner=_owner(request), now=services.clock.now()
        )
    return list_answer(services, request, query, [subscription_resource(each) for each in found])


@post(PATH, opt=_MAY | creates(SUBSCRIPTION, takes=SubscriptionRequest, fails=[409]))
async def create_subscription(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Subscribe to changes of `groups`, `groups/ID` or `groups/ID/members`; the receiver is asked to agree first."""
    asked = body_of(request, body, SubscriptionRequest)
    if asked.include_resource_data or asked.notification_query_options or asked.encryption_certificate:
        raise InvalidSubscriptionError("Notifications name what changed; they do not hold it.")
    draft = SubscriptionDraft(
        resource=asked.resource,
        change_type=asked.change_type,
        notification_url=asked.notification_url,
        lifecycle_url=asked.lifecycle_notification_url,
        client_state=asked.client_state,
        expires_at=asked.expiration_date_time,
        application_id=_owner(request),
    )
    acting = acting_for(services, request)
    options = checked_options(draft, services.outgoing.rules, services.clock.now())
    await sync_to_thread(_check, services, options)
    for url in dict.fromkeys(filter(None, (draft.notification_url, draft.lifecycle_url))):
        await subscriptions.shake_hands(services.outgoing, url, secrets.token_urlsafe(_TOKEN_BYTES))
    made = await sync_to_thread(_create, services, acting, draft, options)
    return answer(subscription_resource(made, asked.client_state), status=201)


@get(_ONE, opt=_MAY | shows(SUBSCRIPTION), sync_to_thread=True)
def get_subscription(services: Services, request: GraphRequest, subscription_id: FromPath[str]) -> Response[bytes]:
    """Return one of the caller's own subscriptions."""
    query = query_of(request)
    with services.database.read() as connection:
        found = subscriptions.get_subscription(
            connection, services.tenant.id, subscription_id, owner=_owner(request), now=services.clock.now()
        )
    return answer(query.shape(subscription_resource(found)))


@patch(_ONE, opt=_MAY | changes(SUBSCRIPTION, takes=Renewal), sync_to_thread=True)
def renew_subscription(
    services: Services, request: GraphRequest, subscription_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Renew a subscription: give it another `expirationDateTime`, at most 4230 minutes ahead."""
    asked = body_of(request, body, Renewal)
    with services.database.write() as connection:
        found = subscriptions.renew_subscription(
            connection,
            acting_for(services, request),
            subscription_id,
            owner=_owner(request),
            expires_at=asked.expiration_date_time,
        )
    return answer(subscription_resource(found))


@delete(_ONE, opt=_MAY | removes(), sync_to_thread=True)
def delete_subscription(services: Services, request: GraphRequest, subscription_id: FromPath[str]) -> Response[None]:
    """End a subscription."""
    with services.database.write() as connection:
        subscriptions.delete_subscription(
            connection, acting_for(services, request), subscription_id, owner=_owner(request)
        )
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_subscriptions,
    create_subscription,
    get_subscription,
    renew_subscription,
    delete_subscription,
)


def _owner(request: GraphRequest) -> str:
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise UnauthenticatedError("The request carries no access token.")
    return principal.id


def _check(services: AdminServices, options: SubscriptionOptions) -> None:
    with services.database.read() as connection:
        subscriptions.check_group(connection, services.tenant.id, options)


def _create(
    services: AdminServices, acting: Acting, draft: SubscriptionDraft, options: SubscriptionOptions
) -> Receiver:
    box = SecretBox.from_file(services.settings.nonce_key)
    with services.database.write() as connection:
        return subscriptions.create_subscription(connection, acting, box, draft, options)
