"""Guided fixes: every published status has one, its commands are this server's, and a device sees when it is over."""

from __future__ import annotations

import re

import pytest
from tests.portal.test_pages import text_of
from tests.support.admin import AdminWorld, Client
from tests.support.samples import device_id
from tests.support.second_tenant import FABRIKAM_DEVICE

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.enrollment_errors import errors_of_code
from shieldwall.policy.enrollment import Coverage, EnforcementScope, Reason
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.portal.first_run.guides import ALL_GUIDES
from shieldwall.server.portal.first_run.guides.decided_here import STEP_OF_REASON
from shieldwall.server.portal.first_run.guides.model import SYSTEMS, filled


@pytest.mark.parametrize("code", EnrollmentCode)
def test_every_published_status_has_a_guide_that_leads_somewhere(code: EnrollmentCode) -> None:
    guide = filled(ALL_GUIDES[code], "https://gateway.example:8444")

    assert guide.meaning
    assert guide.fixed
    assert guide.steps
    for step in guide.steps:
        assert set(step.commands) <= set(SYSTEMS)
        assert bool(step.path) == bool(step.label)
        for command in step.commands.values():
            assert not re.search(r"@[A-Z]+@", command), "every place is filled"


def test_commands_name_the_server_that_devices_go_to() -> None:
    steps = filled(ALL_GUIDES[EnrollmentCode.NO_CONNECTION], "https://gateway.example:8444").steps
    said = "\n".join(command for step in steps for command in step.commands.values())

    assert "https://gateway.example:8444/" in said
    assert "Test-NetConnection gateway.example -Port 8444" in said
    assert "sudo shieldwall-agent doctor" in said or "sudo shieldwall-agent sync" in said


def test_reasons_lead_to_steps_of_their_guide() -> None:
    for reason, step in STEP_OF_REASON.items():
        codes = (EnrollmentCode.NOT_ENROLLED, EnrollmentCode.TENANT_SWITCH_OFF)
        assert any(step in ALL_GUIDES[code].steps for code in codes), reason


def test_the_list_leads_to_every_guide_and_every_guide_opens(ada: Client) -> None:
    page = ada.get("/enrollment-help").text
    for code in EnrollmentCode:
        assert f'href="/enrollment-help/{int(code)}"' in page
        for system in SYSTEMS:
            answer = ada.get(f"/enrollment-help/{int(code)}?system={system}")
            assert answer.status_code == 200
            assert STATUSES[code].published in answer.text
            for error in errors_of_code(code):
                assert error in answer.text


@pytest.mark.parametrize(
    ("typed", "code"), [("13", 13), ("packageExpired", 9), (" clockSkew ", 40), ("043", 43), ("registrationPending", 2)]
)
def test_what_a_device_shows_leads_to_its_guide(ada: Client, typed: str, code: int) -> None:
    answer = ada.get("/enrollment-help", params={"search": typed})

    assert (answer.status_code, answer.headers["location"]) == (303, f"/enrollment-help/{code}")


@pytest.mark.parametrize("typed", ["19", "no such error", "<script>alert(1)</script>", "²", "9" * 400])
def test_what_nobody_published_is_said_to_be_unknown(ada: Client, typed: str) -> None:
    answer = ada.get("/enrollment-help", params={"search": typed})

    assert answer.status_code == 200
    assert "status 26" in text_of(answer.text)
    assert "<script>alert" not in answer.text
    for code in ("19", "x", "²"):
        assert ada.get(f"/enrollment-help/{code}").status_code == 404


def test_a_device_is_led_out_of_the_one_reason_it_has(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        save_scope(connection, world.manager.acting, EnforcementScope(linux=Coverage.TAGGED))
        world.manager.join(connection, 1, tags=(), display_name="web-1")
    path = f"/devices/{device_id(1)}/enrollment-help"

    page = ada.get(path).text

    first = text_of(page.partition("<h3>")[2].partition("</h3>")[0])
    assert first == STEP_OF_REASON[Reason.TAG_MISSING].what
    assert STEP_OF_REASON[Reason.PLATFORM_OFF].what not in page
    assert "Fixed" not in text_of(page)
    with world.writing() as connection:
        save_scope(connection, world.manager.acting, EnforcementScope())
    assert "1: Enrolled" in text_of(ada.get(path).text)
    assert ada.get(f"/devices/{FABRIKAM_DEVICE}/enrollment-help").status_code == 404


def test_the_commands_of_a_device_are_those_of_its_system(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        save_scope(connection, world.manager.acting, EnforcementScope(windows=Coverage.OFF))
        world.manager.join(connection, 1, os_type="Windows", display_name="pc-1")

    page = ada.get(f"/devices/{device_id(1)}/enrollment-help").text

    assert "Start-Service ShieldwallApplier" in page
    assert "systemctl" not in page
