from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.support.manager_world import World
from tests.support.samples import NOON, TENANT_ID

from shieldwall.server.manager import samples
from shieldwall.server.manager.figures import Figures, Fleet
from shieldwall.server.manager.samples import EPOCH, Sample, ended, sample_of
from shieldwall.server.storage.fleets import fleet_samples

MINUTES = st.integers(min_value=0, max_value=800 * 24 * 60)
MOMENTS = st.sets(MINUTES.map(lambda ago: NOON - timedelta(minutes=ago)), max_size=40)


@given(MOMENTS)
def test_samples_become_fewer_with_age_and_never_vanish_while_their_time_lasts(moments: set[datetime]) -> None:
    kept = moments - ended(moments, NOON)
    for span, oldest in ((timedelta(hours=1), 30), (timedelta(days=1), 731)):
        covered = {(at - EPOCH) // span for at in moments if NOON - at <= timedelta(days=oldest)}
        assert {(at - EPOCH) // span for at in kept} >= covered, "every span that had one still has one"
    assert {at for at in moments if NOON - at <= timedelta(days=2)} <= kept, "the latest are all kept"
    assert all(NOON - at <= timedelta(days=731) for at in kept)


@given(MOMENTS)
def test_thinning_twice_is_thinning_once(moments: set[datetime]) -> None:
    kept = moments - ended(moments, NOON)
    assert not ended(kept, NOON)


def test_of_old_samples_one_an_hour_and_one_a_day_are_kept() -> None:
    days = [NOON - timedelta(minutes=5 * number) for number in range(12 * 24 * 40)]
    kept = set(days) - ended(days, NOON)
    assert len([at for at in kept if NOON - at <= timedelta(days=2)]) == 2 * 24 * 12 + 1
    assert len([at for at in kept if timedelta(days=2) < NOON - at <= timedelta(days=30)]) in range(
        28 * 24, 28 * 24 + 2
    )
    assert len([at for at in kept if NOON - at > timedelta(days=30)]) in {10, 11}


def test_what_was_counted_is_there_to_be_drawn_and_old_samples_go(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
    found = counted(world)
    with world.database.write() as connection:
        for days in (800, 3, 1):
            samples.keep(connection, TENANT_ID, moved(found, days))
        samples.keep(connection, TENANT_ID, found)
        samples.keep(connection, TENANT_ID, found)  # of one moment once
    with world.database.read() as connection:
        history = samples.history(connection, TENANT_ID, NOON - timedelta(days=2))
        everything = samples.history(connection, TENANT_ID, NOON - timedelta(days=1_000))
    assert [at for at, _ in history] == [NOON - timedelta(days=1), NOON]
    assert len(everything) == 3, "the one of 800 days ago is gone"
    assert history[-1][1] == sample_of(found)
    assert history[-1][1].devices == 1
    assert history[-1][1].platforms == {"Linux": 1}


def test_a_sample_of_an_older_or_newer_version_can_be_read(world: World) -> None:
    with world.database.write() as connection:
        fleet_samples.add(connection, TENANT_ID, NOON, '{"devices":3,"someday":{"x":1}}')
    with world.database.read() as connection:
        assert samples.history(connection, TENANT_ID, NOON) == ((NOON, Sample(devices=3)),)


def counted(world: World) -> Figures:
    return Fleet(database=world.database, catalog=world.catalog, tenant_id=TENANT_ID).count(world.clock.now())


def moved(found: Figures, days: int) -> Figures:
    return replace(found, as_of=found.as_of - timedelta(days=days))
