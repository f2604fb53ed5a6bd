"""Certificates go once their devices have them for sure, and who asks again all the same gets a new one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.support.gate import Gate
from tests.support.samples import TENANT_ID, counted_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.registration import RegisterRequest
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.inventory import held_certificates
from shieldwall.server.inventory.credentials import RENEWAL_GRACE
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.schema import check_ins
from shieldwall.server.storage.tables.schema import devices as device_rows
from shieldwall.trust.device_certificate import read_certificate

OTHER_TENANT = TenantId(counted_id("f", 1))


def in_touch(gate: Gate, device_id: DeviceId, **later: float) -> None:
    """Let a device check in so much later."""
    gate.office.clock.advance(**later)
    seen = update(check_ins).where(check_ins.c.device_id == device_id).values(last_check_in=gate.office.clock.now())
    with gate.database.write() as connection:
        connection.execute(seen)


def certificate(gate: Gate, device_id: DeviceId) -> str:
    with gate.database.read() as connection:
        return devices.get(connection, device_id).certificate


@pytest.fixture
def asked(gate: Gate) -> RegisterRequest:
    return gate.newcomer().asks(gate.nonce())


def test_a_certificate_is_forgotten_once_its_device_came_long_after(gate: Gate, asked: RegisterRequest) -> None:
    device = gate.receives(asked)
    for later, forgotten in (({"hours": 1}, 0), ({"hours": 22}, 0), ({"hours": 2}, 1)):
        assert held_certificates.forget_held(gate.database, TENANT_ID) == 0
        in_touch(gate, device.device_id, **later)
        assert held_certificates.forget_held(gate.database, OTHER_TENANT) == 0
        assert held_certificates.forget_held(gate.database, TENANT_ID) == forgotten
        assert certificate(gate, device.device_id) == ("" if forgotten else device.certificate)


def test_one_that_never_came_keeps_it_and_one_that_waits_has_none(gate: Gate, asked: RegisterRequest) -> None:
    device = gate.receives(asked)
    waiting = gate.receives(gate.newcomer().asks(gate.nonce()))
    with gate.database.write() as connection:
        connection.execute(update(device_rows).where(device_rows.c.id == waiting.device_id).values(certificate=""))
    gate.office.clock.advance(days=3)

    assert held_certificates.forget_held(gate.database, TENANT_ID) == 0
    assert certificate(gate, device.device_id) == device.certificate


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_every_portion_is_looked_through(gate: Gate, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_certificates, "AT_ONCE", at_once)
    made = [gate.receives(gate.newcomer().asks(gate.nonce())).device_id for _ in range(3)]
    for device_id in made:
        in_touch(gate, device_id, days=2)

    assert held_certificates.forget_held(gate.database, TENANT_ID) == 3
    assert [certificate(gate, device_id) for device_id in made] == ["", "", ""]


def test_who_repeats_its_request_all_the_same_gets_a_new_one(gate: Gate, asked: RegisterRequest) -> None:
    device = gate.receives(asked)
    in_touch(gate, device.device_id, days=2)
    held_certificates.forget_held(gate.database, TENANT_ID)

    again = gate.receives(asked)
    assert (again.device_id, again.epoch) == (device.device_id, device.epoch)
    new, old = read_certificate(again.certificate), read_certificate(device.certificate)
    assert (new.key, new.not_after) == (old.key, old.not_after + timedelta(days=2))
    assert gate.receives(asked).certificate == again.certificate  # one repeat, one certificate
    with gate.database.read() as connection:
        assert devices.get(connection, device.device_id).certificate_expires_at == new.not_after
        assert gate.office.trail(connection)[-1].activity == "device.certificateRenewed"


def test_nobody_comes_back_by_a_repeat_who_may_not_renew(gate: Gate, asked: RegisterRequest) -> None:
    device = gate.receives(asked)
    in_touch(gate, device.device_id, days=2)
    held_certificates.forget_held(gate.database, TENANT_ID)
    ended = read_certificate(device.certificate).not_after

    mine = update(device_rows).where(device_rows.c.id == device.device_id)
    with gate.database.write() as connection:
        connection.execute(mine.values(state=DeviceState.DISABLED.value))
    gate.refuses(DuplicateKeyError, asked)
    with gate.database.write() as connection:
        connection.execute(mine.values(state=DeviceState.ACTIVE.value))
    gate.office.clock.advance(seconds=(ended + RENEWAL_GRACE - gate.office.clock.now()).total_seconds())
    gate.refuses(DuplicateKeyError, asked)
    assert certificate(gate, device.device_id) == ""
