"""Filters, reusable settings, secrets and conflict rules: what is kept comes back, and what is needed cannot go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.storage.test_manager_repositories import a_policy, a_revision, policy_id
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import AssignmentFilterId, ReusableSettingId, SettingId, TenantId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, SimpleCollectionSetting, SimpleValue
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.policies import assignments, filters, policies, reusable_settings, revisions, secrets
from shieldwall.server.storage.records import (
    Assignment,
    AssignmentFilter,
    AssignmentKind,
    FilterKind,
    Page,
    ReusableSetting,
)
from shieldwall.server.storage.tenants import tenants

STRANGER = TenantId("00000000-0000-4000-8000-00000000000b")


def a_filter(number: int = 1, **changes: Any) -> AssignmentFilter:
    fields: dict[str, Any] = {
        "id": AssignmentFilterId(counted_id("1", number)),
        "tenant_id": TENANT_ID,
        "display_name": f"filter-{number}",
        "description": "ünïcode ✓",
        "platform": "linux",
        "rule": 'device.deviceTag -eq "web"',
        "role_scope_tag_ids": ("0", "7"),
        "created_at": NOON,
        "modified_at": NOON + timedelta(milliseconds=1),
    }
    return AssignmentFilter(**(fields | changes))


def a_reusable_setting(number: int = 1, **changes: Any) -> ReusableSetting:
    addresses = tuple(SimpleValue(kind="string", value=text) for text in ("10.0.0.0/8", "::1"))
    fields: dict[str, Any] = {
        "id": ReusableSettingId(counted_id("2", number)),
        "tenant_id": TENANT_ID,
        "display_name": f"addresses-{number}",
        "description": "",
        "setting_definition_id": SettingId("addresses"),
        "setting_instance": SimpleCollectionSetting(definition=SettingId("addresses"), values=addresses),
        "version": 1,
        "created_at": NOON,
        "modified_at": NOON,
    }
    return ReusableSetting(**(fields | changes))


def test_a_filter_comes_back_as_it_was_kept_and_filters_are_listed_page_by_page(tenant_database: Database) -> None:
    made = [a_filter(number) for number in (1, 2, 3)]
    with tenant_database.write() as connection:
        for each in made:
            filters.add(connection, each)

        assert filters.find(connection, made[1].id) == made[1]
        assert filters.list_filters(connection, TENANT_ID, Page(size=2)) == tuple(made[:2])
        assert filters.list_filters(connection, TENANT_ID, Page(after=made[1].id)) == (made[2],)
        changed = a_filter(rule='device.deviceTag -ne "web"')
        filters.put(connection, changed)
        assert filters.find(connection, changed.id) == changed
        filters.remove(connection, changed.id)
        assert filters.find(connection, changed.id) is None
        with pytest.raises(NotFoundError, match=changed.id):
            filters.put(connection, changed)
        with pytest.raises(NotFoundError, match=changed.id):
            filters.remove(connection, changed.id)


def test_an_assignment_keeps_its_filter_and_the_filter_cannot_go(tenant_database: Database) -> None:
    narrowed = Assignment(
        policy_id=policy_id(1),
        kind=AssignmentKind.ALL_DEVICES,
        group_id=None,
        filter_id=a_filter().id,
        filter_kind=FilterKind.EXCLUDE,
    )
    with tenant_database.write() as connection:
        for number in (1, 2):
            filters.add(connection, a_filter(number))
        policies.add(connection, a_policy())
        revisions.add(connection, a_revision())
        assignments.replace(connection, policy_id(1), [narrowed])

        assert assignments.of_policy(connection, policy_id(1)) == (narrowed,)
        assert assignments.of_filter(connection, a_filter().id) == (narrowed,)
        assert assignments.of_filter(connection, a_filter(2).id) == ()
        assert [each.assignment for each in assignments.items_of_tenant(connection, TENANT_ID)] == [narrowed]
        assert filters.list_used(connection, TENANT_ID) == (a_filter(),)
        assert filters.list_used(connection, STRANGER) == ()
    with pytest.raises(StillReferencedError), tenant_database.write() as connection:
        filters.remove(connection, a_filter().id)


def test_a_reusable_setting_comes_back_and_is_counted_where_policies_refer_to_it(tenant_database: Database) -> None:
    made = [a_reusable_setting(number) for number in (1, 2)]
    with tenant_database.write() as connection:
        for each in made:
            reusable_settings.add(connection, each)
        for number in (1, 2):
            policies.add(connection, a_policy(number))
            reusable_settings.refer(connection, policy_id(number), [made[0].id, made[0].id])

        assert reusable_settings.find(connection, made[1].id) == made[1]
        assert reusable_settings.list_settings(connection, TENANT_ID, Page(after=made[0].id)) == (made[1],)
        assert reusable_settings.referring(connection, made[0].id) == (policy_id(1), policy_id(2))
        assert reusable_settings.count_referring(connection, [each.id for each in made]) == {
            made[0].id: 2,
            made[1].id: 0,
        }
        policies.remove(connection, policy_id(2))
        assert reusable_settings.referring(connection, made[0].id) == (policy_id(1),)
        changed = a_reusable_setting(
            2, setting_instance=ChoiceSetting(definition=SettingId("a"), value=ChoiceValue(value="b")), version=2
        )
        reusable_settings.put(connection, changed)
        assert reusable_settings.find(connection, changed.id) == changed
        reusable_settings.remove(connection, changed.id)
        assert reusable_settings.find(connection, changed.id) is None
    with pytest.raises(StillReferencedError), tenant_database.write() as connection:
        reusable_settings.remove(connection, made[0].id)


def test_a_secret_is_found_by_its_token_in_its_own_tenant_alone(tenant_database: Database) -> None:
    token = counted_id("3", 1)
    with tenant_database.write() as connection:
        secrets.add(connection, TENANT_ID, token, "s3cret ✓")

        assert secrets.values_of(connection, TENANT_ID, [token, counted_id("3", 2)]) == {token: "s3cret ✓"}
        assert secrets.values_of(connection, STRANGER, [token]) == {}
        assert secrets.find_token(connection, TENANT_ID, "s3cret ✓") == token
        assert secrets.find_token(connection, STRANGER, "s3cret ✓") is None
        assert secrets.find_token(connection, TENANT_ID, "other") is None


def test_the_conflict_rules_of_a_tenant_are_those_put_last(tenant_database: Database) -> None:
    rules = {ConflictFamily.ANTIVIRUS: ConflictRule.PRIORITY, ConflictFamily.FIREWALL: ConflictRule.NOTHING}
    with tenant_database.write() as connection:
        assert tenants.conflict_rules(connection, TENANT_ID) == {}
        tenants.put_conflict_rules(connection, TENANT_ID, rules)
        assert tenants.conflict_rules(connection, TENANT_ID) == rules
        with pytest.raises(NotFoundError):
            tenants.conflict_rules(connection, STRANGER)
        with pytest.raises(NotFoundError):
            tenants.put_conflict_rules(connection, STRANGER, {})


def test_a_revision_keeps_why_it_was_made_and_what_its_author_wrote(tenant_database: Database) -> None:
    written = (a_reusable_setting().setting_instance,)
    made = a_revision(reason="Audit 7", description="For Oslo", authored=written)
    with tenant_database.write() as connection:
        revisions.add(connection, made)

        assert revisions.get(connection, policy_id(1), 1) == made
        policies.add(connection, a_policy(priority=7))
        assert policies.get(connection, policy_id(1)).priority == 7
