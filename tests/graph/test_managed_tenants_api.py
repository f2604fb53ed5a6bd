"""The one view across tenants: for the server's own people, in numbers, and for nobody else."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.people import a_person, token_client
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, counted_id, device_id
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.tenants import tenants

TENANTS = "/beta/tenantRelationships/managedTenants/tenants"
ADATUM = TenantId(counted_id("9", 1))


@pytest.fixture
def adatum(world: AdminWorld) -> None:
    """A third tenant with a few devices and alerts; Contoso has one device, Fabrikam what it always has."""
    with world.writing() as connection:
        tenants.add(connection, a_tenant(id=ADATUM, domain="adatum.example", display_name="Adatum"))
        devices.add(connection, a_device(1))
        check_ins.add(connection, device_id(1))
        fates = [
            (DeviceState.ACTIVE, 0),
            (DeviceState.ACTIVE, 8),
            (DeviceState.PENDING, 0),
            (DeviceState.RETIRED, 0),
        ]
        for number, (state, days) in enumerate(fates, start=2):
            device = a_device(
                number, tenant_id=ADATUM, state=state, display_name="secret-name", registered_at=NOON - timedelta(days)
            )
            devices.add(connection, device)
            check_ins.add(connection, device.id)
        for number, severity in enumerate((Severity.HIGH, Severity.HIGH, Severity.LOW)):
            alert = Alert(
                id=counted_id("8", number),
                tenant_id=ADATUM,
                device_id=device_id(2),
                kind=f"kind{number}",
                severity=severity,
                title="secret-title",
                details="{}",
                first_at=NOON,
                last_at=NOON,
                resolved_at=NOON if severity is Severity.LOW else None,
            )
            alerts.raise_alert(connection, alert)


@pytest.mark.usefixtures("adatum")
def test_every_tenant_is_listed_with_its_counts_and_nothing_else(graph: Client) -> None:
    answer = graph.get(TENANTS)

    listed = {each["id"]: each for each in answer.json()["value"]}
    assert list(listed) == [ADATUM, TENANT_ID, FABRIKAM], "by name"
    adatum = listed[ADATUM]
    assert (adatum["displayName"], adatum["contract"]["defaultDomainName"]) == ("Adatum", "adatum.example")
    assert adatum["devices"]["count"] == 3
    assert adatum["devices"]["states"] == {
        state.value: {DeviceState.ACTIVE: 2, DeviceState.PENDING: 1}.get(state, 0)
        for state in DeviceState
        if state is not DeviceState.RETIRED
    }
    assert adatum["devices"]["health"] == {"impaired": 0, "inactive": 1, "active": 2}
    assert sum(each["count"] for each in adatum["devices"]["enrollmentCodes"]) == 3
    assert adatum["openAlerts"] == {"low": 0, "medium": 0, "high": 2}
    assert listed[TENANT_ID]["devices"]["count"] == 1
    assert listed[FABRIKAM]["devices"]["count"] == 1
    assert "secret" not in answer.text
    assert graph.get(f"{TENANTS}/{ADATUM}").json() | {"@odata.context": ""} == adatum | {"@odata.context": ""}
    assert graph.get(f"{TENANTS}/{counted_id('1', 1)}").status_code == 404


@pytest.mark.usefixtures("adatum")
def test_whoever_is_of_another_tenant_is_refused_whatever_they_hold(world: AdminWorld) -> None:
    with world.services.database.read() as connection:
        adatum = tenants.get(connection, ADATUM)
    with closing(world.application_client(*PERMISSIONS, tenant=adatum)) as theirs:
        for path in (TENANTS, f"{TENANTS}/{ADATUM}", f"{TENANTS}/{TENANT_ID}"):
            answer = theirs.get(path)
            assert answer.status_code == 403, path
            assert answer.json()["error"]["innerError"]["code"] == "forbidden"
        assert [each["id"] for each in theirs.get("/v1.0/organization").json()["value"]] == [ADATUM]


def test_the_permission_is_one_of_its_own(world: AdminWorld) -> None:
    with closing(world.application_client(*(set(PERMISSIONS) - {"ManagedTenants.Read.All"}))) as client:
        assert client.get(TENANTS).status_code == 403
    with closing(world.application_client("ManagedTenants.Read.All")) as client:
        assert client.get(TENANTS).status_code == 200
        assert client.get("/v1.0/organization").status_code == 403


def test_a_person_sees_all_tenants_who_was_invited_to(world: AdminWorld) -> None:
    person = a_person(world)
    with closing(token_client(world, person)) as client:
        assert client.get(TENANTS).status_code == 403, "a Global Administrator of one tenant"
        with world.writing() as connection:
            people.change(connection, replace(person, sees_tenants=True))
        assert client.get(TENANTS).status_code == 200
