"""Counts are kept while they are true, and no longer: whatever can change them is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap
from tests.manager.test_statuses import to_all
from tests.reporting.held import Following
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID, device_id, group_id

from shieldwall.server.access.grants import Scope
from shieldwall.server.reporting import image
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.image import FleetImage
from shieldwall.server.reporting.slices import EVERYTHING
from shieldwall.server.reporting.tallies import Tallies
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.fleets.image_rows import LISTED, STOOD, ImageRow
from shieldwall.server.storage.groups import group_members

MOST: Final = 3
DEVICES, KINDS = st.integers(0, MOST - 1), st.integers(0, 2_000)
TAGGED = (Scope(tags=frozenset({"1"})),)


def seen(fleet: HeldFleet) -> tuple[int, int, int]:
    devices = fleet.devices(EVERYTHING, TAGGED)
    assert devices is not None, "it is known who was in touch"
    protection, standing = fleet.protection(EVERYTHING, TAGGED), fleet.standing(EVERYTHING, TAGGED).fleet
    return devices.counts.devices, sum(protection.devices.values()), sum(standing.devices.values())


def test_whoever_sees_a_tag_sees_the_groups_that_have_it_now(world: World) -> None:
    tag = ScopeTag(id="1", tenant_id=TENANT_ID, display_name="Tag", description="", created_at=world.clock.now())
    with world.database.write() as connection:
        to_all(world, connection, "Policy", diagnostic="1")
        for number in (1, 2, 3):
            world.join(connection, number)
        for number, members in ((1, [1]), (2, [2, 3])):
            world.group(connection, number)
            group_members.add_members(connection, group_id(number), [device_id(each) for each in members])
        scope_tags.add(connection, tag)
        scope_tags.set_groups(connection, TENANT_ID, "1", [group_id(1)])
    following = Following(world)
    assert seen(following.fleet()) == (1, 1, 1)

    with world.database.write() as connection:
        scope_tags.set_groups(connection, TENANT_ID, "1", [group_id(2)])
    fleet = following.reports.current(TENANT_ID)

    assert fleet is not None
    assert seen(fleet) == (2, 2, 2)


def test_what_is_kept_of_who_was_in_touch_ends_with_it(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
    fleet = Following(world).fleet()
    before, contact = fleet.devices(), fleet.contact
    assert contact is not None
    assert fleet.devices() is before

    fleet.contact = replace(contact, inactive=fleet.image.everyone)
    after = fleet.devices()

    assert before is not None
    assert after is not None
    assert before.counts.health != after.counts.health


def a_row(number: int, kind: int) -> ImageRow:
    stood = None if kind % 3 == 0 else (kind,) * len(STOOD)
    return ImageRow(device_id(number), (kind,) * len(LISTED), stood)


Step: TypeAlias = tuple[str, int, int]
STEPS: Final = st.lists(st.tuples(st.sampled_from(["put", "remove", "load", "compact"]), DEVICES, KINDS), min_size=8)


@given(members=st.sets(st.integers(0, 2 * MOST)), steps=STEPS)
def test_devices_that_are_followed_are_counted_as_those_that_are_chosen(members: set[int], steps: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(image, "_COMPACT_FROM", 1)
        fleet = FleetImage()
        fleet.load([a_row(number, number) for number in range(MOST)])
        followed, loaded = BitMap(members), MOST
        for step, number, kind in steps:
            match step:
                case "put":
                    fleet.put(a_row(number, kind))
                case "remove":
                    fleet.remove(device_id(number))
                case "load":
                    fleet.load([a_row(loaded, kind)])
                    loaded += 1
                case "compact":
                    fleet.compact()
            some = np.arange(len(fleet.listed_kinds)) % 2 == 0
            for fits in (None, some):
                found, expected = fleet.choose_followed(followed, fits), fleet.choose(followed, fits)
                assert found.listed.tolist() == expected.listed.tolist()
                assert found.stood.tolist() == expected.stood.tolist()


def test_some_places_are_added_up_as_all_are() -> None:
    tallies = Tallies()
    tallies.explain(0, "target", {("setting", "a", "x", 1): 1, ("setting", "b", "x", 1): 1, ("state", 1): 1})
    tallies.explain(1, "target", {("setting", "a", "x", 2): 1, ("setting", "b", "x", 1): 3, ("state", 1): 1})
    kinds = np.array([5, 7])
    assert tallies.add_up_at(tallies.places_about("a"), kinds) == [5, 7]

    tallies.explain(2, "target", {("setting", "a", "x", 2): 1, ("setting", "b", "x", 3): 1})
    kinds = np.array([5, 7, 11])

    everywhere = tallies.add_up(kinds)
    for about in ("a", "b", "nothing"):
        places = tallies.places_about(about)
        assert tallies.add_up_at(places, kinds) == [everywhere[place] for place in places]
    assert tallies.add_up_at(tallies.places_about("a"), kinds) == [5, 18]
