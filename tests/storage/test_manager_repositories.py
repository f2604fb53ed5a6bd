"""The repositories behind the manager: what they keep comes back, and the hot statements never scan a table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.messages import PROTOCOL, ManifestItem
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import digest_of, digest_of_bytes
from shieldwall.contract.target import Target
from shieldwall.server.storage.check_ins import check_ins, standings, statuses, targets
from shieldwall.server.storage.check_ins.check_ins import Known
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.policies import assignments, policies, revisions
from shieldwall.server.storage.records import Assignment, AssignmentKind, Page, Policy, PolicyRevision
from shieldwall.server.storage.tenants import tenants

FIRST, SECOND = digest_of_bytes(b"first"), digest_of_bytes(b"second")
KEY = a_device(1).key_thumbprint


def policy_id(number: int) -> PolicyId:
    return PolicyId(counted_id("a", number))


def a_policy(number: int = 1, **changes: Any) -> Policy:
    rule = GroupValue(
        children=(SimpleSetting(definition=SettingId("port"), value=SimpleValue(kind="integer", value=2**53 - 1)),)
    )
    fields: dict[str, Any] = {
        "id": policy_id(number),
        "tenant_id": TENANT_ID,
        "name": f"Policy {number}, ünïcode ✓",
        "description": "",
        "platforms": "linux",
        "technologies": "microsoftSense",
        "template_id": TemplateId("template_1"),
        "role_scope_tag_ids": ("0", "7"),
        "settings": (
            ChoiceSetting(definition=SettingId("choice"), value=ChoiceValue(value="choice_1")),
            GroupCollectionSetting(definition=SettingId("rules"), values=(rule, GroupValue())),
        ),
        "revision": 1,
        "digest": digest_of_bytes(b"%d" % number),
        "created_at": NOON,
        "modified_at": NOON + timedelta(milliseconds=1),
    }
    return Policy(**(fields | changes))


def a_revision(number: int = 1, revision: int = 1, **changes: Any) -> PolicyRevision:
    fields: dict[str, Any] = {
        "digest": digest_of_bytes(b"%d" % number) if revision == 1 else digest_of_bytes(b"%d.%d" % (number, revision)),
        "policy_id": policy_id(number),
        "revision": revision,
        "length": 17,
        "envelope": b"\x00\xff{}",
        "created_at": NOON,
        "created_by": "ada",
        "tenant_id": TENANT_ID,
    }
    return PolicyRevision(**(fields | changes))


def an_item(number: int = 1) -> ManifestItem:
    return ManifestItem(policy_id=policy_id(number), revision=1, digest=digest_of_bytes(b"%d" % number), length=17)


def join(connection: Connection, number: int, **changes: Any) -> None:
    devices.add(connection, a_device(number, **changes))
    check_ins.add(connection, device_id(number))


def test_a_policy_comes_back_as_it_was_kept(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        policies.add(connection, a_policy())
        assert policies.get(connection, policy_id(1)) == a_policy()

        changed = a_policy(name="other", revision=2, settings=())
        policies.put(connection, changed)
        assert policies.get(connection, policy_id(1)) == changed
        assert policies.find(connection, policy_id(2)) is None


def test_a_policy_that_is_not_there_is_named(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        acts = (
            lambda: policies.get(connection, policy_id(1)),
            lambda: policies.put(connection, a_policy()),
            lambda: policies.remove(connection, policy_id(1)),
        )
        for act in acts:
            with pytest.raises(NotFoundError, match=policy_id(1)):
                act()


def test_revisions_are_found_by_digest_and_number_and_listed_newest_first(tenant_database: Database) -> None:
    made = [a_revision(revision=number) for number in (1, 2, 3)]
    with tenant_database.write() as connection:
        for revision in made:
            revisions.add(connection, revision)

        assert revisions.find_many(connection, [made[1].digest, FIRST]) == {made[1].digest: made[1]}
        assert revisions.get(connection, policy_id(1), 3) == made[2]
        assert revisions.list_revisions(connection, policy_id(1), Page(size=2)) == (made[2], made[1])
        assert revisions.list_revisions(connection, policy_id(1), Page(after="2")) == (made[0],)
        with pytest.raises(NotFoundError):
            revisions.get(connection, policy_id(1), 4)


def test_a_policy_has_no_revision_number_twice(tenant_database: Database) -> None:
    with tenant_database.engine.connect() as connection:
        revisions.add(connection, a_revision())
        with pytest.raises(IntegrityError):
            revisions.add(connection, a_revision(digest=FIRST))
        connection.rollback()


def test_assignments_are_replaced_as_a_whole_and_go_with_their_policy(tenant_database: Database) -> None:
    everybody = Assignment(policy_id=policy_id(1), kind=AssignmentKind.ALL_DEVICES, group_id=None)
    excluded = Assignment(policy_id=policy_id(1), kind=AssignmentKind.EXCLUDE, group_id=group_id(1))
    with tenant_database.write() as connection:
        groups.add(connection, a_group(1))
        policies.add(connection, a_policy())
        revisions.add(connection, a_revision())
        assignments.replace(connection, policy_id(1), [everybody, excluded])

        assert set(assignments.of_policy(connection, policy_id(1))) == {everybody, excluded}
        assert assignments.of_group(connection, group_id(1)) == (excluded,)
        found = assignments.items_of_tenant(connection, TENANT_ID)
        assert {each.assignment for each in found} == {everybody, excluded}
        assert {each.item for each in found} == {an_item()}
        assert assignments.count_other_policies(connection, TENANT_ID, policy_id(2)) == 1
        assert assignments.count_other_policies(connection, TENANT_ID, policy_id(1)) == 0

        assignments.replace(connection, policy_id(1), [everybody])
        assert assignments.of_policy(connection, policy_id(1)) == (everybody,)
        policies.remove(connection, policy_id(1))
        assert assignments.of_policy(connection, policy_id(1)) == ()


def test_a_target_is_kept_once_whatever_the_order_of_its_items(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        digest = targets.keep(connection, TENANT_ID, [an_item(2), an_item(1)])

        assert targets.keep(connection, TENANT_ID, [an_item(1), an_item(2)]) == digest
        assert targets.get(connection, TENANT_ID, digest).items == (an_item(1), an_item(2))
        assert targets.get_many(connection, TENANT_ID, [digest, FIRST]) == {
            digest: Target(items=(an_item(1), an_item(2)))
        }
        with pytest.raises(NotFoundError):
            targets.get(connection, TENANT_ID, FIRST)


def test_the_rules_of_a_tenant_are_part_of_a_target(tenant_database: Database) -> None:
    rules = {ConflictFamily.FIREWALL: ConflictRule.PRIORITY}
    with tenant_database.write() as connection:
        digest = targets.keep(connection, TENANT_ID, [an_item()], rules)

        assert digest != targets.keep(connection, TENANT_ID, [an_item()])
        assert targets.get(connection, TENANT_ID, digest) == Target(items=(an_item(),), conflict_rules=rules)


def test_more_digests_than_one_statement_takes_are_found(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        kept = [targets.keep(connection, TENANT_ID, [an_item(number)]) for number in range(1, 1203)]

        assert len(targets.get_many(connection, TENANT_ID, kept)) == len(kept)


def test_a_report_is_kept_once_and_known_by_its_digest(tenant_database: Database) -> None:
    report = StatusReport(target=FIRST)
    with tenant_database.write() as connection:
        assert statuses.find(connection, TENANT_ID, digest_of(report)) is None
        digest = statuses.keep(connection, TENANT_ID, report)

        assert statuses.keep(connection, TENANT_ID, report) == digest == digest_of(report)
        assert statuses.exists(connection, TENANT_ID, digest)
        assert not statuses.exists(connection, TENANT_ID, FIRST)
        assert statuses.find(connection, TENANT_ID, digest) == report


def test_a_document_is_nobody_elses(tenant_database: Database) -> None:
    other = TenantId(counted_id("1", 1))
    report = StatusReport(target=FIRST)
    with tenant_database.write() as connection:
        tenants.add(connection, a_tenant(id=other, domain="other.example"))
        theirs = statuses.keep(connection, other, report)
        target = targets.keep(connection, other, [an_item()])

        assert not statuses.exists(connection, TENANT_ID, theirs)
        assert statuses.find(connection, TENANT_ID, theirs) is None
        assert targets.get_many(connection, TENANT_ID, [target]) == {}
        with pytest.raises(NotFoundError):
            targets.get(connection, TENANT_ID, target)

        assert statuses.keep(connection, TENANT_ID, report) == theirs
        statuses.remove_unused(connection, TENANT_ID, theirs)
        assert not statuses.exists(connection, TENANT_ID, theirs)
        assert statuses.find(connection, other, theirs) == report


def test_a_report_goes_with_the_last_device_that_points_to_it(tenant_database: Database) -> None:
    first, second = StatusReport(target=FIRST), StatusReport(target=SECOND)
    with tenant_database.write() as connection:
        for number in (1, 2):
            join(connection, number)
            check_ins.set_status(connection, device_id(number), statuses.keep(connection, TENANT_ID, first), NOON)
        check_ins.set_status(connection, device_id(1), statuses.keep(connection, TENANT_ID, second), NOON)
        assert statuses.find(connection, TENANT_ID, digest_of(first)) == first

        check_ins.set_status(connection, device_id(2), digest_of(second), NOON)
        assert not statuses.exists(connection, TENANT_ID, digest_of(first))

        check_ins.set_status(connection, device_id(2), statuses.keep(connection, TENANT_ID, second), NOON)
        assert statuses.find(connection, TENANT_ID, digest_of(second)) == second


def test_a_check_in_takes_a_fresh_number_and_tells_what_is_known(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        join(connection, 1)
        check_ins.set_target(connection, [device_id(1)], FIRST, NOON)
        check_ins.set_facts(connection, device_id(1), SECOND)

        def check_in(epoch: int, seq: int) -> Known | None:
            return check_ins.check_in(connection, device_id(1), key=KEY, epoch=epoch, seq=seq, digest=FIRST, at=NOON)

        assert check_in(1, 5) == Known(FIRST, SECOND, None, DeviceState.ACTIVE, None, PROTOCOL)
        assert check_in(1, 5) is None
        assert check_in(1, 4) is None
        assert check_in(2, 6) is None
        state = check_ins.get(connection, device_id(1))
        assert (state.epoch, state.seq, state.request_digest, state.last_check_in) == (1, 5, FIRST, NOON)
        assert state.sync_requested_at is None


def test_only_a_check_in_answers_a_sync_request(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        join(connection, 1)
        check_ins.request_sync(connection, [device_id(1)], NOON)
        assert check_ins.take_number(connection, device_id(1), key=KEY, epoch=1, seq=1, digest=FIRST, valid_at=NOON)
        state = check_ins.get(connection, device_id(1))

        assert (state.sync_requested_at, state.last_check_in, state.seq) == (NOON, None, 1)
        assert not check_ins.take_number(connection, device_id(1), key=KEY, epoch=1, seq=1, digest=FIRST, valid_at=NOON)


def test_standings_count_active_devices_of_the_tenant_alone(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        for number in (1, 2, 3, 4):
            join(connection, number, state=DeviceState.RETIRED if number == 4 else DeviceState.ACTIVE)
        check_ins.set_target(connection, [device_id(number) for number in (1, 2, 3, 4)], FIRST, NOON)
        check_ins.set_status(connection, device_id(3), SECOND, NOON)
        found = standings.count_by_report(connection, TENANT_ID, [FIRST])

        assert standings.targets_in_use(connection, TENANT_ID) == {FIRST}
        assert {(each.status, each.devices) for each in found} == {(None, 2), (SECOND, 1)}
        listed = standings.list_devices(connection, TENANT_ID, [FIRST], Page(size=2, after=device_id(1)))
        assert [each.device_id for each in listed] == [device_id(2), device_id(3)]
        assert standings.count_by_report(connection, TENANT_ID, [SECOND]) == ()
        assert standings.count_by_report(connection, TENANT_ID, []) == ()


# PostgreSQL plans by the size of tables; the indexes are the same.
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_statement_of_a_check_in_scans_a_table(tenant_database: Database) -> None:
    seen: list[tuple[str, Any]] = []
    with tenant_database.write() as connection:
        join(connection, 1)
        event.listen(connection, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        check_ins.check_in(connection, device_id(1), key=KEY, epoch=1, seq=1, digest=FIRST, at=NOON)
        check_ins.take_number(connection, device_id(1), key=KEY, epoch=1, seq=2, digest=FIRST, valid_at=NOON)
        check_ins.find_answer(connection, device_id(1), 1)
        check_ins.due(connection, [device_id(1)])
        check_ins.set_status(connection, device_id(1), FIRST, NOON)
        check_ins.set_status(connection, device_id(1), SECOND, NOON)
        statuses.exists(connection, TENANT_ID, FIRST)
        targets.present(connection, [device_id(1)])
        digest = targets.keep(connection, TENANT_ID, [])
        targets.get(connection, TENANT_ID, digest)
        statements = tuple(seen)
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            steps = [str(step[3]) for step in plan]  # a list of ids is read as a table of no name
            assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], statement
        assert len(statements) >= 8
