"""What policies share, in the admin center: conflicts and the rules for them, assignment filters, reusable settings."""

from __future__ import annotations

import pytest
from tests.manager.test_references import address_group
from tests.portal.test_pages import assigned, text_of
from tests.portal.test_policy_acts import form_of, sends, targets
from tests.support.admin import AdminWorld, Client
from tests.support.manager_world import CLOUD, a_draft
from tests.support.samples import TENANT_ID

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import AssignmentFilterId, GroupId, ReusableSettingId
from shieldwall.server.admin.authoring import reusing
from shieldwall.server.manager import conflict_rules, filters, reusable_settings
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.filters import FilterDraft, create_filter
from shieldwall.server.manager.reusable_settings import ReusableDraft
from shieldwall.server.storage.records import AssignmentKind, FilterKind, Page, Policy

NOTHING = {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING}


@pytest.fixture
def quarrel(world: AdminWorld) -> tuple[Policy, Policy]:
    """Two policies that want different values on two devices, in a tenant where nothing decides between them."""
    with world.writing() as connection:
        for number in (1, 2):
            world.manager.join(connection, number)
        conflict_rules.replace_rules(connection, world.manager.acting, NOTHING)
        return assigned(world, connection, "Strong", cloud="true"), assigned(world, connection, "Weak", cloud="false")


def test_a_conflict_is_explained_with_its_ways_out(ada: Client, quarrel: tuple[Policy, Policy]) -> None:
    strong, _ = quarrel

    page = ada.get("/policies/conflicts").text
    words = text_of(page)

    assert "Enable cloud delivered protection" in words
    assert "2 devices" in words
    assert "in this family nothing decides between them" in words
    assert f"/policies/{strong.id}/assignments" in page
    assert "it would come out as Enabled ( Strong )" in words
    assert "/policies/conflict-rules?antivirus=mostSecure" in page
    assert "decides once one of these policies has the best priority alone" in words


def test_what_was_decided_between_policies_is_told_on_request(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
        assigned(world, connection, "Strong", cloud="true")
        weak = assigned(world, connection, "Weak", cloud="false")
        assigned(world, connection, "Other", diagnostic="1")

    assert "No conflicts: wherever policies differ" in text_of(ada.get("/policies/conflicts").text)
    decided = text_of(ada.get("/policies/conflicts?show=decided").text)
    assert "The strongest value wins." in decided
    assert decided.index("won") < decided.index("lost")
    mine = ada.get(f"/policies/conflicts?show=all&policy={weak.id}&setting={CLOUD}").text
    assert "Only those that Weak has a part in." in text_of(mine)
    assert ada.get("/policies/conflicts?policy=00000000-0000-4000-8000-00000000abcd").status_code == 404


def test_rules_are_saved_after_their_consequences_were_shown(
    world: AdminWorld, ada: Client, quarrel: tuple[Policy, Policy]
) -> None:
    assert quarrel
    chosen = ada.get("/policies/conflict-rules?antivirus=mostSecure").text
    assert "Not saved yet." in text_of(chosen)
    fields = [*form_of(chosen, "/policies/conflict-rules/preview"), ("antivirus", "mostSecure")]

    preview = sends(ada, "/policies/conflict-rules/preview", fields).text
    words = text_of(preview)
    assert "2 devices get other settings" in words
    assert "Conflicts that go" in words
    save = form_of(preview, "/policies/conflict-rules")
    assert sends(ada, "/policies/conflict-rules", save).status_code == 303

    with world.services.database.read() as connection:
        assert conflict_rules.get_rules(connection, TENANT_ID) == {ConflictFamily.ANTIVIRUS: ConflictRule.MOST_SECURE}
    again = sends(ada, "/policies/conflict-rules", save)
    assert again.status_code == 409, "it was another rule that was previewed"
    assert "changed meanwhile" in text_of(again.text)


def test_a_rule_that_is_none_is_refused(ada: Client) -> None:
    fields = form_of(ada.get("/policies/conflict-rules").text, "/policies/conflict-rules/preview")

    assert sends(ada, "/policies/conflict-rules/preview", [*fields, ("firewall", "whatever")]).status_code == 400


RULE = 'device.deviceName -startsWith "web"'


@pytest.fixture
def narrowing(world: AdminWorld) -> AssignmentFilterId:
    """A filter that narrows a policy on all devices to web-1."""
    with world.writing() as connection:
        for number, name in ((1, "web-1"), (2, "db-1")):
            world.manager.join(connection, number, display_name=name)
        draft = FilterDraft(display_name="Web servers", platform="linux", rule=RULE)
        made = create_filter(connection, world.manager.acting, draft)
        policy = world.manager.policies.create(connection, world.manager.acting, a_draft("Baseline"))
        wanted = Assigned(kind=AssignmentKind.ALL_DEVICES, filter_id=made.id, filter_kind=FilterKind.INCLUDE)
        assign(connection, world.manager.acting, policy.id, [wanted])
    return made.id


def test_a_filter_shows_what_matches_and_what_it_narrows(ada: Client, narrowing: AssignmentFilterId) -> None:
    assert "1 assignment" in text_of(ada.get("/filters").text)
    words = text_of(ada.get(f"/filters/{narrowing}").text)

    assert "1 managed device matches the rule. For example: web-1" in words
    assert "Baseline : All devices (Only devices that match)" in words
    assert "Save the filter" not in words


def test_a_filter_is_changed_after_its_preview(world: AdminWorld, ada: Client, narrowing: AssignmentFilterId) -> None:
    path = f"/filters/{narrowing}"
    fields = form_of(ada.get(path).text, f"{path}/preview")
    rule = 'device.deviceName -startsWith "db"'

    entered = [("display_name", "Databases"), ("description", "Where data\r\nis kept."), ("rule", rule)]
    preview = sends(ada, f"{path}/preview", [*fields, *entered]).text
    words = text_of(preview)
    assert "2 devices get other settings" in words
    assert "db-1" in words
    assert sends(ada, path, form_of(preview, path)).status_code == 303

    with world.services.database.read() as connection:
        kept = filters.get_filter(connection, TENANT_ID, narrowing)
    assert (kept.display_name, kept.description, kept.rule) == ("Databases", "Where data\nis kept.", rule)
    assert sends(ada, path, form_of(preview, path)).status_code == 409


def test_a_filter_whose_rule_is_wrong_is_wrong_at_a_character(ada: Client, narrowing: AssignmentFilterId) -> None:
    path = f"/filters/{narrowing}"
    fields = form_of(ada.get(path).text, f"{path}/preview")

    answer = sends(ada, f"{path}/preview", [*fields, ("display_name", "x"), ("rule", "device.deviceName -any 3")])

    assert answer.status_code == 400
    assert "<mark>" in answer.text
    assert "Save the filter" not in text_of(answer.text)


def test_a_filter_is_made_tried_and_deleted_unless_it_is_used(
    world: AdminWorld, ada: Client, narrowing: AssignmentFilterId
) -> None:
    page = ada.get("/filters/new").text
    fields = [
        *form_of(page, "/filters/new/preview"),
        ("display_name", "Databases"),
        ("platform", "linux"),
        ("rule", 'device.deviceName -startsWith "db"'),
    ]
    tried = sends(ada, "/filters/new/preview", fields).text
    assert "1 managed device matches the rule. For example: db-1" in text_of(tried)
    made = sends(ada, "/filters/new", form_of(tried, "/filters/new"))
    assert made.status_code == 303
    path = f"{made.headers['location']}/delete"
    assert sends(ada, path, form_of(ada.get(path).text, path)).status_code == 303

    used = ada.get(f"/filters/{narrowing}/delete").text
    assert "It still narrows assignments." in text_of(used)
    assert "Delete this filter" not in text_of(used)
    with world.services.database.read() as connection:
        assert [each.id for each in filters.list_filters(connection, TENANT_ID, Page())] == [narrowing]


def test_a_filter_is_chosen_where_a_policy_is_assigned(
    world: AdminWorld, ada: Client, narrowing: AssignmentFilterId
) -> None:
    with world.writing() as connection:
        policy = world.manager.policies.create(connection, world.manager.acting, a_draft("Other"))
        group: GroupId = world.manager.group(connection, 1)
    base = f"/policies/{policy.id}/assignments"
    fields = form_of(ada.get(base).text, f"{base}/preview")
    chosen = [("add", group), (f"filter:{group}", narrowing), (f"mode:{group}", "exclude")]

    preview = sends(ada, f"{base}/preview", [*fields, *chosen]).text

    assert "Only devices that do not match: Web servers" in text_of(preview)
    assert sends(ada, base, form_of(preview, base)).status_code == 303
    assert targets(world, policy) == {(AssignmentKind.INCLUDE, group)}


@pytest.fixture
def offices(world: AdminWorld) -> ReusableSettingId:
    """Addresses that no policy refers to yet."""
    with world.writing() as connection:
        draft = ReusableDraft(display_name="Offices", setting_instance=address_group("192.0.2.0/24"))
        return reusing(world.services).create(connection, world.manager.acting, draft).id


def test_reusable_settings_are_made_changed_and_deleted(
    world: AdminWorld, ada: Client, offices: ReusableSettingId
) -> None:
    assert "Offices" in text_of(ada.get("/reusable-settings").text)
    page = ada.get("/reusable-settings/new").text
    fields = [
        *form_of(page, "/reusable-settings/new"),
        ("display_name", "Printers"),
        ("kind", "linux_shieldwall_addressgroup"),
    ]
    wrong = sends(ada, "/reusable-settings/new", [*fields, ("addresses", "nowhere")])
    assert wrong.status_code == 400
    assert "nowhere" in wrong.text
    made = sends(ada, "/reusable-settings/new", [*fields, ("addresses", "192.0.2.1\r\n192.0.2.2")])
    assert made.status_code == 303

    path = f"/reusable-settings/{offices}"
    change = [
        *form_of(ada.get(path).text, f"{path}/preview"),
        ("display_name", "Offices"),
        ("addresses", "198.51.100.0/24"),
    ]
    preview = sends(ada, f"{path}/preview", change).text
    assert "No device would notice" in text_of(preview)
    assert sends(ada, path, [*form_of(preview, path), ("reason", "We moved.")]).status_code == 303
    with world.services.database.read() as connection:
        kept = reusable_settings.get_setting(connection, TENANT_ID, offices)
    assert kept.setting_instance == address_group("198.51.100.0/24")
    assert sends(ada, path, form_of(preview, path)).status_code == 409

    delete = f"{path}/delete"
    assert sends(ada, delete, form_of(ada.get(path).text, delete)).status_code == 303
    assert ada.get(path).status_code == 404
