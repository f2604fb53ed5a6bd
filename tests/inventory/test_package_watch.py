"""Alerts about packages: used in a burst, or tried by somebody although they let nobody in any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.gate import Gate
from tests.support.samples import NOON, TENANT_ID, a_device, package_id

from shieldwall.contract.ids import PackageId
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.package_check import PackageRefusedError
from shieldwall.server.inventory.package_watch import BURST
from shieldwall.server.inventory.packages import devices_of_package
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.records import Page


def raised(gate: Gate) -> list[tuple[str, int]]:
    with gate.database.read() as connection:
        return [(each.kind, each.times) for each in alerts.list_alerts(connection, TENANT_ID, Page())]


def came_before(gate: Gate, count: int, *, ago: timedelta) -> None:
    with gate.database.write() as connection:
        for number in range(1, count + 1):
            device = a_device(number, package_id=package_id(1), registered_at=NOON - ago)
            devices.add(connection, device)


def test_a_burst_raises_one_alert_and_fewer_or_slower_devices_none(gate: Gate) -> None:
    came_before(gate, BURST - 2, ago=timedelta(minutes=5))
    gate.receives(gate.newcomer().asks(gate.nonce()))
    assert raised(gate) == []

    gate.receives(gate.newcomer().asks(gate.nonce()))
    gate.receives(gate.newcomer().asks(gate.nonce()))
    assert raised(gate) == [("packageBurst", 1)]


def test_devices_that_came_over_hours_are_no_burst(gate: Gate) -> None:
    came_before(gate, BURST - 1, ago=timedelta(minutes=11))

    gate.receives(gate.newcomer().asks(gate.nonce()))

    assert raised(gate) == []


@pytest.mark.parametrize("column", ["revoked_at", "not_after"])
def test_a_package_that_is_tried_although_it_is_dead_raises_one_alert_that_counts(gate: Gate, column: str) -> None:
    gate.set_package(**{column: NOON - timedelta(days=1)})
    for _ in range(3):
        request = gate.newcomer().asks(gate.nonce())
        with pytest.raises(PackageRefusedError) as refused:
            gate.asks(request)
        with gate.database.write() as connection:
            certified = read_certificate_request(request)
            gate.onboarding.note_refusal(connection, request, certified, refused.value.code)

    assert raised(gate) == [("packageRefused", 3)]


def test_a_package_for_other_platforms_is_no_reason_for_an_alert(gate: Gate) -> None:
    gate.set_package(platforms='["windows"]')
    request = gate.newcomer().asks(gate.nonce())
    with pytest.raises(PackageRefusedError) as refused:
        gate.asks(request)
    with gate.database.write() as connection:
        gate.onboarding.note_refusal(connection, request, read_certificate_request(request), refused.value.code)

    assert raised(gate) == []


def test_who_came_with_a_package_is_listed(gate: Gate) -> None:
    came_before(gate, 2, ago=timedelta(days=1))
    with gate.database.write() as connection:
        devices.add(connection, a_device(9))
    joined = gate.receives(gate.newcomer().asks(gate.nonce())).device_id

    with gate.database.read() as connection:
        found = devices_of_package(connection, TENANT_ID, package_id(1), Page())
        assert {each.id for each in found} == {a_device(1).id, a_device(2).id, joined}
        (second,) = devices_of_package(connection, TENANT_ID, package_id(1), Page(size=1, after=found[0].id))
        assert second == found[1]
        with pytest.raises(NotFoundError):
            devices_of_package(connection, TENANT_ID, PackageId(a_device(1).id), Page())
