"""Check-ins without news, many at once: the same as one by one, whatever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, text, update
from tests.support.databases import on_postgresql_alone, on_sqlite_alone
from tests.support.manager_world import World, caller
from tests.support.samples import device_id

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, KeyThumbprint
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, Have
from shieldwall.server.gateway.calls import Call, SignedRequest
from shieldwall.server.gateway.quiet_check_ins import QuietCheckIns
from shieldwall.server.manager import sync
from shieldwall.server.manager.check_in import Outcome, Unchanged, bringing_nothing
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins import check_ins, unchanged
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.check_ins.unchanged import Asked
from shieldwall.server.storage.device_records import CheckInState, DeviceState
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.server.storage.tables.schema import devices, tenants
from shieldwall.trust.request_signature import BadSignatureError, RequestSignature

FACTS = DeviceFacts(display_name="laptop", os_type="Linux", os_version="Debian 12")
DEVICES = 3


@dataclass(frozen=True)
class Settled:
    """A device that has told everything and has what it shall have."""

    caller: CallingDevice
    have: Have

    @property
    def id(self) -> DeviceId:
        return self.caller.id

    def request(self, seq: int = 2, *, lacks: Mapping[str, str | None] | None = None, **changes: Any) -> CheckInRequest:
        """Its next check-in; ``lacks`` are digests that it has otherwise."""
        fields: dict[str, Any] = {
            "seq": seq,
            "epoch": 1,
            "instance_id": "0" * 32,
            "boot_id": "boot",
            "agent_version": "0.1.0",
            "protocol": PROTOCOL,
            "have": msgspec.structs.replace(self.have, **(lacks or {})),
        }
        return CheckInRequest(**(fields | changes))

    def asked(self, seq: int = 2, **changes: Any) -> Asked:
        return asked(self.caller, self.request(seq, **changes))


def asked(of: CallingDevice, request: CheckInRequest) -> Asked:
    return bringing_nothing(of, request, strict_json.digest_of(request))


def settled(world: World, connection: Connection, number: int) -> Settled:
    of = Settled(caller(world.join(connection, number)), Have(facts=strict_json.digest_of(FACTS)))
    alone(world, connection, of.caller, of.request(1, facts=FACTS))
    target = check_ins.get(connection, of.id).target_digest
    return replace(of, have=msgspec.structs.replace(of.have, target=target))


def states(connection: Connection) -> dict[DeviceId, CheckInState]:
    return check_ins.find_many(connection, [device_id(number) for number in range(1, DEVICES + 1)])


def alone(
    world: World, connection: Connection, of: CallingDevice, request: CheckInRequest
) -> Outcome | type[Exception]:
    savepoint = connection.begin_nested()
    try:
        outcome = world.check_in.record(connection, of, request, strict_json.digest_of(request))
    except ShieldwallError as refused:
        savepoint.rollback()
        return type(refused)
    savepoint.commit()
    return outcome


def together(
    world: World, connection: Connection, sent: Sequence[tuple[CallingDevice, CheckInRequest]]
) -> list[Outcome | type[Exception]]:
    """What the gateway does: all of them at once, then each alone that was left out."""
    taken = unchanged.take(connection, [asked(*each) for each in sent], world.clock.now())
    return [
        Unchanged() if was_taken else alone(world, connection, *each)
        for was_taken, each in zip(taken, sent, strict=True)
    ]


def test_those_to_whom_there_is_nothing_to_say_are_taken_at_once(world: World) -> None:
    with world.database.write() as connection:
        all_of_them = [settled(world, connection, number) for number in range(1, 21)]
        sync.request_sync(connection, [each.id for each in all_of_them], world.clock.now())
        world.clock.advance(minutes=90)
        assert unchanged.take(connection, [each.asked() for each in all_of_them], world.clock.now()) == [True] * 20
        after = check_ins.find_many(connection, [each.id for each in all_of_them])
    assert {(each.seq, each.last_check_in, each.sync_requested_at) for each in after.values()} == {
        (2, world.clock.now(), None)
    }
    assert {each.request_digest for each in after.values()} == {strict_json.digest_of(all_of_them[0].request())}


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 1},
        {"epoch": 2},
        {"epoch": 0},
        {"instance_id": "1" * 32},
        {"boot_id": "another"},
        {"protocol": 1},
        {"lacks": {"target": None}},
        {"lacks": {"target": "e" * 64}},
        {"lacks": {"facts": None}},
        {"lacks": {"facts": "e" * 64}},
        {"lacks": {"status": "e" * 64}},
    ],
    ids=str,
)
def test_nothing_is_touched_of_those_to_whom_there_is(world: World, changes: dict[str, Any]) -> None:
    with world.database.write() as connection:
        of = settled(world, connection, 1)
        before = states(connection)
        assert unchanged.take(connection, [of.asked(**changes)], world.clock.now()) == [False]
        assert states(connection) == before


@pytest.mark.parametrize(
    "values", [{"state": "disabled"}, {"state": "pending"}, {"certificate_expires_at": 0}], ids=str
)
def test_nothing_is_taken_of_who_may_not_speak(world: World, values: dict[str, Any]) -> None:
    with world.database.write() as connection:
        of = settled(world, connection, 1)
        expires = {"certificate_expires_at": world.clock.now()} if "certificate_expires_at" in values else {}
        connection.execute(update(devices).where(devices.c.id == of.id).values(values | expires))
        assert unchanged.take(connection, [of.asked()], world.clock.now()) == [False]


def test_nothing_is_taken_with_another_key_nor_from_who_is_behind(world: World) -> None:
    with world.database.write() as connection:
        of = settled(world, connection, 1)
        former = replace(of.caller, key=KeyThumbprint("f" * 43))
        assert unchanged.take(connection, [asked(former, of.request())], world.clock.now()) == [False]
        connection.execute(
            update(tenants).where(tenants.c.id == of.caller.tenant_id).values(aims_version=tenants.c.aims_version + 1)
        )
        assert unchanged.take(connection, [of.asked()], world.clock.now()) == [False]


def test_of_several_of_one_device_only_the_first_is_looked_at(world: World) -> None:
    with world.database.write() as connection:
        one, other = settled(world, connection, 1), settled(world, connection, 2)
        sent = [one.asked(2), other.asked(2), one.asked(3)]
        assert unchanged.take(connection, sent, world.clock.now()) == [True, True, False]
        assert {each.seq for each in states(connection).values()} == {2}


def test_nothing_asked_is_nothing_taken(world: World) -> None:
    with world.database.write() as connection:
        assert unchanged.take(connection, [], world.clock.now()) == []


_LACKS: st.SearchStrategy[dict[str, str | None]] = st.sampled_from(
    [{}, {}, {"target": None}, {"facts": None}, {"target": "a" * 64}, {"status": "b" * 64}]
)
_SENT = st.lists(
    st.tuples(
        st.integers(1, DEVICES),
        st.fixed_dictionaries(
            {"seq": st.integers(1, 6), "epoch": st.integers(1, 2), "lacks": _LACKS},
            optional={
                "boot_id": st.sampled_from(["boot", 'a "quoted" \\ one\n']),
                "protocol": st.integers(1, PROTOCOL + 1),
            },
        ),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    batches=st.lists(_SENT, max_size=4),
    state=st.sampled_from([DeviceState.ACTIVE, DeviceState.LEAVING, DeviceState.DISABLED]),
)
def test_together_is_the_same_as_one_by_one(
    world: World, batches: list[list[tuple[int, dict[str, Any]]]], state: DeviceState
) -> None:
    def story(connection: Connection, *, at_once: bool) -> tuple[list[Any], dict[DeviceId, CheckInState]]:
        callers = {number: settled(world, connection, number) for number in range(1, DEVICES + 1)}
        connection.execute(update(devices).where(devices.c.id == device_id(1)).values(state=state.value))
        outcomes: list[Any] = []
        for batch in batches:
            sent = [(callers[number].caller, callers[number].request(**fields)) for number, fields in batch]
            if at_once:
                outcomes += together(world, connection, _in_turn(sent))
            else:
                outcomes += [alone(world, connection, *each) for each in _in_turn(sent)]
        return outcomes, states(connection)

    with world.undone() as connection:
        one_by_one = story(connection, at_once=False)
    with world.undone() as connection:
        at_once = story(connection, at_once=True)
    assert at_once == one_by_one


def _in_turn(sent: Iterable[tuple[CallingDevice, CheckInRequest]]) -> list[tuple[CallingDevice, CheckInRequest]]:
    """The order in which they are looked at: those that wait for the first of their device come after all firsts."""
    firsts: dict[DeviceId, tuple[CallingDevice, CheckInRequest]] = {}
    others = [each for each in sent if firsts.setdefault(each[0].id, each) is not each]
    return [*firsts.values(), *others]


def test_whatever_keeps_them_from_being_taken_together_each_is_decided_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.database.write() as connection:
        of = [settled(world, connection, number) for number in (1, 2)]

    def broken(*_: Any) -> list[bool]:
        raise LookupError("nobody thought of this")

    writer = GroupCommit(world.database)

    sent = [signed(each.caller, each.request(2)) for each in of]
    with monkeypatch.context() as changed:
        changed.setattr(unchanged, "take", broken)
        assert left_by(world, writer, sent) == [each.caller for each in of]
    before = writer.commits, writer.acknowledged
    assert left_by(world, writer, sent) == [None, None]
    assert (writer.commits, writer.acknowledged) == (before[0] + 1, before[1] + 2)
    writer.close()


def test_a_database_that_does_not_answer_is_told_to_those_who_need_it_and_to_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.database.write() as connection:
        quiet, talking = [settled(world, connection, number) for number in (1, 2)]
    stranger = replace(quiet.caller, key=KeyThumbprint("x" * 43))
    writer = GroupCommit(world.database)

    def gone(*_: Any) -> list[bool]:
        raise StorageUnavailableError("gone")

    monkeypatch.setattr(unchanged, "take", gone)
    outcomes = left_by(
        world,
        writer,
        [
            signed(stranger, quiet.request(2)),
            signed(talking.caller, talking.request(2, facts=FACTS)),
            signed(quiet.caller, quiet.request(2)),
        ],
    )
    writer.close()
    refused, left, waits = outcomes
    assert isinstance(refused, BadSignatureError)
    assert left == talking.caller
    assert isinstance(waits, StorageUnavailableError)


def signed(of: CallingDevice, request: CheckInRequest) -> SignedRequest:
    """A check-in as it came, whose signature says no more than which key it names."""
    signature = RequestSignature(
        keyid=of.key,
        created=0,
        expires=0,
        nonce="",
        content_type="",
        content_digest="",
        parameters="",
        signature=b"",
    )
    body = strict_json.encode(request)
    return SignedRequest(signature=signature, method="POST", authority="", path="", query="", body=body)


def call(sent: SignedRequest) -> Call:
    async def never() -> None:
        await asyncio.Event().wait()

    return Call(request_id="", client="", parameters={}, body=sent.body, disconnected=never, signed=sent)


def left_by(
    world: World, writer: GroupCommit, sent: Sequence[SignedRequest]
) -> list[CallingDevice | BaseException | None]:
    """What becomes of check-ins that come at the same time; the keys of the three devices are known."""
    known = {each.key: each for each in map(caller, map(device_id, range(1, DEVICES + 1)))}

    async def callers_of(requests: Sequence[SignedRequest]) -> Sequence[CallingDevice | BadSignatureError]:
        return [known.get(each.signature.keyid, BadSignatureError("The key is not registered.")) for each in requests]

    async def story() -> list[CallingDevice | BaseException | None]:
        quiet = QuietCheckIns(callers_of, writer, world.clock)
        calls = [call(each) for each in sent]
        return await asyncio.gather(*map(quiet.left_by, calls), return_exceptions=True)

    return asyncio.run(story())


@on_sqlite_alone
def test_each_check_in_changes_bytes_so_that_sqlite_truly_writes_it(world: World) -> None:
    """SQLite leaves out writing a page that stays as it is: whatever is measured has to have changed one."""
    with world.database.write() as connection:
        of = settled(world, connection, 1)
        connection.execute(text("PRAGMA wal_autocheckpoint = 0"))
    log = Path(f"{world.database.engine.url.database}-wal")
    sizes = []
    for seq in (2, 3, 4):
        with world.database.write() as connection:
            assert unchanged.take(connection, [of.asked(seq)], world.clock.now()) == [True]
        sizes.append(log.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


@on_postgresql_alone
def test_postgresql_looks_at_devices_one_by_one_whatever_it_believes_of_their_number(world: World) -> None:
    def of_devices(node: dict[str, Any]) -> list[str]:
        own = [node["Parent Relationship"]] if node.get("Relation Name") == "devices" else []
        return own + [found for child in node.get("Plans", []) for found in of_devices(child)]

    with world.database.write() as connection:
        of = [settled(world, connection, number) for number in range(1, 4)]
        statements: list[tuple[str, Any]] = []
        event.listen(connection, "before_cursor_execute", lambda *sent: statements.append((sent[2], sent[3])))
        assert unchanged.take(connection, [each.asked() for each in of], world.clock.now()) == [True] * 3
        statement, values = statements[0]
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    assert of_devices(plan[0]["Plan"]) == ["SubPlan"]
