"""A tenant's conflict rules reach every device in its signed manifest."""

from __future__ import annotations

from tests.manager.test_targeting import ALL
from tests.support.manager_world import World, a_draft
from tests.support.samples import TENANT_ID

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.target import target_digest
from shieldwall.server.manager import sync
from shieldwall.server.manager.assignments import assign
from shieldwall.server.manager.conflict_rules import get_rules, replace_rules
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

RULES = {ConflictFamily.ANTIVIRUS: ConflictRule.PRIORITY, ConflictFamily.FIREWALL: ConflictRule.NOTHING}


def test_every_device_is_retargeted_when_the_rules_change_and_back_again(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        published = check_ins.get(connection, device).target_digest
        check_ins.clear_sync(connection, device)
        assert replace_rules(connection, world.acting, RULES) == get_rules(connection, TENANT_ID) == RULES

        changed = check_ins.get(connection, device).target_digest
        assert published is not None
        assert changed is not None
        target = targets.get(connection, TENANT_ID, changed)
        assert target.conflict_rules == RULES
        assert target.items == targets.get(connection, TENANT_ID, published).items
        assert changed == target_digest(target.items, RULES) != published
        assert sync.due(connection, [device]) == {device}

        replace_rules(connection, world.acting, {})
        assert check_ins.get(connection, device).target_digest == published


def test_a_device_that_comes_later_gets_the_rules_too(world: World) -> None:
    with world.database.write() as connection:
        replace_rules(connection, world.acting, RULES)
        target = check_ins.get(connection, world.join(connection, 1)).target_digest

        assert target == target_digest((), RULES)


def test_the_same_rules_again_are_no_change_and_leave_no_trace(world: World) -> None:
    with world.database.write() as connection:
        replace_rules(connection, world.acting, {})
        assert audit.list_events(connection, TENANT_ID, Page()) == ()
        for _ in range(2):
            replace_rules(connection, world.acting, RULES)
        events = audit.list_events(connection, TENANT_ID, Page())

    assert [event.activity for event in events] == ["conflictRules.changed"]
    assert "priority" in events[0].details
