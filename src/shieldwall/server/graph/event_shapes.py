"""Receivers of events as resources."""

from __future__ import annotations

from datetime import timedelta

from shieldwall.server.events.judging import in_words
from shieldwall.server.events.notifications import options_of
from shieldwall.server.events.settling import Sent
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.storage.events.receivers import Delivery, Receiver


def webhook_resource(webhook: Receiver) -> Json:
    """Shape a webhook; its secret is never among the members."""
    return {
        "id": webhook.id,
        "displayName": webhook.display_name,
        "url": webhook.url,
        "eventTypes": list(webhook.event_kinds),
        "enabled": webhook.enabled,
        "switchedOffBecause": webhook.switched_off_because,
        "createdBy": webhook.created_by,
        "createdDateTime": moment(webhook.created_at),
        "lastModifiedDateTime": moment(webhook.modified_at),
        "formerSecretUntilDateTime": moment(webhook.former_until),
        "missedEvents": webhook.missed,
        "failures": webhook.failures,
        "failingSinceDateTime": moment(webhook.failing_since),
        "nextAttemptDateTime": moment(webhook.next_attempt_at),
        "lastSuccessDateTime": moment(webhook.last_success_at),
        "lastFailureDateTime": moment(webhook.last_failure_at),
        "lastFailure": webhook.last_failure,
    }


def delivery_resource(delivery: Delivery) -> Json:
    """Shape what became of sending an event."""
    return {
        "id": delivery.event_id,
        "eventType": delivery.event_kind,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "cause": delivery.cause,
        "firstAttemptDateTime": moment(delivery.first_at),
        "lastAttemptDateTime": moment(delivery.last_at),
        "milliseconds": delivery.milliseconds,
    }


def attempt_resource(sent: Sent) -> Json:
    """Shape what came of an attempt that somebody waited for."""
    return {
        "delivered": sent.attempt.succeeded,
        "status": sent.attempt.status,
        "cause": in_words(sent.attempt),
        "milliseconds": sent.took // timedelta(milliseconds=1),
    }


def subscription_resource(subscription: Receiver, client_state: str | None = None) -> Json:
    """Shape a subscription as Graph does; ``client_state`` is shown to whoever just made it."""
    options = options_of(subscription)
    return {
        "id": subscription.id,
        "resource": options.resource,
        "changeType": ",".join(options.change_types),
        "notificationUrl": subscription.url,
        "lifecycleNotificationUrl": options.lifecycle_url,
        "clientState": client_state,
        "expirationDateTime": moment(subscription.expires_at),
        "applicationId": options.application_id,
        "creatorId": options.application_id,
        "includeResourceData": False,
        "latestSupportedTlsVersion": "v1_2",
        "notificationQueryOptions": None,
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }
