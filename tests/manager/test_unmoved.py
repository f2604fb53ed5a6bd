"""What the targeting index says need not be computed is what would have been computed, however late the index is."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.support import late_fleet
from tests.support.campaign import size
from tests.support.late_fleet import Life
from tests.support.manager_world import World
from tests.support.samples import CountingIds

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.manager import catching_up, sweeping
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.targeting.following import Following
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.shared import BoardReader, SharedBoards
from shieldwall.server.targeting.unmoved import Unmoved

BEGINNING = (
    ("joins", 1, 1),
    ("joins", 2, 2),
    ("joins", 3, 3),
    ("joins", 4, 0),
    ("group_is_made", 0, 1),
    ("group_is_made", 5, 1),
    ("group_is_made", 9, 1),
    ("policy_is_made", 1),
    ("policy_is_made", 0),
    ("filter_is_made", 0),
    ("policy_is_assigned", 0, 0, 0, 2),
    ("policy_is_assigned", 1, 1, 0, 4),
)
CHANGES = {
    "joins": (6, 6),
    "is_tagged": (6, 4),
    "is_renamed": (6, 4),
    "is_switched": (6, 4),
    "leaves": (6, 4),
    "is_quarantined": (6, 4),
    "is_troubleshot": (6, 4),
    "group_is_made": (10, 4),
    "group_changes": (4, 10, 4),
    "group_is_paused": (4, 4),
    "group_goes": (4,),
    "member_joins": (4, 6),
    "member_leaves": (4, 6),
    "policy_changes": (4, 4),
    "policy_goes": (4,),
    "policy_is_assigned": (4, 4, 4, 10),
    "filter_changes": (4, 4),
    "protection_changes": (4, 6, 4),
    "rules_change": (4,),
    "scope_changes": (4,),
    "checks_in": (6, 6),
    "sweeps": (3, 4),
}
OF_DEVICES = {
    "joins",
    "is_tagged",
    "is_renamed",
    "is_switched",
    "leaves",
    "is_quarantined",
    "is_troubleshot",
    "checks_in",
}
OFTEN = ("policy_is_assigned", "group_changes", "policy_changes", "checks_in", "checks_in", "sweeps")


SEEDS = size(short=4, full=500)


def test_what_is_not_computed_is_what_it_would_be(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = Hasher(b"h" * 32)
    asked: list[Unmoved] = []
    same: list[frozenset[DeviceId]] = []

    def unmoved(connection: Connection, tenant_id: TenantId, ids: Collection[DeviceId]) -> frozenset[DeviceId]:
        same.append(asked[-1](connection, tenant_id, ids))
        return same[-1]

    def checked(connection: Connection, ids: Iterable[DeviceId], now: datetime) -> frozenset[DeviceId]:
        assert retarget(connection, same[-1], now) == frozenset()
        return retarget(connection, ids, now)

    monkeypatch.setattr(catching_up, "retarget", checked)
    monkeypatch.setattr(late_fleet, "catch_up_all", partial(catching_up.catch_up_all, unmoved=unmoved))
    monkeypatch.setattr(late_fleet, "sweep", partial(sweeping.sweep, unmoved=unmoved))
    for seed in range(SEEDS):
        boards = SharedBoards(tmp_path / "boards", tmp_path)
        asked.append(Unmoved(BoardReader(tmp_path / "boards"), hasher))
        _live(world, random.Random(seed), Following(world.database, hasher, boards.allocator), boards)  # noqa: S311
        boards.close()
    assert sum(each.count for each in asked) > SEEDS, "else this says nothing"


def _live(world: World, drawn: random.Random, following: Following, boards: SharedBoards) -> None:
    """Let changes, check-ins and rounds of the server happen, while the index follows them late."""
    world.new_id.last += 10_000
    with world.undone() as connection:
        following.place = fleet_feed.end(connection)
        life = Life(world, connection, 0, CountingIds(world.new_id.last))
        for each in BEGINNING:
            life.do(*each)
        for _ in range(40):
            if drawn.random() < 0.75:
                while not following.step_on(connection):
                    pass
                boards.publish(following.place)
            name = drawn.choice((*CHANGES, *OFTEN * 8))
            arguments = [drawn.randrange(most) for most in CHANGES[name]]
            if name in OF_DEVICES or name == "sweeps":
                arguments[0] += 1
            if name in {"member_joins", "member_leaves", "protection_changes"}:
                arguments[1] += 1
            life.do(name, *arguments)
        life.ends()
        life.is_what_it_would_be()
