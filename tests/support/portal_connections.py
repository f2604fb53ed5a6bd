"""Whom the furnished tenant (``portal_scene``) is connected with: a webhook that fails, a provider, a subscription."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import federation
from shieldwall.server.events import subscriptions, trying, webhooks
from shieldwall.server.events.notifications import SubscriptionOptions
from shieldwall.server.events.subscriptions import SubscriptionDraft
from shieldwall.server.events.webhooks import WebhookChange
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Delivery, DeliveryState, Receiver
from shieldwall.server.storage.identity.identity_providers import IdentityProvider

_CAUSE = "The name siem.invalid cannot be resolved."


@dataclass(frozen=True, kw_only=True)
class Connections:
    """Makes them, and says by which ids paths call them."""

    services: AdminServices
    now: datetime

    def made(self, connection: Connection) -> dict[str, str]:
        """Make one of each; return what paths call them."""
        acting, box = self.services.acting("person:alan@contoso.example"), trying.box_of(self.services)
        asked = WebhookChange(display_name="SIEM", url="https://siem.invalid/hook", event_kinds=("alert.*", "policy.*"))
        webhook, _ = webhooks.create_webhook(connection, acting, box, self.services.outgoing.rules, asked)
        self._failed(connection, webhook)
        provider = IdentityProvider(
            id=self.services.new_id(),
            tenant_id=self.services.tenant.id,
            display_name="Company sign-in",
            issuer="https://login.invalid/contoso",
            client_id="shieldwall",
            client_secret="",
            settings="{}",
            enabled=False,
            created_at=self.now,
            modified_at=self.now,
        )
        federation.put_provider(connection, acting, provider, self.services.outgoing.rules, is_new=True)
        draft = SubscriptionDraft(
            resource="groups",
            change_type="updated",
            notification_url="https://tickets.invalid/changes",
            lifecycle_url=None,
            client_state=None,
            expires_at=self.now + timedelta(days=2),
            application_id="tickets",
        )
        options = SubscriptionOptions(resource="groups", group=None, members_only=False, change_types=("updated",))
        subscription = subscriptions.create_subscription(connection, acting, box, draft, options)
        return {"webhook_id": webhook.id, "provider_id": provider.id, "subscription_id": subscription.id}

    def _failed(self, connection: Connection, webhook: Receiver) -> None:
        """Let an event have been sent twice in vain."""
        receivers.change(
            connection,
            webhook.id,
            failures=2,
            failing_since=self.now - timedelta(hours=1),
            last_failure_at=self.now,
            last_failure=_CAUSE,
            next_attempt_at=self.now + timedelta(minutes=30),
        )
        receivers.keep_delivery(
            connection,
            Delivery(
                receiver_id=webhook.id,
                event_id=self.services.new_id(),
                tenant_id=webhook.tenant_id,
                sequence=1,
                event_kind="alert.raised",
                state=DeliveryState.WAITING,
                attempts=2,
                status=None,
                cause=_CAUSE,
                first_at=self.now - timedelta(hours=1),
                last_at=self.now,
                milliseconds=12,
            ),
        )
