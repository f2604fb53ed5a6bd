"""What the index says that a rule would do is what the database says, or nothing; however late the index is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.manager.test_unmoved import BEGINNING, CHANGES, OF_DEVICES, OFTEN
from tests.support.campaign import size
from tests.support.late_fleet import Life
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID, CountingIds, device_id

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.policy.membership import parse_rule
from shieldwall.server.directory.group_rules import Moves, preview_rule
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.policies import aims
from shieldwall.server.targeting.following import Following
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.rule_previews import RulePreviews
from shieldwall.server.targeting.rule_questions import UNKNOWN, answered, read_answer

SEEDS = size(short=6, full=500)
RULES = (
    'device.deviceTag -contains "web"',
    'device.tags -any (_ -eq "db") -or device.displayName -contains "new"',
    'device.deviceOSType -ne "Linux"',
    'device.managementType -eq "MicrosoftSense" -and device.accountEnabled -eq true',
    "device.memberOf -any (group.objectId -in ['{group}'])",
    "-not (device.memberOf -any (group.objectId -in ['{group}']))",
)


class OneView:
    """A database of which one transaction is seen, in which nothing stays."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._connection


def asked_of(connection: Connection, following: Following, meanwhile: Callable[[], object]) -> RulePreviews:
    """Ask the index itself; something may happen while it is asked."""

    def ask(question: bytes) -> bytes:
        meanwhile()
        return answered(following.indexes, question)

    view = OneView(connection)
    return RulePreviews(database=view, place=lambda: following.place, ask=ask)  # type: ignore[arg-type]  # a view of it


def test_what_the_index_says_is_what_the_database_says_or_nothing(world: World) -> None:
    said = [
        each
        for seed in range(SEEDS)
        for each in _live(world, random.Random(seed), Following(world.database, Hasher(b"h" * 32)))  # noqa: S311
    ]

    assert sum(said) > SEEDS, "else this says nothing"
    assert not all(said)


def _live(world: World, drawn: random.Random, following: Following) -> Iterator[bool]:
    """Let things happen, ask for rules in between, and yield whether the index answered."""
    world.new_id.last += 10_000
    with world.undone() as connection:
        following.place = fleet_feed.end(connection)
        life = Life(world, connection, drawn.choice((0, 1_000_000)), CountingIds(world.new_id.last))
        for each in BEGINNING:
            life.do(*each)
        for _ in range(30):
            if drawn.random() < 0.5:
                while not following.step_on(connection):
                    pass
            _happens(life, drawn)
            if not life.groups:
                continue
            group, other = (GroupId(drawn.choice(life.groups)) for _ in range(2))
            text = drawn.choice(RULES).format(group=other)
            truth = preview_rule(connection, TENANT_ID, group, parse_rule(text))
            found = asked_of(connection, following, lambda: None).moves(TENANT_ID, group, text)
            assert found in {None, truth}
            yield found is not None


def _happens(life: Life, drawn: random.Random) -> None:
    name = drawn.choice((*CHANGES, *OF_DEVICES, *OF_DEVICES, *OFTEN))
    arguments = [drawn.randrange(most) for most in CHANGES[name]]
    if name in OF_DEVICES or name == "sweeps":
        arguments[0] += 1
    if name in {"member_joins", "member_leaves", "protection_changes"}:
        arguments[1] += 1
    life.do(name, *arguments)


@contextmanager
def settled(world: World) -> Iterator[tuple[Life, Following]]:
    """Two devices and a group of one of them, all of it known to the index."""
    world.new_id.last += 10_000
    with world.undone() as connection:
        following = Following(world.database, Hasher(b"h" * 32))
        following.place = fleet_feed.end(connection)
        life = Life(world, connection, 1_000_000, CountingIds(world.new_id.last))
        for each in (("joins", 1, 1), ("joins", 2, 2), ("group_is_made", 0, 1)):
            assert life.do(*each) is None
        while not following.step_on(connection):
            pass
        yield life, following


DB = 'device.tags -any (_ -eq "db")'


def test_a_device_that_the_index_has_not_heard_of_is_looked_up(world: World) -> None:
    with settled(world) as (life, following):
        life.do("joins", 3, 2)

        found = asked_of(life.connection, following, lambda: None).moves(TENANT_ID, life.groups[0], DB)

        assert found is not None
        assert found == Moves(gained=frozenset({device_id(2), device_id(3)}), lost=frozenset({device_id(1)}), members=2)


def test_an_index_that_heard_meanwhile_of_another_device_is_not_believed(world: World) -> None:
    with settled(world) as (life, following):

        def another() -> None:
            life.do("joins", 3, 2)
            place = following.place
            following.step_on(life.connection)
            following.place = place

        asking = replace(asked_of(life.connection, following, another))
        assert asking.moves(TENANT_ID, life.groups[0], DB) is None


def test_a_rule_that_changes_meanwhile_moves_nobody_yet_and_the_index_is_not_believed(world: World) -> None:
    with settled(world) as (life, following):
        life.most_at_once = 0

        def another_rule() -> None:
            life.do("group_changes", 0, 1, 1)
            place = following.place
            following.step_on(life.connection)
            following.place = place

        asking = asked_of(life.connection, following, another_rule)
        assert asking.moves(TENANT_ID, life.groups[0], DB) is None


def test_who_joined_a_group_that_a_rule_asks_for_is_looked_up(world: World) -> None:
    with settled(world) as (life, following):
        life.do("group_is_made", 9, 1)
        while not following.step_on(life.connection):
            pass
        chosen, chosen_by_hand = life.groups
        life.do("member_joins", 1, 2)

        rule = f"device.memberOf -any (group.objectId -in ['{chosen_by_hand}'])"
        found = asked_of(life.connection, following, lambda: None).moves(TENANT_ID, chosen, rule)

        assert found == Moves(gained=frozenset({device_id(2)}), lost=frozenset({device_id(1)}), members=1)


@pytest.mark.parametrize(
    "change", [("group_is_paused", 0, 1), ("policy_is_made", 1), ("group_goes", 0), ("rules_change", 1)]
)
def test_what_else_changed_is_either_known_or_it_is_not_asked(
    world: World, change: tuple[str, *tuple[int, ...]]
) -> None:
    with settled(world) as (life, following):
        group = life.groups[0]
        life.do(*change)
        truth = preview_rule(life.connection, TENANT_ID, group, parse_rule(DB))

        assert asked_of(life.connection, following, lambda: None).moves(TENANT_ID, group, DB) in {None, truth}


def test_while_devices_are_behind_it_is_not_asked(world: World) -> None:
    with settled(world) as (life, following):
        life.most_at_once = 0
        life.do("group_changes", 0, 1, 1)
        while not following.step_on(life.connection):
            pass
        assert aims.is_open(life.connection, TENANT_ID)

        assert asked_of(life.connection, following, lambda: None).moves(TENANT_ID, life.groups[0], DB) is None


@pytest.mark.parametrize("said", [b"", UNKNOWN, b"\1", b"\1" + bytes(23), b"\1" + bytes(8) + b"\1" + bytes(15), b"{}"])
def test_what_is_no_whole_answer_is_none(world: World, said: bytes) -> None:
    with settled(world) as (life, following):
        asking = replace(asked_of(life.connection, following, lambda: None), ask=lambda _question: said)

        assert asking.moves(TENANT_ID, life.groups[0], DB) is None


@pytest.mark.parametrize("asked", [b"", b"{", b'{"rule":1}', b"[]"])
def test_what_is_no_question_is_not_answered(asked: bytes) -> None:
    assert answered({}, asked) == UNKNOWN


def test_ids_come_back_as_they_are() -> None:
    ids: frozenset[DeviceId] = frozenset({device_id(7)})
    octets = bytes.fromhex(device_id(7).replace("-", ""))

    answer = read_answer(b"\1" + (9).to_bytes(8, "little") + (1).to_bytes(8, "little") + bytes(8) + octets)

    assert answer is not None
    assert (answer.gained, answer.lost, answer.members) == (ids, frozenset(), 9)
