"""Answers that were kept for a repeat go once nobody can ask for them, and not before."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.support.manager_world import World, caller
from tests.support.samples import TENANT_ID, counted_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager import answers
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.tables.schema import check_in_answers

OTHER_TENANT = TenantId(counted_id("f", 1))


def take(world: World, device_id: DeviceId, seq: int) -> None:
    """Let a device's request be the newest, as every check-in does."""
    with world.database.write() as connection:
        key, now = caller(device_id).key, world.clock.now()
        digest = digest_of_bytes(b"%d" % seq)
        assert check_ins.take_number(connection, device_id, key=key, epoch=1, seq=seq, digest=digest, valid_at=now)


def answer(world: World, device_id: DeviceId, seq: int) -> None:
    take(world, device_id, seq)
    with world.database.write() as connection:
        check_ins.keep_answer(connection, device_id, seq, b"answer %d" % seq)


def kept(world: World) -> dict[str, tuple[int, bytes]]:
    with world.database.read() as connection:
        rows = connection.execute(select(check_in_answers).where(check_in_answers.c.tenant_id == TENANT_ID))
        return {row.device_id: (row.seq, bytes(row.body)) for row in rows}


@pytest.fixture
def fleet(world: World) -> list[DeviceId]:
    with world.database.write() as connection:
        return [world.join(connection, number) for number in range(1, 6)]


def test_the_newest_answer_stays_for_its_repeat(world: World, fleet: list[DeviceId]) -> None:
    answer(world, fleet[0], 1)

    assert answers.forget_superseded(world.database, TENANT_ID) == 0
    with world.database.read() as connection:
        assert check_ins.find_answer(connection, fleet[0], 1) == b"answer 1"


def test_an_answer_is_emptied_once_another_number_was_taken_and_its_number_is_still_known(
    world: World, fleet: list[DeviceId]
) -> None:
    answer(world, fleet[0], 1)
    answer(world, fleet[1], 1)
    take(world, fleet[0], 2)

    assert answers.forget_superseded(world.database, TENANT_ID) == 1
    assert kept(world) == {fleet[0]: (1, b""), fleet[1]: (1, b"answer 1")}
    with world.database.read() as connection:
        assert check_ins.answered(connection, fleet[0]) == 1


def test_what_was_emptied_is_counted_once_and_a_new_answer_takes_its_place(world: World, fleet: list[DeviceId]) -> None:
    answer(world, fleet[0], 1)
    take(world, fleet[0], 2)

    assert answers.forget_superseded(world.database, TENANT_ID) == 1
    assert answers.forget_superseded(world.database, TENANT_ID) == 0
    answer(world, fleet[0], 3)
    assert answers.forget_superseded(world.database, TENANT_ID) == 0
    assert kept(world) == {fleet[0]: (3, b"answer 3")}


@pytest.mark.parametrize("at_once", [1, 2, 5, 6])
def test_every_portion_is_looked_through(
    world: World, fleet: list[DeviceId], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "AT_ONCE", at_once)
    for device_id in fleet:
        answer(world, device_id, 1)
        take(world, device_id, 2)

    assert answers.forget_superseded(world.database, TENANT_ID) == len(fleet)
    assert {body for _, body in kept(world).values()} == {b""}


def test_another_tenant_keeps_what_it_has(world: World, fleet: list[DeviceId]) -> None:
    answer(world, fleet[0], 1)
    take(world, fleet[0], 2)

    assert answers.forget_superseded(world.database, OTHER_TENANT) == 0
    assert kept(world) == {fleet[0]: (1, b"answer 1")}
