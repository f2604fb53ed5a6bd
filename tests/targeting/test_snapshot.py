"""What is kept of a fleet is what comes back, and what is damaged is of no use."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.support.samples import TENANT_ID, device_id
from tests.targeting.test_index_properties import HASHER, World, hashes

from shieldwall.server.targeting.fleet import Fleet
from shieldwall.server.targeting.index import FleetIndex
from shieldwall.server.targeting.snapshot import SnapshotUnusableError, load, save


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_back_is_what_was_kept(tmp_path: Path, seed: int) -> None:
    world = World(random.Random(seed), FleetIndex(HASHER, Fleet()))  # noqa: S311 - a test
    for change in (*[World.some_devices] * 6, World.groups, World.groups, World.filters, World.policies, World.gone):
        change(world)
    save(tmp_path / "snapshot", "mark", {TENANT_ID: world.index.fleet})
    mark, fleets = load(tmp_path / "snapshot", lambda _: bytearray)
    [(tenant_id, fleet)] = fleets
    again = FleetIndex(HASHER, fleet)
    again.begin()
    recorded = {
        group: [each for each, known in world.devices.items() if group in known.recorded]
        for group in again.newly_recorded(world.definitions)
    }
    again.define(world.definitions, recorded)
    everybody = [device_id(number) for number in range(60)]

    assert (mark, tenant_id) == ("mark", TENANT_ID)
    assert hashes(again, everybody) == hashes(world.index, everybody)
    world.index = again
    for change in (World.some_devices, World.one_attribute, World.what_it_is, World.policies):
        change(world)
    anew = FleetIndex(HASHER, Fleet())
    anew.put(world.told(sorted(world.devices)))
    anew.define(
        world.definitions,
        recorded
        | {
            group: [each for each, known in world.devices.items() if group in known.recorded]
            for group in anew.newly_recorded(world.definitions)
        },
    )
    assert hashes(again, everybody) == hashes(anew, everybody)


def test_one_that_is_damaged_or_cut_short_or_missing_is_of_no_use(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    save(path, "mark", {TENANT_ID: Fleet()})
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole[:20] + b"?" + whole[21:]):
        path.write_bytes(damaged)
        with pytest.raises(SnapshotUnusableError):
            load(path, lambda _: bytearray)
    path.unlink()
    with pytest.raises(SnapshotUnusableError):
        load(path, lambda _: bytearray)
