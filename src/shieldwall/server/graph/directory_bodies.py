"""Bodies about devices of the directory: a registration to import, and what to change of a device."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.directory.certificate_texts import read_certificate_text
from shieldwall.server.directory.registrations import InvalidRegistrationError, RegistrationDraft
from shieldwall.server.graph.directory_shapes import SECURITY_IDENTIFIER_TYPE, named_thumbprint, thumbprint_of
from shieldwall.server.graph.resources import MANAGEMENT_TYPE
from shieldwall.server.storage.device_records import TrustType
from shieldwall.trust.existing_keys import ExistingCertificate

MDM = "MDM"
"""Who manages a device that is said to be managed, and nothing more."""


class SecurityIdentifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How Graph names the key of a device."""

    type: int
    key: Annotated[str, msgspec.Meta(max_length=4096)]
    identity_provider: str | None = None


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A device of another directory. ``certificate`` is ours: its certificate there, PEM or base64 of DER."""

    device_id: str
    display_name: str
    certificate: Annotated[str, msgspec.Meta(max_length=16_384)]
    operating_system: str = ""
    operating_system_version: str = ""
    trust_type: TrustType = TrustType.AZURE_AD
    account_enabled: bool = True
    alternative_security_ids: Annotated[tuple[SecurityIdentifier, ...], msgspec.Meta(max_length=16)] = ()
    is_managed: bool | None = None
    management_type: str | None = None

    def draft(self) -> RegistrationDraft:
        """Read it.

        Raises:
            InvalidRegistrationError: A part is wrong, or a security identifier is another certificate's.
            BadExistingCertificateError: The certificate cannot be read, or its key is of no kind that we take.
            InvalidIdError: The device id is none.
        """
        certificate = read_certificate_text(self.certificate)
        for each in self.alternative_security_ids:
            _check_identifier(each, certificate)
        return RegistrationDraft(
            device_id=parse_device_id(self.device_id),
            display_name=self.display_name,
            certificate=certificate,
            trust_type=self.trust_type,
            os_type=self.operating_system,
            os_version=self.operating_system_version,
            is_enabled=self.account_enabled,
            manager=manager_of(self.is_managed, self.management_type),
        )


class DevicePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What to change of a device or registration; a member left out stays as it is."""

    display_name: str | UnsetType = UNSET
    account_enabled: bool | UnsetType = UNSET
    device_category: str | UnsetType | None = UNSET
    device_ownership: str | UnsetType = UNSET
    extension_attributes: dict[str, str | None] | UnsetType = UNSET
    is_managed: bool | UnsetType | None = UNSET
    management_type: str | UnsetType | None = UNSET

    @property
    def speaks_of_management(self) -> bool:
        """Whether it says who manages the device."""
        return self.is_managed is not UNSET or self.management_type is not UNSET

    @property
    def speaks_of_details(self) -> bool:
        """Whether it says what is noted of a device that has come."""
        details = (self.device_category, self.device_ownership, self.extension_attributes)
        return any(each is not UNSET for each in details)


def manager_of(is_managed: bool | None, management_type: str | None) -> str | None:
    """Name the other manager of a device, ``None`` where there is none: Graph says both in two members."""
    if is_managed is False or management_type == MANAGEMENT_TYPE:
        return None
    return management_type or (MDM if is_managed else None)


def _check_identifier(identifier: SecurityIdentifier, certificate: ExistingCertificate) -> None:
    try:
        named = named_thumbprint(base64.b64decode(identifier.key, validate=True))
    except ValueError:
        named = None
    if identifier.type != SECURITY_IDENTIFIER_TYPE or named != thumbprint_of(certificate.pem):
        raise InvalidRegistrationError(
            "A security identifier is not of type 2, or names another certificate.", member="alternativeSecurityIds"
        )
