"""Policies in a real browser: a conflict explained and solved, a policy assigned, changed and rolled back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.support.manager_world import a_draft
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.signing_inside import SigningInside

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.server.manager import conflict_rules
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import AssignmentKind

__all__ = ["ada", "browser", "context", "office"]
pytestmark = pytest.mark.browser


def test_a_conflict_is_explained_and_solved(ada: Watched, office: Office) -> None:
    page, acting = ada.page, office.services.acting("test")
    with office.services.database.write() as connection:
        authoring = Policies(catalog=office.services.catalog, signatures=SigningInside(office.services.signer))
        other = authoring.create(connection, acting, a_draft("Pilot", cloud="false"))
        assign(connection, acting, other.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        conflict_rules.replace_rules(connection, acting, {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING})
        check_ins.clear_sync(connection, office.device)

    page.goto(f"{office.url}/policies/conflicts")
    expect(page.get_by_role("heading", name="Enable cloud delivered protection")).to_be_visible()
    expect(page.get_by_text("nothing decides between them")).to_be_visible()
    page.get_by_role("listitem").filter(has_text="strongest value").get_by_role(
        "link", name="Preview this rule"
    ).click()
    expect(page.get_by_label("Antivirus")).to_have_value("mostSecure")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Conflicts that go")).to_be_visible()
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_label("Antivirus")).to_have_value("mostSecure")

    page.goto(f"{office.url}/policies/conflicts")
    expect(page.get_by_text("No conflicts: wherever policies differ")).to_be_visible()
    assert office.is_asked(), "the device is sent the new rules"
    assert ada.complaints == []


def test_a_policy_is_assigned_and_rolled_back_after_previews(ada: Watched, office: Office) -> None:
    page, acting, group = ada.page, office.services.acting("test"), office.group()
    with office.services.database.write() as connection:
        authoring = Policies(catalog=office.services.catalog, signatures=SigningInside(office.services.signer))
        policy = authoring.create(connection, acting, a_draft("Workstations", cloud="true"))
        authoring.update(connection, acting, policy.id, a_draft("Workstations", cloud="false"), reason="Too strict.")

    page.goto(f"{office.url}/policies?q=workst")
    page.get_by_role("link", name="Workstations").click()
    page.get_by_role("link", name="Assignments", exact=True).click()
    page.get_by_label("Find a group by its name").fill("labor")
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Laboratory").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What this would do")).to_be_visible()
    page.get_by_role("button", name="Save the assignments").click()
    expect(page.get_by_role("row", name=re.compile("Laboratory"))).to_be_visible()

    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_text("Too strict.")).to_be_visible()
    page.get_by_role("link", name="Roll back to revision 1").click()
    page.get_by_label("Reason").fill("It was right before.")
    page.get_by_role("button", name="Roll back to revision 1").click()
    expect(page.get_by_text("It was right before.")).to_be_visible()
    with office.services.database.read() as connection:
        assert policies.get(connection, policy.id).settings == policy.settings
    assert group
    assert ada.complaints == []
