"""What policies refer to changes in one place and reaches every device, or is refused as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.manager.test_references import address_group, refer
from tests.manager.test_targeting import ALL
from tests.support.manager_world import World
from tests.support.policies import FIREWALL_RULES, RULES, firewall_rule, items, texts
from tests.support.samples import TENANT_ID

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract.ids import DeviceId, ReusableSettingId, TenantId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.manager.assignments import assign
from shieldwall.server.manager.policies import PolicyDraft, document_of, draft_of, get_policy, history
from shieldwall.server.manager.reusable_settings import (
    InvalidReusableSettingError,
    ReusableDraft,
    ReusableSettings,
    draft_of_setting,
    get_setting,
    list_settings,
    reference_counts,
    referring_policies,
)
from shieldwall.server.manager.revisions import get_revision
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import Page

OFFICES = ReusableDraft(display_name="Offices", setting_instance=address_group("192.0.2.0/24"))
STRANGER = TenantId("00000000-0000-4000-8000-00000000000b")


def authoring(world: World) -> ReusableSettings:
    return ReusableSettings(catalog=world.catalog, signatures=world.signer)


def a_rule_draft(*named: str, name: str = "Rules") -> PolicyDraft:
    rule = firewall_rule("ssh", "allow", refer(f"{RULES}_item_remoteaddressgroups", *named))
    return PolicyDraft(
        name=name,
        platforms="linux",
        technologies="microsoftSense",
        template_id=FIREWALL_RULES,
        settings=(items(RULES, rule),),
    )


def allowed_from(*addresses: str) -> tuple[SettingInstance, ...]:
    return (items(RULES, firewall_rule("ssh", "allow", texts(f"{RULES}_item_remoteaddresses", *addresses))),)


def sent_to(connection: Connection, device: DeviceId) -> tuple[SettingInstance, ...]:
    target = check_ins.get(connection, device).target_digest
    assert target is not None
    (item,) = targets.get(connection, TENANT_ID, target).items
    return document_of(revisions.find_many(connection, [item.digest])[item.digest]).settings


def test_devices_get_addresses_and_authors_their_references_back(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        made = authoring(world).create(connection, world.acting, OFFICES)
        policy = world.policies.create(connection, world.acting, a_rule_draft(made.id))
        assign(connection, world.acting, policy.id, [ALL])

        assert sent_to(connection, device) == allowed_from("192.0.2.0/24")
        assert draft_of(get_policy(connection, TENANT_ID, policy.id)) == a_rule_draft(made.id)
        kept = get_revision(connection, TENANT_ID, policy.id, 1)
        assert kept.draft == a_rule_draft(made.id)
        assert kept.document.settings == allowed_from("192.0.2.0/24")
        assert world.policies.update(connection, world.acting, policy.id, a_rule_draft(made.id)) == policy


def test_a_change_publishes_every_policy_that_refers_to_it_and_says_why(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        made, other = (authoring(world).create(connection, world.acting, OFFICES) for _ in range(2))
        policy = world.policies.create(connection, world.acting, a_rule_draft(made.id))
        beside = world.policies.create(connection, world.acting, a_rule_draft(other.id, name="Beside"))
        assign(connection, world.acting, policy.id, [ALL])
        world.clock.advance(minutes=1)
        wider = replace(OFFICES, setting_instance=address_group("192.0.2.0/24", "2001:db8::/32"))
        changed = authoring(world).update(connection, world.acting, made.id, wider, reason="A new office")

        assert (changed.version, changed.modified_at) == (2, world.clock.now())
        assert sent_to(connection, device) == allowed_from("192.0.2.0/24", "2001:db8::/32")
        newest = history(connection, TENANT_ID, policy.id, Page())[0]
        assert (newest.revision, newest.reason) == (2, "The reusable setting Offices has changed: A new office")
        assert get_policy(connection, TENANT_ID, beside.id) == beside


def test_another_name_publishes_nothing(world: World) -> None:
    with world.database.write() as connection:
        made = authoring(world).create(connection, world.acting, OFFICES)
        policy = world.policies.create(connection, world.acting, a_rule_draft(made.id))
        renamed = authoring(world).update(connection, world.acting, made.id, replace(OFFICES, display_name="Other"))

        assert renamed.version == 2
        assert get_policy(connection, TENANT_ID, policy.id) == policy
        assert authoring(world).update(connection, world.acting, made.id, draft_of_setting(renamed)) == renamed


def test_a_change_that_a_policy_could_not_follow_is_refused_and_names_it(world: World) -> None:
    with world.database.write() as connection:
        made = authoring(world).create(connection, world.acting, OFFICES)
        blocking = replace(
            a_rule_draft(name="Blocks"),
            settings=(
                items(RULES, firewall_rule("all", "block", refer(f"{RULES}_item_remoteaddressgroups", made.id))),
            ),
        )
        policy = world.policies.create(connection, world.acting, blocking)
    everywhere = replace(OFFICES, setting_instance=address_group("0.0.0.0/0", "::/0"))
    with (
        pytest.raises(InvalidReusableSettingError, match="'Blocks'") as refused,
        world.database.write() as connection,
    ):
        authoring(world).update(connection, world.acting, made.id, everywhere)

    assert [finding.code for finding in refused.value.findings] == ["blocksEverything"]
    with world.database.read() as connection:
        assert get_setting(connection, TENANT_ID, made.id) == made
        assert get_policy(connection, TENANT_ID, policy.id) == policy


def test_a_policy_that_its_groups_make_impossible_is_refused_when_it_is_saved(world: World) -> None:
    with world.database.write() as connection:
        everywhere = replace(OFFICES, setting_instance=address_group("0.0.0.0/0"))
        made = authoring(world).create(connection, world.acting, everywhere)
        rule = firewall_rule("all", "block", refer(f"{RULES}_item_remoteaddressgroups", made.id))
        with pytest.raises(InvalidPolicyError, match="With the reusable settings in their places"):
            world.policies.create(connection, world.acting, replace(a_rule_draft(), settings=(items(RULES, rule),)))


def test_a_reference_to_nothing_or_to_another_tenants_is_a_finding(world: World) -> None:
    with world.database.write() as connection:
        made = authoring(world).create(connection, world.acting, OFFICES)
        for named in (ReusableSettingId("22222222-0000-4000-8000-000000000009"), made.id):
            acting = world.acting if named != made.id else replace(world.acting, tenant_id=STRANGER)
            with pytest.raises(InvalidPolicyError) as refused:
                world.policies.create(connection, acting, a_rule_draft(named))
            assert [finding.code for finding in refused.value.findings] == ["unknownReference"]


def test_what_policies_refer_to_cannot_be_deleted_and_is_counted(world: World) -> None:
    with world.database.write() as connection:
        made = authoring(world).create(connection, world.acting, OFFICES)
        policy = world.policies.create(connection, world.acting, a_rule_draft(made.id))
        assert reference_counts(connection, [made.id]) == {made.id: 1}
        assert referring_policies(connection, TENANT_ID, made.id) == (policy,)
    with pytest.raises(StillReferencedError), world.database.write() as connection:
        authoring(world).delete(connection, world.acting, made.id)
    with world.database.write() as connection:
        world.policies.update(
            connection, world.acting, policy.id, replace(a_rule_draft(), settings=allowed_from("192.0.2.1"))
        )
        assert reference_counts(connection, [made.id]) == {made.id: 0}
        authoring(world).delete(connection, world.acting, made.id)
        with pytest.raises(NotFoundError):
            get_setting(connection, TENANT_ID, made.id)
        with pytest.raises(InvalidPolicyError):
            world.policies.rollback(connection, world.acting, policy.id, 1)


@pytest.mark.parametrize(
    ("draft", "path", "code"),
    [
        (replace(OFFICES, display_name=""), "displayName", "invalidName"),
        (replace(OFFICES, description="\x00"), "description", "tooLong"),
        (replace(OFFICES, setting_instance=address_group()), "settingInstance.children[0]", "wrongCount"),
        (replace(OFFICES, setting_instance=texts("no_such")), "settingInstance.definition", "unknownSetting"),
        (replace(OFFICES, setting_instance=items(RULES)), "settingInstance.definition", "notReusable"),
    ],
)
def test_a_reusable_setting_that_cannot_be_is_refused_by_its_part(
    world: World, draft: ReusableDraft, path: str, code: str
) -> None:
    with world.database.write() as connection:
        with pytest.raises(InvalidReusableSettingError) as refused:
            authoring(world).create(connection, world.acting, draft)

        assert [(finding.path, finding.code) for finding in refused.value.findings] == [(path, code)]
        assert list_settings(connection, TENANT_ID, Page()) == ()


def test_every_act_is_in_the_audit_trail_and_other_tenants_see_nothing(world: World) -> None:
    with world.database.write() as connection:
        made = authoring(world).create(connection, world.acting, OFFICES)
        world.clock.advance(seconds=1)
        authoring(world).update(connection, world.acting, made.id, replace(OFFICES, description="All"))
        with pytest.raises(NotFoundError):
            get_setting(connection, STRANGER, made.id)
        world.clock.advance(seconds=1)
        authoring(world).delete(connection, world.acting, made.id, reason="Gone")
        events = audit.list_events(connection, TENANT_ID, Page())

    assert [event.activity for event in events] == [
        "reusableSetting.deleted",
        "reusableSetting.changed",
        "reusableSetting.created",
    ]
