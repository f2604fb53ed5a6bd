from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, select
from tests.support.manager_world import World, a_draft, caller
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, Digest, PolicyId
from shieldwall.contract.messages import (
    PROTOCOL,
    CheckInAnswer,
    CheckInRequest,
    DeviceFacts,
    FetchRequest,
    Have,
    WaitRequest,
)
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory import groups as directory_groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager import sync
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.check_in import (
    AnsweredBefore,
    CheckIn,
    Outcome,
    ToAnswer,
    Unchanged,
    next_check_in_seconds,
)
from shieldwall.server.manager.fetch import fetch
from shieldwall.server.manager.sequence import SequenceConflictError
from shieldwall.server.manager.turns import DeviceNotActiveError
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.tables.schema import status_documents
from shieldwall.trust.verification import open_manifest, open_policy

FACTS = DeviceFacts(display_name="laptop", os_type="Linux", os_version="Debian 12")
ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)


def a_report(reason: str = "", target: Digest | None = None) -> StatusReport:
    status = SettingStatus(setting=a_draft().settings[0].definition, state=SettingState.SUCCEEDED, reason=reason)
    return StatusReport(target=target, settings=(status,))


@dataclass
class Laptop:
    """A device that keeps its side of the protocol."""

    world: World
    id: DeviceId
    seq: int = 0
    have: Have = field(default_factory=Have)
    manifest_version: int = 0

    @property
    def use(self) -> CheckIn:
        return self.world.check_in

    def request(self, **changes: Any) -> CheckInRequest:
        self.seq += 1
        fields: dict[str, Any] = {
            "seq": self.seq,
            "epoch": 1,
            "instance_id": "0" * 32,
            "boot_id": "boot",
            "agent_version": "0.1.0",
            "protocol": PROTOCOL,
            "have": self.have,
        }
        return CheckInRequest(**(fields | changes))

    def send(self, connection: Connection, request: CheckInRequest) -> Outcome:
        return self.use.record(connection, caller(self.id), request, strict_json.digest_of(request))

    def check_in(self, connection: Connection, **changes: Any) -> CheckInAnswer | None:
        """The whole exchange: record, answer, keep; the device takes the manifest that it gets."""
        outcome = self.send(connection, self.request(**changes))
        if isinstance(outcome, Unchanged):
            return None
        assert isinstance(outcome, ToAnswer)
        body = self.use.answer(outcome)
        self.use.keep(connection, outcome, body)
        answer = strict_json.decode(body, CheckInAnswer)
        self.take(answer)
        return answer

    def take(self, answer: CheckInAnswer) -> None:
        if answer.manifest is None:
            return
        manifest = open_manifest(
            answer.manifest,
            self.world.signer.trust_root(),
            tenant_id=TENANT_ID,
            device_id=self.id,
            device_key=caller(self.id).key,
            last_version=self.manifest_version,
            now=self.world.clock.now(),
        )
        self.manifest_version = manifest.manifest_version
        self.have = msgspec.structs.replace(self.have, target=manifest.target)

    def settle(self, connection: Connection) -> None:
        """Tell everything once and take what there is."""
        report = a_report()
        self.have = Have(facts=strict_json.digest_of(FACTS), status=strict_json.digest_of(report))
        self.check_in(connection, facts=FACTS, report=report)
        assert self.check_in(connection) is None


@pytest.fixture
def laptop(world: World) -> Laptop:
    with world.database.write() as connection:
        return Laptop(world, world.join(connection, 1))


def assign_to_all(world: World, connection: Connection, **changes: Any) -> PolicyId:
    policy = world.policies.create(connection, world.acting, a_draft(**changes))
    assign(connection, world.acting, policy.id, [ALL])
    return policy.id


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        seen.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    yield seen
    event.remove(connection, "before_cursor_execute", note)


def test_a_check_in_without_news_is_one_statement_on_one_row(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        world.clock.advance(minutes=90)
        with statements(connection) as seen:
            outcome = laptop.send(connection, laptop.request())

        assert outcome == Unchanged()
        assert len(seen) == 1
        assert seen[0].startswith("UPDATE check_ins")
        assert check_ins.get(connection, laptop.id).last_check_in == world.clock.now()


def test_an_old_revision_gets_the_policy_and_the_device_can_fetch_it(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        policy = assign_to_all(world, connection)
        answer = laptop.check_in(connection)

        assert answer is not None
        assert answer.manifest is not None
        assert answer.want == ()
        assert laptop.check_in(connection) is None
        item = open_manifest(
            answer.manifest,
            world.signer.trust_root(),
            tenant_id=TENANT_ID,
            device_id=laptop.id,
            device_key=caller(laptop.id).key,
            last_version=0,
            now=world.clock.now(),
        ).items[0]
        laptop.seq += 1
        request = FetchRequest(seq=laptop.seq, epoch=1, digests=(item.digest,))
        fetched = fetch(connection, caller(laptop.id), request, strict_json.digest_of(request), world.clock.now())

        assert open_policy(fetched.policies[0], world.signer.trust_root(), item, TENANT_ID).policy_id == policy


def test_a_policy_taken_away_is_taken_away_from_the_device(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        policy = assign_to_all(world, connection)
        laptop.settle(connection)
        world.policies.delete(connection, world.acting, policy)
        answer = laptop.check_in(connection)

        assert answer is not None
        assert answer.manifest is not None
        assert laptop.have.target == strict_json.digest_of(())


def test_what_another_device_shall_enforce_cannot_be_fetched(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        group = world.group(connection, 1, world.join(connection, 2))
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group)])
        for digest in (policy.digest, strict_json.digest_of("nowhere")):
            laptop.seq += 1
            request = FetchRequest(seq=laptop.seq, epoch=1, digests=(digest,))
            with pytest.raises(NotFoundError, match="for this device"):
                fetch(connection, caller(laptop.id), request, strict_json.digest_of(request), world.clock.now())


def test_a_lost_answer_comes_again_byte_for_byte(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        assign_to_all(world, connection)
        request = laptop.request()
        outcome = laptop.send(connection, request)
        assert isinstance(outcome, ToAnswer)
        body = laptop.use.answer(outcome)
        laptop.use.keep(connection, outcome, body)
        before = check_ins.get(connection, laptop.id)
        world.clock.advance(minutes=1)

        assert laptop.send(connection, request) == AnsweredBefore(body=body)
        assert check_ins.get(connection, laptop.id) == before


def test_an_answer_that_was_never_kept_is_made_again_without_a_second_effect(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        assign_to_all(world, connection)
        request = laptop.request(facts=FACTS, report=a_report())
        first = laptop.send(connection, request)
        before = check_ins.get(connection, laptop.id)
        world.clock.advance(minutes=1)

        assert laptop.send(connection, request) == first
        assert check_ins.get(connection, laptop.id) == before


def test_the_first_answer_kept_for_a_number_stays_and_the_next_number_replaces_it(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        check_ins.keep_answer(connection, laptop.id, 1, b"first")
        check_ins.keep_answer(connection, laptop.id, 1, b"second")
        assert check_ins.find_answer(connection, laptop.id, 1) == b"first"

        check_ins.keep_answer(connection, laptop.id, 2, b"third")
        check_ins.keep_answer(connection, laptop.id, 1, b"late")
        assert check_ins.find_answer(connection, laptop.id, 1) is None
        assert check_ins.find_answer(connection, laptop.id, 2) == b"third"


@pytest.mark.parametrize("change", [{"seq": 1}, {"seq": 2, "boot_id": "other"}, {"seq": 3, "epoch": 2}])
def test_a_conflicting_number_is_refused_and_nothing_of_it_is_kept(
    world: World, laptop: Laptop, change: dict[str, Any]
) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        before, device = check_ins.get(connection, laptop.id), devices.get(connection, laptop.id)
        facts, report = msgspec.structs.replace(FACTS, display_name="evil"), a_report("evil")
        with pytest.raises(SequenceConflictError):
            laptop.send(connection, laptop.request(facts=facts, report=report, **change))

        assert check_ins.get(connection, laptop.id) == before
        assert devices.get(connection, laptop.id) == device
        assert not statuses.exists(connection, TENANT_ID, strict_json.digest_of(report))


@pytest.mark.parametrize("retired", [True, False])
def test_a_device_that_left_or_was_disabled_is_refused_at_once(world: World, laptop: Laptop, retired: bool) -> None:
    with world.database.write() as connection:
        request = laptop.request()
        laptop.send(connection, request)
        if retired:
            directory.retire(connection, world.acting, laptop.id)
        else:
            directory.set_enabled(connection, world.acting, laptop.id, enabled=False)
        before = check_ins.get(connection, laptop.id)
        for again in (request, laptop.request()):
            with pytest.raises(DeviceNotActiveError):
                laptop.send(connection, again)
        wait = WaitRequest(seq=9, epoch=1, seconds=1)
        with pytest.raises(DeviceNotActiveError):
            sync.start_waiting(connection, caller(laptop.id), wait, strict_json.digest_of(wait), world.clock.now())

        assert check_ins.get(connection, laptop.id) == before


def test_a_device_that_is_not_here_any_more_is_told_no_more_than_a_stranger(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection, pytest.raises(DeviceNotActiveError):
        replace(laptop, id=device_id(99)).send(connection, laptop.request())


def test_what_the_server_does_not_know_it_asks_for(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        unknown = strict_json.digest_of("unknown")

        answer = laptop.check_in(connection, have=msgspec.structs.replace(laptop.have, facts=unknown))
        assert answer is not None
        assert answer.want == ("facts",)
        answer = laptop.check_in(connection, have=msgspec.structs.replace(laptop.have, status=unknown))
        assert answer is not None
        assert answer.want == ("report",)
        assert answer.manifest is None


def test_facts_that_move_a_device_into_a_group_bring_its_policies_in_the_same_answer(
    world: World, laptop: Laptop
) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        rule = 'device.deviceOSVersion -eq "Debian 13"'
        draft = GroupDraft(display_name="New", mail_nickname="new", membership_rule=rule)
        group = directory_groups.create_group(connection, world.acting, draft)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group.id)])
        assert laptop.check_in(connection) is None

        upgraded = msgspec.structs.replace(FACTS, os_version="Debian 13")
        laptop.have = msgspec.structs.replace(laptop.have, facts=strict_json.digest_of(upgraded))
        answer = laptop.check_in(connection, facts=upgraded)

        assert answer is not None
        assert answer.manifest is not None
        assert devices.get(connection, laptop.id).os_version == "Debian 13"
        assert sync.due(connection, [laptop.id]) == frozenset()
        assert laptop.check_in(connection) is None


def test_equal_reports_of_many_devices_are_kept_once_and_travel_once(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        world.clock.advance(minutes=1)
        other = Laptop(world, world.join(connection, 2), have=laptop.have)
        other.check_in(connection, facts=FACTS)

        state = check_ins.get(connection, other.id)
        assert state.status_digest == strict_json.digest_of(a_report())
        assert state.status_at == world.clock.now()
        third = Laptop(world, world.join(connection, 3))
        third.settle(connection)
        ours = select(func.count()).where(status_documents.c.tenant_id == TENANT_ID)
        assert connection.execute(ours).scalar_one() == 1


def test_a_sync_request_is_due_until_the_device_checks_in(world: World, laptop: Laptop) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        other = world.join(connection, 2)
        assert sync.request_sync(connection, [laptop.id, device_id(99)], world.clock.now()) == 1

        assert laptop.id in sync.due(connection, [laptop.id, other])
        assert sync.due(connection, []) == frozenset()
        laptop.check_in(connection)
        assert sync.due(connection, [laptop.id]) == frozenset()


def test_the_way_to_the_next_check_in_is_ninety_minutes_spread_by_ten_per_cent() -> None:
    waits = [next_check_in_seconds(device_id(number)) for number in range(500)]

    assert min(waits) >= 4_860
    assert max(waits) <= 5_940
    assert len(set(waits)) > 250


_REQUESTS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 5), st.sampled_from(["a", "b"])), max_size=25
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(requests=_REQUESTS)
def test_every_number_of_every_device_has_at_most_one_effect(
    world: World, requests: list[tuple[int, int, int, str]]
) -> None:
    with world.undone() as connection:
        laptops = {number: Laptop(world, world.join(connection, number)) for number in (1, 2)}
        effects: dict[tuple[int, int, int], str] = {}
        for number, epoch, seq, body in requests:
            laptop = laptops[number]
            before = {each: check_ins.get(connection, laptops[each].id) for each in laptops}
            request = laptop.request(epoch=epoch, seq=seq, report=a_report(f"{number} {epoch} {seq} {body}"))
            try:
                outcome = laptop.send(connection, request)
            except SequenceConflictError:
                outcome = None
            after = {each: check_ins.get(connection, laptops[each].id) for each in laptops}
            if after != before:
                assert outcome is not None
                assert (number, epoch, seq) not in effects
                assert after[number].status_digest == strict_json.digest_of(request.report)
                effects[number, epoch, seq] = body
            elif outcome is not None:
                assert effects[number, epoch, seq] == body, "only a repeat is answered without an effect"
            del before[number], after[number]
            assert after == before, "nobody else is touched"


def test_check_ins_that_arrive_together_share_a_commit_and_a_bad_one_harms_no_other(world: World) -> None:
    with world.database.write() as connection:
        laptops = [Laptop(world, world.join(connection, number)) for number in range(1, 21)]
    requests = [laptop.request(epoch=2 if laptop.id == device_id(7) else 1) for laptop in laptops]
    commit = GroupCommit(world.database)

    async def all_at_once() -> list[Outcome | BaseException]:
        def sending(laptop: Laptop, request: CheckInRequest) -> Any:
            return commit.submit(lambda connection: laptop.send(connection, request))

        return await asyncio.gather(*map(sending, laptops, requests), return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    commit.close()

    assert [type(outcome) for outcome in outcomes].count(SequenceConflictError) == 1
    assert isinstance(outcomes[6], SequenceConflictError)
    with world.database.read() as connection:
        seqs = [check_ins.get(connection, laptop.id).seq for laptop in laptops]
    assert seqs == [1] * 6 + [0] + [1] * 13


def test_what_no_rule_can_ask_for_asks_no_group_whether_a_device_belongs(
    world: World, laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[DeviceId] = []
    monkeypatch.setattr(
        "shieldwall.server.manager.check_in.reevaluate_device",
        lambda _connection, _acting, device: asked.append(device.id),
    )
    with world.database.write() as connection:
        laptop.settle(connection)
        laptop.have = msgspec.structs.replace(laptop.have, facts=strict_json.digest_of(FACTS))
        laptop.check_in(connection, facts=FACTS)
        asked.clear()
        for said in ({"providers": {"mdatp": "101"}}, {"catalog_version": "2027.1"}, {"architecture": "riscv64"}):
            facts = msgspec.structs.replace(FACTS, **said)
            laptop.have = msgspec.structs.replace(laptop.have, facts=strict_json.digest_of(facts))
            laptop.check_in(connection, facts=facts)
        assert asked == []

        for said in ({"os_version": "Debian 13"}, {"os_version": "Debian 13", "agent_version": "9.9"}):
            laptop.check_in(connection, facts=msgspec.structs.replace(FACTS, **said))
        assert asked == [laptop.id] * 2
