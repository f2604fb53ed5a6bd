"""Who hears of events: webhooks and subscriptions to change notifications (``graph.webhooks``, ``subscriptions``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NUMBER,
    TEXT,
    Component,
    list_of,
    nullable,
    record,
    said,
    text,
    word,
)
from shieldwall.server.storage.events.receivers import DeliveryState

_WEBHOOK: Final = {
    "id": ID,
    "displayName": TEXT,
    "url": ADDRESS,
    "eventTypes": said(list_of(TEXT), "`*`, areas such as `policy.*`, or types such as `alert.raised`."),
    "enabled": FLAG,
    "switchedOffBecause": said(TEXT, "Why the server switched it off; empty where it did not."),
    "createdBy": TEXT,
    "createdDateTime": MOMENT,
    "lastModifiedDateTime": MOMENT,
    "formerSecretUntilDateTime": said(nullable(MOMENT), "Until when deliveries carry the former signature too."),
    "missedEvents": said(COUNT, "Events that were forgotten before it had them, and that it was not told of yet."),
    "failures": said(COUNT, "Attempts in a row that failed."),
    "failingSinceDateTime": nullable(MOMENT),
    "nextAttemptDateTime": said(nullable(MOMENT), "When it is asked again; null: as soon as there is something."),
    "lastSuccessDateTime": nullable(MOMENT),
    "lastFailureDateTime": nullable(MOMENT),
    "lastFailure": TEXT,
}
WEBHOOK: Final = resource("Webhook", _WEBHOOK, meaning="Somebody who is told what happens, without the secret.")
NEW_WEBHOOK: Final = resource(
    "WebhookMade",
    {**_WEBHOOK, "secret": text("Verifies deliveries (Standard Webhooks); shown this once.", pattern="^whsec_")},
)
DELIVERY: Final = resource(
    "WebhookDelivery",
    {
        "id": said(ID, "The id of the event, which is the `webhook-id` of its deliveries."),
        "eventType": TEXT,
        "state": word(DeliveryState),
        "attempts": COUNT,
        "status": said(nullable(NUMBER), "Of the last answer; null where there was none."),
        "cause": said(TEXT, "Why the last attempt failed."),
        "firstAttemptDateTime": MOMENT,
        "lastAttemptDateTime": MOMENT,
        "milliseconds": COUNT,
    },
)
ATTEMPT: Final = Component(
    "WebhookAttempt",
    record(
        {
            "delivered": FLAG,
            "status": said(nullable(NUMBER), "Of the answer; null where there was none."),
            "cause": said(TEXT, "Why it was not delivered."),
            "milliseconds": COUNT,
        }
    ),
)
SUBSCRIPTION: Final = resource(
    "Subscription",
    {
        "id": ID,
        "resource": TEXT,
        "changeType": TEXT,
        "notificationUrl": ADDRESS,
        "lifecycleNotificationUrl": nullable(ADDRESS),
        "clientState": said(nullable(TEXT), "Shown when the subscription is made, and never again."),
        "expirationDateTime": MOMENT,
        "applicationId": nullable(TEXT),
        "creatorId": nullable(TEXT),
        "includeResourceData": FLAG,
        "latestSupportedTlsVersion": TEXT,
        "notificationQueryOptions": nullable(TEXT),
        "encryptionCertificate": nullable(TEXT),
        "encryptionCertificateId": nullable(TEXT),
        "notificationUrlAppId": nullable(TEXT),
    },
    meaning="A subscription to change notifications of groups, in the shape of Graph.",
)
