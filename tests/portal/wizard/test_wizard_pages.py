"""The policy wizard as a browser without scripts goes through it, over the real front door."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Final

import pytest
from tests.portal.test_pages import text_of
from tests.support.admin import AdminWorld, Client
from tests.support.every_setting import example
from tests.support.manager_world import ANTIVIRUS, CLOUD, DIAGNOSTIC, a_draft
from tests.support.people import a_person, browser
from tests.support.policies import catalog
from tests.support.samples import TENANT_ID, group_id
from tests.support.sent_forms import SentForm, form_to, send

from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import ChoiceSetting, GroupCollectionSetting, SimpleSetting, walk
from shieldwall.server.access.roles import READ_ONLY_OPERATOR
from shieldwall.server.directory import scope_tags
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.policies import long_previews
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.policies import assignments, policies, revisions
from shieldwall.server.storage.records import AssignmentKind, Page, Policy

CATALOG: Final = catalog()
DAYS: Final = SettingId("linux_mdatp_managed_antivirusengine_scanresultsretentiondays")
EXCLUSIONS: Final = TemplateId("8a17a1e5-3df4-4e07-9d20-3878267a79b8_1")
EXCLUSION_LIST: Final = SettingId("linux_mdatp_managed_antivirusengine_exclusions")
EXCLUSION_TYPE: Final = SettingId(f"{EXCLUSION_LIST}_item_$type")
FIREWALL: Final = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")
TRUSTED: Final = "linux_shieldwall_firewall_trusted_enablefirewall"
WINDOWS_EDR: Final = TemplateId("0385b795-0f2f-44ac-8602-9f65bf6adede_1")


def begin(client: Client, template: str = ANTIVIRUS) -> str:
    """Begin a policy of a kind; return the path of the wizard's steps."""
    page = client.get(f"/policies/new?platform={CATALOG.template(TemplateId(template)).platforms}").text
    csrf = form_to(page, "/policies/new").values("csrf")[0]
    answer = send(client, SentForm("/policies/new", [("csrf", csrf)]), {"template": template})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removesuffix("/basics")


def step(client: Client, at: str, name: str) -> SentForm:
    answer = client.get(f"{at}/{name}")
    assert answer.status_code == 200, answer.text
    return form_to(answer.text, f"{at}/{name}")


def goes(client: Client, at: str, name: str, do: str, /, **changes: str) -> str:
    """Fill in a step, press a button, and return where that leads."""
    answer = send(client, step(client, at, name), changes | {"do": do})
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["location"]


def unfinished_of(world: AdminWorld, at: str) -> Unfinished:
    with world.services.database.read() as connection:
        person = people.list_people(connection, TENANT_ID, Page())[0]
        return keeping.get(connection, TENANT_ID, person.id, at.rpartition("/")[2])


def all_policies(world: AdminWorld) -> tuple[Policy, ...]:
    with world.services.database.read() as connection:
        return policies.list_policies(connection, TENANT_ID, Page())


def save(client: Client, at: str, **changes: str) -> str:
    page = client.get(f"{at}/review?preview=1").text
    answer = send(client, form_to(page, f"{at}/review"), changes | {"do": "save"})
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["location"]


def test_a_policy_is_made_from_profile_to_saved_and_assigned(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, display_name="web-1")
    at = begin(ada)

    assert goes(ada, at, "basics", "go:settings", name="  Baseline ", description="For all\nof us") == f"{at}/settings"
    assert goes(ada, at, "settings", "go:scope-tags", **{CLOUD: f"{CLOUD}_true", DAYS: "90"}) == f"{at}/scope-tags"
    assert goes(ada, at, "scope-tags", "go:assignments") == f"{at}/assignments"
    assert goes(ada, at, "assignments", "go:review", everybody="on") == f"{at}/review"
    words = text_of(ada.get(f"{at}/review?preview=1").text)
    for shown in ("Baseline", "1 device is sent something else, of 1 managed", "web-1", "not set", "Enabled", "90"):
        assert shown in words
    assert all_policies(world) == (), "nothing is saved before it is reviewed"
    saved = save(ada, at, reason="The first of all")

    (policy,) = all_policies(world)
    assert saved == f"/policies/{policy.id}"
    assert (policy.name, policy.description, policy.template_id) == ("Baseline", "For all\nof us", ANTIVIRUS)
    assert {each.definition for each in policy.settings} == {CLOUD, DAYS}
    with world.services.database.read() as connection:
        (assigned,) = assignments.of_policy(connection, policy.id)
        assert assigned.kind is AssignmentKind.ALL_DEVICES
        assert revisions.get(connection, policy.id, 1).reason == "The first of all"
        (event,) = [
            each for each in audit.list_events(connection, TENANT_ID, Page()) if "policy.created" in each.activity
        ]
        assert event.actor == "person:ada@contoso.example"
    assert ada.get(f"{at}/review").status_code == 404, "what is saved is not unfinished any more"


def test_nobody_goes_on_with_a_name_missing_or_a_setting_that_is_wrong(world: AdminWorld, ada: Client) -> None:
    at = begin(ada)

    assert "The name is missing" not in text_of(ada.get(f"{at}/basics").text)
    assert goes(ada, at, "basics", "go:settings", name=" ") == f"{at}/basics?check=1"
    assert "The name is missing" in text_of(ada.get(f"{at}/basics?check=1").text)
    assert goes(ada, at, "basics", "go:settings", name="Baseline", priority="best") == f"{at}/basics?check=1"
    assert "0 is no priority" in text_of(ada.get(f"{at}/basics?check=1").text)
    goes(ada, at, "basics", "go:settings", name="Baseline", priority="")
    assert goes(ada, at, "settings", "go:review", **{DAYS: "many"}) == f"{at}/settings?check=1"
    page = ada.get(f"{at}/settings?check=1").text
    assert 'value="many"' in page, "what was typed is not lost"
    assert "1 thing is not right yet" in text_of(page)
    assert goes(ada, at, "settings", "go:basics") == f"{at}/basics", "back is always open"
    review = text_of(ada.get(f"{at}/review?preview=1").text)
    assert "This cannot be saved yet" in review
    assert "Create" not in re.findall(r"<button[^>]*>(\w+)", ada.get(f"{at}/review?preview=1").text)
    assert goes(ada, at, "settings", "leave", **{DAYS: "30"}) == "/policies"
    assert "Baseline" in text_of(ada.get("/policies/new").text), "it can be taken up again"
    (number,) = unfinished_of(world, at).draft.settings
    assert isinstance(number, SimpleSetting)
    assert number.value.value == 30


def test_what_is_typed_is_checked_and_kept_at_once(world: AdminWorld, ada: Client) -> None:
    at = begin(ada)

    answer = send(ada, step(ada, at, "settings"), {DAYS: "999"}, **{"HX-Request": "true"})
    assert answer.status_code == 200
    assert "out of range" in text_of(answer.text)
    assert 'aria-invalid="true"' in answer.text
    assert unfinished_of(world, at).draft.settings != ()


def test_a_choice_brings_its_settings_along_before_anybody_goes_on(world: AdminWorld, ada: Client) -> None:
    at = begin(ada, FIREWALL)
    goes(ada, at, "basics", "go:settings", name="Firewall")

    assert "Stealth mode" not in text_of(ada.get(f"{at}/settings").text)
    on = {TRUSTED: f"{TRUSTED}_true"}
    assert goes(ada, at, "settings", "go:scope-tags", **on) == f"{at}/settings?more=1"
    page = text_of(ada.get(f"{at}/settings?more=1").text)
    assert "brings further settings along" in page
    assert "Shielded" in page
    assert goes(ada, at, "settings", "go:scope-tags") == f"{at}/scope-tags"
    assert len(unfinished_of(world, at).draft.settings) == 1


def test_settings_are_searched_and_what_is_hidden_stays(world: AdminWorld, ada: Client) -> None:
    at = begin(ada)
    goes(ada, at, "settings", "stay", **{CLOUD: f"{CLOUD}_true"})

    leads = goes(ada, at, "settings", "stay", **{"~q": "Retention DAYS"})
    form = form_to(ada.get(leads).text, f"{at}/settings")
    assert form.values(DAYS) == [""]
    assert form.values(CLOUD) == []
    send(ada, form, {DAYS: "7", "do": "stay"})
    assert len(unfinished_of(world, at).draft.settings) == 2
    only = form_to(ada.get(f"{at}/settings?only=1").text, f"{at}/settings")
    assert only.values(CLOUD) == [f"{CLOUD}_true"]
    assert only.values(DIAGNOSTIC) == []


def test_items_of_a_list_have_forms_of_their_own(world: AdminWorld, ada: Client) -> None:
    at = begin(ada, EXCLUSIONS)
    goes(ada, at, "basics", "go:settings", name="Exclusions")

    item = goes(ada, at, "settings", f"add:0:{EXCLUSION_LIST}")
    page = ada.get(item).text
    assert "is missing" not in text_of(form_to(page, item).action)
    option = CATALOG.definition(EXCLUSION_TYPE).options[0]
    answer = send(ada, form_to(page, item), {EXCLUSION_TYPE: option.item_id, "do": "done"})
    assert answer.headers["location"] == f"{item}&check=1", "what the choice brings along is missing"
    form = form_to(ada.get(f"{item}&check=1").text, item)
    needed = {setting: _text(setting) for setting in option.required_children if form.values(setting) != []}
    assert needed
    answer = send(ada, form, needed | {"do": "done"})
    assert answer.headers["location"] == f"{at}/settings", text_of(ada.get(answer.headers["location"]).text)
    goes(ada, at, "settings", f"copy:0:{EXCLUSION_LIST}")
    assert "stands here twice" in text_of(ada.get(f"{at}/settings").text)
    goes(ada, at, "settings", f"remove:1:{EXCLUSION_LIST}")
    (kept,) = unfinished_of(world, at).draft.settings
    assert isinstance(kept, GroupCollectionSetting)
    assert len(kept.values) == 1
    send(ada, form_to(ada.get(item).text, item), {"do": "remove"})
    assert unfinished_of(world, at).draft.settings == ()
    assert ada.get(item).status_code == 404


def _text(setting: SettingId) -> str:
    made = example(CATALOG, CATALOG.definition(setting))
    if isinstance(made, ChoiceSetting):
        return made.value.value
    assert isinstance(made, SimpleSetting)
    return str(made.value.value)


def test_a_secret_is_never_shown_nor_kept_in_clear(world: AdminWorld, ada: Client) -> None:
    at = begin(ada, WINDOWS_EDR)
    kind = SettingId("device_vendor_msft_windowsadvancedthreatprotection_configurationtype")
    option = next(each for each in CATALOG.definition(kind).options if each.required_children)
    (secret,) = option.required_children
    goes(ada, at, "settings", "stay", **{kind: option.item_id})

    goes(ada, at, "settings", "stay", **{secret: "the very secret"})
    assert "the very secret" not in ada.get(f"{at}/settings").text
    assert "A secret is kept" in text_of(ada.get(f"{at}/settings").text)
    first = unfinished_of(world, at)
    assert "the very secret" not in str(first.content)
    goes(ada, at, "settings", "stay")
    assert unfinished_of(world, at).draft == first.draft
    goes(ada, at, "settings", "stay", **{f"{secret}~clear": "on"})
    assert secret not in {each.definition for each in walk(unfinished_of(world, at).draft.settings)}


@pytest.fixture
def policy(world: AdminWorld) -> PolicyId:
    """A policy of two groups, one of them excluded, that one device has."""
    with world.writing() as connection:
        manager = world.manager
        first = manager.join(connection, 1, display_name="web-1")
        named = [manager.group(connection, 1, first), manager.group(connection, 2)]
        made = manager.policies.create(connection, manager.acting, a_draft("Baseline", diagnostic="0"))
        kinds = (AssignmentKind.INCLUDE, AssignmentKind.EXCLUDE)
        wanted = [Assigned(kind=kind, group_id=group) for kind, group in zip(kinds, named, strict=True)]
        assign(connection, manager.acting, made.id, wanted)
        return made.id


def change(client: Client, policy: PolicyId, part: str = "settings") -> str:
    path = f"/policies/{policy}/edit"
    csrf = form_to(client.get(path).text, path).values("csrf")[0]
    answer = send(client, SentForm(path, [("csrf", csrf)]), {"step": part})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removesuffix(f"/{part}")


def test_a_policy_that_is_looked_through_and_not_changed_stays_as_it_is(
    world: AdminWorld, ada: Client, policy: PolicyId
) -> None:
    (before,) = all_policies(world)
    at = change(ada, policy)

    for name in ("basics", "settings", "scope-tags", "assignments"):
        goes(ada, at, name, "go:review")
    with world.services.database.read() as connection:
        named = assignments.of_policy(connection, policy)
    assert unfinished_of(world, at).content.based_on == before.revision
    assert "No device would notice" in text_of(ada.get(f"{at}/review?preview=1").text)
    save(ada, at)
    assert all_policies(world) == (before,)
    with world.services.database.read() as connection:
        assert assignments.of_policy(connection, policy) == named


def test_lowering_protection_is_shown_and_has_to_be_meant(world: AdminWorld, ada: Client, policy: PolicyId) -> None:
    at = change(ada, policy)
    goes(ada, at, "settings", "go:review", **{CLOUD: f"{CLOUD}_false"})

    page = ada.get(f"{at}/review?preview=1").text
    words = text_of(page)
    assert "1 change lowers protection" in words
    assert "Enabled" in words
    assert "Disabled" in words
    form = form_to(page, f"{at}/review")
    refused = send(ada, form, {"do": "save"})
    assert refused.status_code == 200
    assert all_policies(world)[0].revision == 1
    assert save(ada, at, meant="on", reason="It is needed") == f"/policies/{policy}"
    assert all_policies(world)[0].revision == 2


def test_what_would_happen_is_asked_again_when_it_is_saved(world: AdminWorld, ada: Client, policy: PolicyId) -> None:
    at = change(ada, policy)
    goes(ada, at, "settings", "go:review", **{DAYS: "30"})
    form = form_to(ada.get(f"{at}/review?preview=1").text, f"{at}/review")
    goes(ada, at, "assignments", "go:review", **{f"kind:{group_id(1)}": "remove"})  # in another window

    answer = send(ada, form, {"do": "save", "meant": "on"})
    assert answer.status_code == 200
    assert "changed meanwhile" in text_of(answer.text)
    assert all_policies(world)[0].revision == 1


def test_nobody_saves_over_what_somebody_else_saved_meanwhile(world: AdminWorld, ada: Client, policy: PolicyId) -> None:
    at = change(ada, policy)
    goes(ada, at, "settings", "go:review", **{DAYS: "30"})
    form = form_to(ada.get(f"{at}/review?preview=1").text, f"{at}/review")
    with world.writing() as connection:
        manager = world.manager
        manager.policies.update(connection, manager.acting, policy, a_draft("Renamed", diagnostic="1"))

    answer = send(ada, form, {"do": "save", "meant": "on"})
    assert "Somebody else saved this policy meanwhile" in text_of(answer.text)
    assert all_policies(world)[0].name == "Renamed"
    review = form_to(ada.get(f"{at}/review").text, f"{at}/review")
    assert send(ada, review, {"do": "again"}).headers["location"] == f"{at}/review?preview=1"
    assert unfinished_of(world, at).content.based_on == 2
    assert unfinished_of(world, at).draft.name == "Baseline"
    assert send(ada, review, {"do": "anew"}).status_code == 303
    assert unfinished_of(world, at).draft.name == "Renamed"
    assert save(ada, at) == f"/policies/{policy}"


@pytest.mark.parametrize("meanwhile", ["assigned", "described"])
def test_nobody_saves_over_what_makes_no_revision_either(
    world: AdminWorld, ada: Client, policy: PolicyId, meanwhile: str
) -> None:
    at, manager = change(ada, policy), world.manager
    goes(ada, at, "settings", "go:review", **{DAYS: "30"})
    form = form_to(ada.get(f"{at}/review?preview=1").text, f"{at}/review")
    everybody = Assigned(kind=AssignmentKind.ALL_DEVICES)
    world.clock.advance(seconds=1)
    with world.writing() as connection:
        if meanwhile == "assigned":
            assign(connection, manager.acting, policy, [everybody])
        else:
            told = replace(a_draft("Baseline", diagnostic="0"), description="Ask Grace first.")
            manager.policies.update(connection, manager.acting, policy, told)

    answer = send(ada, form, {"do": "save", "meant": "on"})
    assert "Somebody else saved this policy meanwhile: its description" in text_of(answer.text)
    (present,) = all_policies(world)
    assert present.revision == 1
    with world.services.database.read() as connection:
        assigned = [each.kind for each in assignments.of_policy(connection, policy)]
    if meanwhile == "assigned":
        assert assigned == [AssignmentKind.ALL_DEVICES]
    else:
        assert present.description == "Ask Grace first."
    review = form_to(ada.get(f"{at}/review").text, f"{at}/review")
    assert send(ada, review, {"do": "again"}).headers["location"] == f"{at}/review?preview=1"
    assert save(ada, at, meant="on") == f"/policies/{policy}"


def test_groups_are_found_included_excluded_and_removed(world: AdminWorld, ada: Client, policy: PolicyId) -> None:
    with world.writing() as connection:
        third = world.manager.group(connection, 3)
    at = change(ada, policy, "assignments")

    form = step(ada, at, "assignments")
    assert form.values("group") == [group_id(1), group_id(2)]
    leads = goes(ada, at, "assignments", "stay", find="no such group")
    assert "No other group has this in its name" in text_of(ada.get(leads).text)
    goes(
        ada, at, "assignments", "stay", add=third, **{f"kind:{group_id(1)}": "exclude", f"kind:{group_id(2)}": "remove"}
    )
    named = {each.group_id: each.kind for each in unfinished_of(world, at).content.assigned}
    assert named == {group_id(1): AssignmentKind.EXCLUDE, third: AssignmentKind.INCLUDE}
    save(ada, at, meant="on")
    with world.services.database.read() as connection:
        kept = {each.group_id: each.kind for each in assignments.of_policy(connection, policy)}
    assert kept == named
    assert all_policies(world)[0].revision == 1, "whom it reaches is no part of what it says"


def test_what_one_person_began_is_nobody_elses(world: AdminWorld, ada: Client) -> None:
    at = begin(ada)
    with world.client() as other:
        world.sign_in(other, "Bob")
        assert other.get(f"{at}/basics").status_code == 404
        assert "Without a name" not in other.get("/policies/new").text
    form = form_to(ada.get(f"{at}/basics").text, f"{at}/discard")
    assert send(ada, form, {}).headers["location"] == "/policies"
    assert ada.get(f"{at}/basics").status_code == 404


def test_what_nobody_works_at_is_forgotten(world: AdminWorld, ada: Client) -> None:
    begin(ada)
    world.clock.advance(days=31)
    with world.writing() as connection:
        assert keeping.forget_old(connection, TENANT_ID, world.clock.now()) == 1


def test_in_a_large_fleet_the_preview_is_work_that_can_be_left(
    world: AdminWorld, ada: Client, policy: PolicyId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_previews, "MOST_AT_ONCE", 0)
    at = change(ada, policy)
    goes(ada, at, "settings", "go:review", **{CLOUD: f"{CLOUD}_false"})
    page = ada.get(f"{at}/review").text
    assert "hx-get" not in page
    assert "Your fleet is large" in text_of(page)
    form = form_to(page, f"{at}/review")

    work = send(ada, form, {"do": "work"}).headers["location"]
    until = time.monotonic() + 60
    while "Finished" not in text_of(ada.get(work).text) and time.monotonic() < until:
        time.sleep(0.05)
    shown = ada.get(f"{at}/review?preview=1").text
    assert "1 change lowers protection" in text_of(shown)
    assert "As of" in text_of(shown)
    goes(ada, at, "basics", "go:review", description="Something else")
    assert "Your fleet is large" in text_of(ada.get(f"{at}/review").text), "it was about something else"
    goes(ada, at, "basics", "go:review", description="")
    assert save(ada, at, meant="on") == f"/policies/{policy}"
    assert all_policies(world)[0].revision == 2


def test_whoever_is_narrowed_gives_their_own_tags_and_sees_no_others_devices(world: AdminWorld) -> None:
    with world.writing() as connection:
        acting = world.services.acting("test")
        mine = scope_tags.create_tag(connection, acting, "North", "").id
        scope_tags.create_tag(connection, acting, "South", "")
        world.manager.join(connection, 1, display_name="hidden-1")
    with browser(world, a_person(world, tags=[mine])) as grace:
        at = begin(grace)
        goes(grace, at, "basics", "go:settings", name="Baseline")
        goes(grace, at, "settings", "go:scope-tags", **{CLOUD: f"{CLOUD}_true"})
        page = grace.get(f"{at}/scope-tags").text
        assert "North" in page
        assert "South" not in page
        goes(grace, at, "scope-tags", "go:review", tag=mine)
        goes(grace, at, "assignments", "go:review", everybody="on")
        words = text_of(grace.get(f"{at}/review?preview=1").text)
        assert "The preview speaks of the devices in your scope alone." in words
        assert "0 devices are sent something else, of 0 managed" in words
        assert "hidden-1" not in words
        goes(grace, at, "assignments", "go:review", everybody="")
        assert save(grace, at).startswith("/policies/")
    assert all_policies(world)[0].role_scope_tag_ids == (mine,)
    with browser(world, a_person(world, READ_ONLY_OPERATOR)) as reader:
        assert reader.get("/policies/new").status_code == 403
        assert reader.get(f"/policies/{all_policies(world)[0].id}/edit").status_code == 403
