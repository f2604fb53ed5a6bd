"""Existing registrations in the directory, on both engines: kept, found, listed beside devices, trusted, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.other_directory import Holder, OtherDirectory, a_key
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, counted_id, device_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory import authorities, registrations
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import InvalidDeviceError, change_details
from shieldwall.server.directory.registrations import (
    ExistingCertificateExpiredError,
    ExistingCertificateUntrustedError,
    InvalidRegistrationError,
    RegistrationDraft,
    RegistrationInUseError,
    claim,
)
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import device_moves, devices
from shieldwall.server.storage.devices import registrations as rows
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind
from shieldwall.server.storage.tenants.trusted_authorities import list_of_kind as trusted

OTHER = TenantId(counted_id("1", 1))


@pytest.fixture(scope="module")
def directory() -> OtherDirectory:
    return OtherDirectory(NOON)


def imported(
    connection: Connection, office: Office, holder: Holder, name: DeviceId, **changes: Any
) -> rows.ExistingRegistration:
    fields: dict[str, Any] = {"device_id": name, "display_name": f"pc-{name[-2:]}", "certificate": holder.presented}
    draft = RegistrationDraft(**(fields | changes))
    return registrations.import_registration(connection, office.acting, draft)


def test_what_was_imported_is_found_by_id_object_and_key(
    connection: Connection, office: Office, directory: OtherDirectory
) -> None:
    holder = directory.holder(device_id(1), key=a_key("rsa"))
    made = imported(connection, office, holder, device_id(1), os_type="Linux", os_version="12")

    assert rows.find(connection, TENANT_ID, device_id(1)) == made
    assert rows.find_by_object_id(connection, TENANT_ID, made.object_id) == made
    assert rows.find_by_key(connection, TENANT_ID, holder.presented.key_digest) == made
    assert rows.find(connection, OTHER, device_id(1)) is None
    assert (made.certificate, made.expires_at) == (holder.pem, holder.certificate.not_valid_after_utc)
    assert office.trail(connection)[-1].activity == "registration.imported"


def test_an_id_and_a_key_are_imported_once(connection: Connection, office: Office, directory: OtherDirectory) -> None:
    holder = directory.holder(device_id(1))
    devices.add(connection, a_device(3))
    with pytest.raises(AlreadyExistsError):
        imported(connection, office, directory.holder(device_id(3)), device_id(3))
    imported(connection, office, holder, device_id(1))


@pytest.mark.parametrize(("name", "again"), [(device_id(1), None), (device_id(2), device_id(1))])
def test_a_second_registration_of_the_same_id_or_key_is_refused(
    connection: Connection, office: Office, directory: OtherDirectory, name: DeviceId, again: DeviceId | None
) -> None:
    holder = directory.holder(device_id(1))
    imported(connection, office, holder, device_id(1))
    with pytest.raises(AlreadyExistsError), connection.begin_nested():
        imported(connection, office, holder if again else directory.holder(name), name)


@pytest.mark.parametrize(
    "changes",
    [{"display_name": ""}, {"display_name": "x" * 257}, {"manager": ""}, {"manager": "x" * 33}, {"os_type": "x" * 33}],
    ids=str,
)
def test_a_registration_that_cannot_be_is_refused(
    connection: Connection, office: Office, directory: OtherDirectory, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRegistrationError):
        imported(connection, office, directory.holder(device_id(1)), device_id(1), **changes)


def test_devices_and_unused_registrations_stand_in_one_order(
    connection: Connection, office: Office, directory: OtherDirectory
) -> None:
    for number in (2, 4, 5):
        devices.add(connection, a_device(number))
    for number in (1, 3, 6, 7):
        imported(connection, office, directory.holder(device_id(number)), device_id(number))
    devices.add(connection, a_device(7, state=DeviceState.RETIRED))  # it used its registration

    seen: list[DeviceId] = []
    after = None
    while portion := registrations.list_directory(connection, TENANT_ID, Page(size=2, after=after)):
        seen += [each.device_id if isinstance(each, rows.ExistingRegistration) else each.id for each in portion]
        after = seen[-1]
    assert seen == [device_id(number) for number in range(1, 8)]


def test_what_changes_is_recorded_and_what_does_not_is_not(
    connection: Connection, office: Office, directory: OtherDirectory
) -> None:
    made = imported(connection, office, directory.holder(device_id(1)), device_id(1))
    before = len(office.trail(connection))
    assert registrations.change_registration(connection, office.acting, made) == made
    assert len(office.trail(connection)) == before
    changed = registrations.change_registration(connection, office.acting, made, is_enabled=False, manager="MDM")
    assert rows.find(connection, TENANT_ID, device_id(1)) == changed == replace(made, is_enabled=False, manager="MDM")
    assert office.trail(connection)[-1].activity == "registration.changed"


def test_a_claim_is_decided_by_time_key_and_who_vouches(
    connection: Connection, office: Office, directory: OtherDirectory
) -> None:
    holder = directory.holder(device_id(1), days=10)
    made = imported(connection, office, holder, device_id(1))
    renewed = directory.holder(device_id(1), key=holder.key)
    late = NOON.replace(month=12, day=24)

    assert claim(connection, TENANT_ID, holder.presented, (), NOON) == made
    with pytest.raises(ExistingCertificateExpiredError):
        claim(connection, TENANT_ID, holder.presented, (), late)
    with pytest.raises(ExistingCertificateUntrustedError):
        claim(connection, TENANT_ID, renewed.presented, (), late)
    authority = authorities.trust_authority(connection, office.acting, display_name="CA", pem=directory.pem)
    assert claim(connection, TENANT_ID, renewed.presented, (), late) == made
    with pytest.raises(ExistingCertificateUntrustedError):
        claim(connection, OTHER, renewed.presented, (), late)

    devices.add(connection, a_device(1))
    with pytest.raises(RegistrationInUseError):
        claim(connection, TENANT_ID, renewed.presented, (), late)
    devices.put(connection, a_device(1, state=DeviceState.RETIRED))
    assert claim(connection, TENANT_ID, renewed.presented, (), late) == made

    authorities.distrust_authority(connection, office.acting, authority.id)
    with pytest.raises(ExistingCertificateUntrustedError):
        claim(connection, TENANT_ID, renewed.presented, (), late)


def test_authorities_are_a_tenants_own(connection: Connection, office: Office, directory: OtherDirectory) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    made = authorities.trust_authority(connection, office.acting, display_name="CA", pem=directory.pem)
    assert authorities.list_authorities(connection, TENANT_ID) == (made,)
    assert authorities.list_authorities(connection, OTHER) == ()
    assert trusted(connection, TENANT_ID, AuthorityKind.ENDORSEMENT) == ()
    with pytest.raises(NotFoundError):
        authorities.distrust_authority(connection, office.acting.within(OTHER), made.id)


def test_deleting_takes_everything_along_and_leaves_the_trail(
    connection: Connection, office: Office, directory: OtherDirectory
) -> None:
    imported(connection, office, directory.holder(device_id(1)), device_id(1))
    devices.add(connection, a_device(1))
    devices.add(connection, a_device(2, replaces=device_id(1)))
    for number in (1, 2):
        check_ins.add(connection, device_id(number))
    check_ins.keep_answer(connection, device_id(1), 1, b"{}")
    alert = Alert(
        id=counted_id("9", 1),
        tenant_id=TENANT_ID,
        device_id=device_id(1),
        kind="k",
        severity=Severity.LOW,
        title="t",
        details="{}",
        first_at=NOON,
        last_at=NOON,
    )
    alerts.raise_alert(connection, alert)

    delete_device(connection, office.acting, device_id(1))

    assert devices.find(connection, device_id(1)) is None
    assert rows.find(connection, TENANT_ID, device_id(1)) is None
    assert alerts.list_alerts(connection, TENANT_ID, Page()) == ()
    assert group_members.memberships(connection, [device_id(1)])[device_id(1)] == frozenset()
    assert devices.get(connection, device_id(2)).replaces is None
    assert {"registration.deleted", "device.deleted"} <= {event.activity for event in office.trail(connection)}
    for gone in (delete_device, lambda *_: device_moves.remove(connection, TENANT_ID, device_id(1))):
        with pytest.raises(NotFoundError):
            gone(connection, office.acting, device_id(1))


def test_a_device_of_another_tenant_is_not_deleted(connection: Connection, office: Office) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    devices.add(connection, a_device(1, tenant_id=OTHER))
    with pytest.raises(NotFoundError):
        delete_device(connection, office.acting, device_id(1))
    assert devices.find(connection, device_id(1)) is not None


def test_details_are_noted_changed_and_taken_away(connection: Connection, office: Office) -> None:
    devices.add(connection, a_device(1))
    noted = change_details(
        connection, office.acting, device_id(1), category="Kiosk", attributes={"extensionAttribute1": "a"}
    )
    assert (noted.device_category, noted.extension_attributes) == ("Kiosk", {"extensionAttribute1": "a"})
    again = change_details(connection, office.acting, device_id(1), attributes={"extensionAttribute1": None})
    assert (again.device_category, again.extension_attributes) == ("Kiosk", {})
    with pytest.raises(InvalidDeviceError):
        change_details(connection, office.acting, device_id(1), attributes={"extensionAttribute0": "a"})
    with pytest.raises(InvalidDeviceError):
        change_details(connection, office.acting, device_id(1), ownership="Mine")
