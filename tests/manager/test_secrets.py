"""Secrets go to devices and come back to nobody: outside there are tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID, counted_id

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract import strict_json
from shieldwall.contract.ids import SettingId, TemplateId, TenantId
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    SettingInstance,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.server.manager.policies import PolicyDraft, draft_of, get_policy, history
from shieldwall.server.manager.revisions import get_revision
from shieldwall.server.manager.secrets import TOKEN, is_token, revealed, tokens_in
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page

KIND = SettingId("device_vendor_msft_windowsadvancedthreatprotection_configurationtype")
BLOB = SettingId("device_vendor_msft_windowsadvancedthreatprotection_onboarding")
SECRET = "onboarding blob"
STRANGER = TenantId("00000000-0000-4000-8000-00000000000b")


def secret(value: str = SECRET, **more: object) -> SimpleValue:
    return SimpleValue(kind="secret", value=value, **more)  # type: ignore[arg-type]  # a state, a template


def a_draft(value: SimpleValue) -> PolicyDraft:
    blob = SimpleSetting(definition=BLOB, value=value)
    return PolicyDraft(
        name="Detection",
        platforms="windows10",
        technologies="mdm,microsoftSense",
        template_id=TemplateId("0385b795-0f2f-44ac-8602-9f65bf6adede_1"),
        settings=(ChoiceSetting(definition=KIND, value=ChoiceValue(value=f"{KIND}_onboard", children=(blob,))),),
    )


def value_in(settings: tuple[SettingInstance, ...]) -> SimpleValue:
    (outer,) = settings
    assert isinstance(outer, ChoiceSetting)
    (inner,) = outer.value.children
    assert isinstance(inner, SimpleSetting)
    return inner.value


@pytest.mark.parametrize("state", [None, "notEncrypted"])
def test_a_secret_goes_out_to_devices_and_its_author_gets_a_token(world: World, state: str | None) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(secret(state=state)))
        kept, content = get_policy(connection, TENANT_ID, policy.id), get_revision(connection, TENANT_ID, policy.id, 1)
        events = audit.list_events(connection, TENANT_ID, Page())

    assert value_in(content.document.settings) == secret()
    for settings in (policy.settings, kept.settings, content.draft.settings):
        assert is_token(value_in(settings))
        assert SECRET not in strict_json.encode(settings).decode()
    assert SECRET not in "".join(event.details for event in events)


def test_a_token_sent_back_keeps_the_secret_and_so_does_the_secret_itself(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(secret()))
        for draft in (draft_of(policy), a_draft(secret())):
            assert world.policies.update(connection, world.acting, policy.id, draft) == policy

        renamed = world.policies.update(connection, world.acting, policy.id, replace(draft_of(policy), name="Other"))
        sent = get_revision(connection, TENANT_ID, policy.id, renamed.revision).document
        assert value_in(sent.settings) == secret()


def test_another_secret_is_a_change_with_a_token_of_its_own_and_the_first_can_come_back(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(secret()))
        changed = world.policies.update(connection, world.acting, policy.id, a_draft(secret("another")))
        assert value_in(changed.settings) != value_in(policy.settings)
        assert value_in(get_revision(connection, TENANT_ID, policy.id, 2).document.settings) == secret("another")

        back = world.policies.rollback(connection, world.acting, policy.id, 1)
        assert back.settings == policy.settings
        assert value_in(get_revision(connection, TENANT_ID, policy.id, 3).document.settings) == secret()
        assert len(history(connection, TENANT_ID, policy.id, Page())) == 3


def test_a_token_of_nobody_or_of_another_tenant_is_a_finding(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(secret()))
        stranger = replace(world.acting, tenant_id=STRANGER)
        nobodys = secret(counted_id("9", 9), state=TOKEN)
        for acting, value in (
            (world.acting, nobodys),
            (stranger, value_in(policy.settings)),
            (world.acting, secret(state="invalid")),
        ):
            with pytest.raises(InvalidPolicyError) as refused:
                world.policies.create(connection, acting, a_draft(value))
            assert [(finding.path, finding.code) for finding in refused.value.findings] == [
                ("settings[0].children[0].value", "unknownSecret")
            ]
            assert SECRET not in str(refused.value)


def test_a_secret_that_cannot_be_is_refused_and_not_kept(world: World) -> None:
    with world.database.write() as connection:
        with pytest.raises(InvalidPolicyError) as refused:
            world.policies.create(connection, world.acting, a_draft(secret("")))

        assert [finding.code for finding in refused.value.findings] == ["wrongLength"]


_VALUES = st.one_of(
    st.builds(secret, st.text(max_size=5)),
    st.builds(lambda token: secret(token, state=TOKEN), st.sampled_from("ab")),
    st.builds(lambda text: SimpleValue(kind="string", value=text), st.text(max_size=5)),
)
_INSTANCES = st.recursive(
    st.builds(lambda value: SimpleSetting(definition=BLOB, value=value), _VALUES),
    lambda inner: st.builds(
        lambda children: GroupCollectionSetting(definition=KIND, values=(GroupValue(children=tuple(children)),)),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)


@given(settings=st.lists(_INSTANCES, max_size=3).map(tuple))
def test_what_is_revealed_holds_no_token_and_changes_nothing_else(settings: tuple[SettingInstance, ...]) -> None:
    values = {"a": "first", "b": "second"}
    found, findings = revealed(settings, values)

    assert findings == ()
    assert tokens_in(found) == frozenset()
    assert tokens_in(settings) <= values.keys()
    assert revealed(found, {}) == (found, ())
    if not tokens_in(settings):
        assert found == settings
