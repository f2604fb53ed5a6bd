"""Devices of the directory and their authorities (``graph.directory_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.directory_shapes import SECURITY_IDENTIFIER_TYPE
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    list_of,
    nullable,
    read_only,
    record,
    said,
    word,
)
from shieldwall.server.storage.device_records import DeviceState, Registration, TrustType
from shieldwall.server.storage.devices.registrations import RegistrationSource

_IDENTIFIER: Final = record(
    {
        "type": {"const": SECURITY_IDENTIFIER_TYPE},
        "identityProvider": NOTHING,
        "key": said({"type": "string", "contentEncoding": "base64"}, "The thumbprint of the certificate, as text."),
    }
)
DEVICE: Final = resource(
    "Device",
    {
        "id": said(ID, "The object id."),
        "deviceId": said(ID, "The id of the registration, which a managedDevice calls azureADDeviceId."),
        "displayName": TEXT,
        "accountEnabled": FLAG,
        "operatingSystem": nullable(TEXT),
        "operatingSystemVersion": nullable(TEXT),
        "trustType": said(nullable(word(TrustType)), "Blank for a synthetic registration."),
        "isManaged": FLAG,
        "managementType": nullable(TEXT),
        "isCompliant": NOTHING,
        "complianceExpirationDateTime": NOTHING,
        "deviceMetadata": NOTHING,
        "deviceVersion": COUNT,
        "enrollmentType": NOTHING,
        "profileType": TEXT,
        "deviceOwnership": nullable(TEXT),
        "deviceCategory": nullable(TEXT),
        "enrollmentProfileName": nullable(TEXT),
        "mdmAppId": nullable(TEXT),
        "manufacturer": nullable(TEXT),
        "model": nullable(TEXT),
        "isRooted": nullable(FLAG),
        "isManagementRestricted": FLAG,
        "registrationDateTime": read_only(nullable(MOMENT)),
        "approximateLastSignInDateTime": read_only(nullable(MOMENT)),
        "physicalIds": list_of(TEXT),
        "systemLabels": list_of(TEXT),
        "alternativeSecurityIds": list_of(_IDENTIFIER),
        "extensionAttributes": record({f"extensionAttribute{number}": nullable(TEXT) for number in range(1, 16)}),
        "onPremisesSyncEnabled": NOTHING,
        "onPremisesLastSyncDateTime": NOTHING,
        "shieldwall": record(
            {
                "registration": word(Registration),
                "deviceState": said(nullable(word(DeviceState)), "Null where no device uses the registration yet."),
                "stateReason": nullable(TEXT),
                "source": nullable(word(RegistrationSource)),
                "certificateExpirationDateTime": nullable(MOMENT),
            },
            optional=["certificateExpirationDateTime"],
        ),
    },
    meaning="A device of the directory, or a registration that none uses yet.",
)
AUTHORITY: Final = resource(
    "DirectoryAuthority",
    {
        "id": ID,
        "displayName": TEXT,
        "subject": TEXT,
        "certificate": said(TEXT, "In PEM."),
        "expirationDateTime": MOMENT,
        "createdDateTime": MOMENT,
    },
    meaning="Who vouches for existing registrations by their certificates.",
)
