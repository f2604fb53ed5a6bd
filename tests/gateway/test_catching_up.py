"""Changes, check-ins of many devices and two servers that sweep, all at once: nobody waits for ever, all is true."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.support.databases import database
from tests.support.manager_world import World, a_draft, add_tenant, caller
from tests.support.samples import TENANT_ID, CountingIds, HandClock, counted_id, device_id

from shieldwall.catalog.loader import load
from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, GroupId, PolicyId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, Have
from shieldwall.server.directory import groups, membership
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.gateway import catching_up as gateway_catching_up
from shieldwall.server.gateway.catching_up import CatchingUp
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.catching_up import CaughtUp
from shieldwall.server.manager.check_in import Behind, ToAnswer
from shieldwall.server.manager.sweeping import look, sweep
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.records import AssignmentKind

__all__ = ["database"]

_DEVICES: Final = 24
_CHANGES: Final = 12
_RULES: Final = ('device.deviceOSType -eq "Linux"', 'device.displayName -startsWith "device-1"')
_HOLDERS: Final = (counted_id("1", 1), counted_id("1", 2))


class LockedIds(CountingIds):
    """A source of ids for several threads."""

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self) -> str:
        with self.lock:
            return super().__call__()


class Busy:
    """A tenant in which something changes all the time, and what is true of it at the least."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids = LockedIds()
        self.ids.__post_init__()
        self.seq: dict[DeviceId, int] = {}
        self.revision = 0
        """The newest revision of which the commit is over."""
        self.is_over = threading.Event()
        self.failures: list[BaseException] = []
        self.swept = dict.fromkeys(_HOLDERS, 0)
        with world.database.write() as connection:
            self.devices = [world.join(connection, number) for number in range(1, _DEVICES + 1)]
            draft = GroupDraft(display_name="Some", mail_nickname="some", membership_rule=_RULES[0])
            self.group: GroupId = groups.create_group(connection, self.acting, draft).id
            self.policy: PolicyId = world.policies.create(connection, self.acting, a_draft()).id
            everybody = [Assigned(kind=AssignmentKind.ALL_DEVICES)]
            assign(connection, self.acting, self.policy, everybody)
        self.revision = 1

    @property
    def acting(self) -> Acting:
        return replace(self.world.acting, new_id=self.ids, most_at_once=0)

    def changes(self) -> None:
        for number in range(_CHANGES):
            with self.world.database.write() as connection:
                draft = GroupDraft(display_name="Some", mail_nickname="some", membership_rule=_RULES[number % 2])
                groups.update_group(connection, self.acting, self.group, draft)
            with self.world.database.write() as connection:
                edited = a_draft(cloud="true" if number % 2 else "false")
                revision = self.world.policies.update(connection, self.acting, self.policy, edited).revision
            self.revision = revision
        self.is_over.set()

    def sweeps(self, holder: str) -> None:
        while not self.is_over.wait(0.001):
            self.portion(holder)

    def portion(self, holder: str) -> bool:
        """Sweep a portion; say whether there may be another one."""
        with self.world.database.read() as connection:
            looked = look(connection, TENANT_ID, 5)
        if looked is None:
            return False
        with self.world.database.write() as connection:
            reached = sweep(connection, self.acting, looked, holder)
        self.swept[holder] += len(reached or ())
        return True

    def request(self, device: DeviceId) -> CheckInRequest:
        self.seq[device] = self.seq.get(device, 0) + 1
        return CheckInRequest(
            seq=self.seq[device],
            epoch=1,
            instance_id="0" * 32,
            boot_id="boot",
            agent_version="0.1.0",
            protocol=PROTOCOL,
            have=Have(),
        )

    async def checks_in(self, writer: GroupCommit, catching_up: CatchingUp, device: DeviceId) -> None:
        while not self.is_over.is_set():
            request, least = self.request(device), self.revision
            outcome: object = Behind()
            digest = strict_json.digest_of(request)
            for _ in range(20):
                outcome = await writer.submit(
                    lambda connection, request=request, digest=digest: self.world.check_in.record(  # type: ignore[misc]
                        connection, caller(device), request, digest
                    )
                )
                if not isinstance(outcome, Behind):
                    break
                await catching_up.bring(device)
            assert isinstance(outcome, ToAnswer)
            assert outcome.target is not None
            (item,) = outcome.target.items
            assert item.revision >= least, "what was committed before the check-in began is what it is answered by"

    def within(self, *work: object) -> None:
        try:
            work[0](*work[1:])  # type: ignore[operator]
        except BaseException as failure:  # noqa: BLE001 - told by the test
            self.failures.append(failure)
            self.is_over.set()


@pytest.fixture
def busy(database: Database, tmp_path: Path) -> Busy:
    add_tenant(database)
    clock = HandClock()
    signer = InProcessSigner.create(tmp_path / "data", TENANT_ID, clock)
    return Busy(World(database=database, catalog=load(), signer=signer, clock=clock, new_id=CountingIds(1_000_000)))


def test_whatever_happens_at_once_nobody_waits_for_ever_and_each_hears_what_is_true(busy: Busy) -> None:
    threads = [threading.Thread(target=busy.within, args=(busy.sweeps, holder)) for holder in _HOLDERS]
    threads.append(threading.Thread(target=busy.within, args=(busy.changes,)))
    writer = GroupCommit(busy.world.database)
    catching_up = CatchingUp(writer, lambda _: busy.acting)

    async def all_check_in() -> None:
        async with asyncio.TaskGroup() as tasks:
            for device in busy.devices:
                tasks.create_task(busy.checks_in(writer, catching_up, device))

    for thread in threads:
        thread.start()
    try:
        asyncio.run(all_check_in())
    finally:
        busy.is_over.set()
        for thread in threads:
            thread.join(timeout=30)
        writer.close()

    assert busy.failures == []
    assert catching_up.count > 0
    while busy.portion(next(holder for holder in _HOLDERS if busy.swept[holder] == max(busy.swept.values()))):
        busy.world.clock.advance(minutes=1)
    with busy.world.database.write() as connection:
        assert not aims.is_open(connection, TENANT_ID)
        assert retarget(connection, busy.devices, busy.world.clock.now()) == frozenset()
        present = devices.find_many(connection, busy.devices)
        moved = [membership.reevaluate_device(connection, busy.acting, each) for each in present]
        assert moved == [frozenset()] * _DEVICES
        named = {each.id for each in present if each.display_name.startswith("device-1")}
        assert group_members.member_ids(connection, busy.group) == named


def test_a_round_is_one_process_at_a_time_and_another_takes_it_over_when_that_falls_silent(busy: Busy) -> None:
    first, second = _HOLDERS
    with busy.world.database.write() as connection:
        draft = GroupDraft(display_name="Some", mail_nickname="some", membership_rule=_RULES[1])
        groups.update_group(connection, busy.acting, busy.group, draft)
    busy.portion(first)
    busy.portion(second)
    assert busy.swept == {first: 5, second: 0}

    busy.world.clock.advance(minutes=1)
    busy.portion(second)
    assert busy.swept == {first: 5, second: 5}
    busy.portion(first)
    assert busy.swept == {first: 5, second: 5}


def test_a_device_that_breaks_catching_up_holds_up_none_of_those_that_wait_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [device_id(number) for number in range(1, 4)]
    sick, *healthy = waiting

    class AtOnce:
        async def submit(self, work: Callable[[Any], CaughtUp], *, aims: bool) -> CaughtUp:
            assert aims
            return work(None)

    def breaks(_connection: Any, _acting_for: Any, device_ids: Collection[DeviceId], _unmoved: Any) -> CaughtUp:
        if sick in device_ids:
            raise RecursionError("nobody thought of that")
        return CaughtUp(reached=frozenset(device_ids), aimed_anew=frozenset(device_ids))

    monkeypatch.setattr(gateway_catching_up, "catch_up_all", breaks)
    catching_up = CatchingUp(cast("GroupCommit", AtOnce()), cast("Any", None))

    assert asyncio.run(catching_up.bring_all(waiting)) == frozenset(healthy)
