"""Cleaning up: nobody is retired unless somebody says so; then exactly those that a preview counted."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from tests.support.admin import AdminWorld, create_admin_world
from tests.support.samples import NOON, TENANT_ID, counted_id, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.inventory.cleaning import CleanUpRules, get_rules, preview, put_rules
from shieldwall.server.periodic.housekeeping import Housekeeping
from shieldwall.server.storage.check_ins import check_ins as check_in_rows
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import devices, sightings, spent_keys
from shieldwall.server.storage.devices.sightings import Sighting, SightingKind
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.fleets import fleet_samples
from shieldwall.server.storage.onboarding import nonces
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.reports import kept_reports
from shieldwall.server.storage.reports.kept_reports import CachedReport
from shieldwall.server.storage.tables.schema import check_ins

DAY = timedelta(days=1)


@pytest.fixture
def world(database: Database, tmp_path: Any) -> AdminWorld:
    return create_admin_world(database, tmp_path / "data")


def join(world: AdminWorld, number: int, *, seen: datetime | None = NOON, **changes: Any) -> None:
    with world.writing() as connection:
        joined = world.manager.join(connection, number, **{"registered_at": NOON - 400 * DAY, **changes})
        connection.execute(update(check_ins).where(check_ins.c.device_id == joined).values(last_check_in=seen))


def choose(world: AdminWorld, rules: CleanUpRules) -> None:
    with world.writing() as connection:
        put_rules(connection, world.services.acting("Ada"), rules)


def found(world: AdminWorld) -> dict[int, Device]:
    with world.services.database.read() as connection:
        listed = devices.list_devices(connection, TENANT_ID, Page())
    return {int(each.id[-4:], 16): each for each in listed}


def counted(world: AdminWorld, rules: CleanUpRules) -> tuple[int, int, int]:
    with world.services.database.read() as connection:
        effect = preview(connection, TENANT_ID, rules, world.clock.now())
    return effect.replaced, effect.retired, effect.removed


def clean(world: AdminWorld) -> None:
    Housekeeping(services=world.services).once()


def test_nobody_is_retired_for_silence_unless_somebody_says_so(world: AdminWorld) -> None:
    join(world, 1, seen=NOON - 300 * DAY)

    clean(world)

    assert found(world)[1].state is DeviceState.ACTIVE


def test_silent_devices_retire_after_the_days_chosen_and_others_stay(world: AdminWorld) -> None:
    join(world, 1, seen=NOON - 31 * DAY)
    join(world, 2, seen=NOON - 29 * DAY)
    join(world, 3, seen=None)
    join(world, 4, seen=None, registered_at=NOON - 5 * DAY)
    join(world, 5, seen=NOON - 60 * DAY, state=DeviceState.DISABLED)
    rules = CleanUpRules(retire_inactive_after_days=30)
    assert counted(world, rules) == (0, 3, 0)
    choose(world, rules)

    clean(world)

    assert {number for number, each in found(world).items() if each.state is DeviceState.RETIRED} == {1, 3, 5}
    with world.services.database.read() as connection:
        (event,) = [
            each
            for each in audit.list_events(connection, TENANT_ID, Page(), object_id=device_id(1))
            if each.activity == "device.retired"
        ]
    assert (event.actor, event.details) == ("housekeeping", '{"name":"device-1","reason":"inactive"}')


def listened(world: AdminWorld, since: datetime, until: datetime) -> None:
    """Let the server have been there, and have counted every day."""
    with world.writing() as connection:
        for day in range((until - since) // DAY + 1):
            fleet_samples.add(connection, TENANT_ID, since + day * DAY, "{}")


def retired(world: AdminWorld) -> set[int]:
    return {number for number, each in found(world).items() if each.state is DeviceState.RETIRED}


def test_after_a_long_outage_nobody_retires_whom_the_server_could_not_hear(world: AdminWorld) -> None:
    """It may have been off, or come back from an old backup: the whole fleet was in touch with it long ago."""
    listened(world, NOON - 100 * DAY, NOON - 40 * DAY)
    for number, days in ((1, 40), (2, 65), (3, 75)):
        join(world, number, seen=NOON - days * DAY)
    rules = CleanUpRules(retire_inactive_after_days=30)
    choose(world, rules)
    listened(world, NOON, NOON)
    assert counted(world, rules) == (0, 1, 0)

    clean(world)
    assert retired(world) == {3}, "silent for 35 days before the outage"

    for days, expected in ((4, {3}), (6, {2, 3}), (29, {2, 3}), (31, {1, 2, 3})):
        world.clock.advance(days=days - (world.clock.now() - NOON).days)
        listened(world, NOON, world.clock.now())
        clean(world)
        assert retired(world) == expected


def test_a_clock_that_jumps_ahead_retires_nobody(world: AdminWorld) -> None:
    listened(world, NOON - 100 * DAY, NOON)
    join(world, 1)
    choose(world, CleanUpRules(retire_inactive_after_days=30))
    world.clock.advance(days=5_000)
    clean(world)
    listened(world, world.clock.now(), world.clock.now())

    clean(world)

    assert retired(world) == set()


def test_the_profile_of_a_retired_device_is_kept_a_hundred_and_eighty_days(world: AdminWorld) -> None:
    join(world, 1, state=DeviceState.RETIRED, retired_at=NOON - 179 * DAY)
    join(world, 2, state=DeviceState.RETIRED, retired_at=NOON - 181 * DAY)
    assert counted(world, CleanUpRules()) == (0, 0, 1)

    clean(world)

    assert set(found(world)) == {1}
    with world.services.database.read() as connection:
        assert spent_keys.find(connection, devices_key(2)) is not None
    world.clock.advance(days=2)
    clean(world)
    assert found(world) == {}


def devices_key(number: int) -> Any:
    return f"{number:043d}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"attestation_level": AttestationLevel.NONE}, False),
        ({"tpm_ek_hash": digest_of_bytes(b"other")}, False),
    ],
)
def test_the_same_tpm_takes_the_place_of_its_former_self_where_that_is_allowed(
    world: AdminWorld, changes: dict[str, Any], expected: bool
) -> None:
    ek = digest_of_bytes(b"ek")
    join(world, 1, seen=NOON - 31 * DAY, tpm_ek_hash=ek, tags=("edge",))
    known: dict[str, Any] = {"tpm_ek_hash": ek, "attestation_level": AttestationLevel.TPM, "replaces": device_id(1)}
    join(world, 2, tags=(), **(known | changes))
    clean(world)
    assert found(world)[1].state is DeviceState.ACTIVE
    rules = CleanUpRules(auto_replace=True)
    assert counted(world, rules)[0] == int(expected)
    choose(world, rules)

    clean(world)

    assert (found(world)[1].state is DeviceState.RETIRED) is expected
    assert (found(world)[2].tags == ("edge",)) is expected


def test_a_device_that_still_speaks_is_never_replaced(world: AdminWorld) -> None:
    ek = digest_of_bytes(b"ek")
    join(world, 1, seen=NOON - 29 * DAY, tpm_ek_hash=ek)
    join(world, 2, tpm_ek_hash=ek, attestation_level=AttestationLevel.TPM, replaces=device_id(1))
    choose(world, CleanUpRules(auto_replace=True))

    clean(world)

    assert found(world)[1].state is DeviceState.ACTIVE


def test_old_traces_go_and_young_ones_stay(world: AdminWorld) -> None:
    join(world, 1)
    with world.writing() as connection:
        nonces.use(connection, TENANT_ID, digest_of_bytes(b"old"), NOON - DAY)
        nonces.use(connection, TENANT_ID, digest_of_bytes(b"young"), NOON + DAY)
        for number, age in ((1, 91), (2, 89)):
            sightings.add(connection, a_sighting(number, NOON - age * DAY), ())
        for number, closed in ((3, NOON - 366 * DAY), (4, NOON - 364 * DAY), (5, None)):
            alerts.raise_alert(connection, an_alert(number, closed))
        for name, ends in (("old", NOON), ("young", NOON + DAY)):
            kept_reports.put_cached(connection, a_cached_report(name, ends))
    rules = CleanUpRules()
    with world.services.database.read() as connection:
        before = preview(connection, TENANT_ID, rules, NOON).rows
    assert {name: count for name, count in before.items() if count} == {
        "used_nonces": 1,
        "sightings": 1,
        "alerts": 1,
        "cached_reports": 1,
    }

    clean(world)

    with world.services.database.read() as connection:
        after = preview(connection, TENANT_ID, rules, NOON)
        assert after.is_nothing
        assert [each.at for each in sightings.of_device(connection, device_id(1))] == [NOON - 89 * DAY]
        assert len(alerts.list_alerts(connection, TENANT_ID, Page())) == 2
        assert [each.id for each in kept_reports.list_cached(connection, TENANT_ID, Page())] == ["young"]
        assert "cleanUp.rowsRemoved" in {each.activity for each in audit.list_events(connection, TENANT_ID, Page())}


def a_cached_report(name: str, ends: datetime) -> CachedReport:
    return CachedReport(
        id=name,
        tenant_id=TENANT_ID,
        report_name="x",
        filter="",
        selected=(),
        order_by=(),
        about="",
        refreshed_at=NOON,
        expires_at=ends,
    )


def a_sighting(number: int, at: datetime) -> Sighting:
    return Sighting(
        tenant_id=TENANT_ID,
        device_id=device_id(1),
        at=at,
        kind=SightingKind.CHECK_IN,
        instance_id="0" * 32,
        boot_id=str(number),
        request_digest=digest_of_bytes(b""),
        epoch=1,
    )


def an_alert(number: int, closed: datetime | None) -> Alert:
    return Alert(
        id=counted_id("9", number),
        tenant_id=TENANT_ID,
        device_id=None,
        kind="x",
        severity=Severity.LOW,
        title=str(number),
        details="{}",
        first_at=NOON,
        last_at=NOON,
        resolved_at=closed,
    )


def test_a_tenant_that_cannot_be_cleaned_up_does_not_end_the_loop(
    world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[float] = []

    async def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 3:
            raise asyncio.CancelledError

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Housekeeping, "clean", fail)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Housekeeping(services=world.services, sleep=sleep).run())

    assert rounds == [60.0, 3600.0, 3600.0]


def test_an_answer_that_nobody_can_ask_for_again_is_emptied(world: AdminWorld) -> None:
    join(world, 1)
    with world.writing() as connection:
        check_in_rows.keep_answer(connection, device_id(1), 0, b"superseded")
        connection.execute(update(check_ins).where(check_ins.c.device_id == device_id(1)).values(seq=1))
    clean(world)

    with world.services.database.read() as connection:
        assert check_in_rows.find_answer(connection, device_id(1), 0) == b""


def test_rules_are_kept_and_a_change_of_them_is_audited(world: AdminWorld) -> None:
    rules = CleanUpRules(retire_inactive_after_days=90, auto_replace=True)
    choose(world, rules)
    choose(world, rules)

    with world.services.database.read() as connection:
        assert get_rules(connection, TENANT_ID) == rules
        events = [
            each for each in audit.list_events(connection, TENANT_ID, Page()) if each.activity == "cleanUp.changed"
        ]
    assert [each.actor for each in events] == ["Ada"]
