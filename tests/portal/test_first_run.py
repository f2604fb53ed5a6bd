"""The first steps of a new tenant: where somebody begins, what is next, and how far it has come."""

from __future__ import annotations

import re
import shlex
import subprocess
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.portal.test_package_pages import files_of
from tests.portal.test_pages import assigned, reports, text_of, told
from tests.portal.test_scope import fields_of, sends
from tests.support.admin import AdminWorld, Client
from tests.support.authenticators import Authenticator
from tests.support.browsing import ORIGIN, add_passkey
from tests.support.manager_world import CLOUD
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.status import SettingState
from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.portal.settings.ways_in import way_in
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import check_ins
from shieldwall.trust.onboarding import open_package

LINUX = {"platform": "linux"}


def done(page: str) -> list[str]:
    """The steps that are done, by name."""
    steps = re.findall(r'<li[^>]*id="step-(\w+)">(.*?)</h2>', page, re.DOTALL)
    return [name for name, head in steps if "Done" in head]


def current(page: str) -> str:
    return "".join(re.findall(r'aria-current="step" id="step-(\w+)"', page))


def test_the_first_code_leads_to_a_passkey_and_from_there_to_the_first_steps(world: AdminWorld, client: Client) -> None:
    answer = client.post("/sign-in", data={"code": world.invite()}, headers=ORIGIN)

    assert answer.headers["location"] == "/account/passkeys/new?return=/welcome"
    assert 'name="return" value="/welcome"' in client.get(answer.headers["location"]).text


@pytest.mark.parametrize("wanted", ["/devices", "/policies/new"])
def test_whoever_wanted_something_else_gets_there(world: AdminWorld, client: Client, wanted: str) -> None:
    answer = client.post("/sign-in", data={"code": world.invite(), "return": wanted}, headers=ORIGIN)

    assert answer.headers["location"].endswith(f"?return={wanted}")


def test_the_first_steps_end_where_there_is_a_fleet(world: AdminWorld, client: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)

    answer = client.post("/sign-in", data={"code": world.invite()}, headers=ORIGIN)

    assert answer.headers["location"] == "/account/passkeys/new"


def test_each_step_is_seen_to_be_done(world: AdminWorld, ada: Client) -> None:
    page = ada.get("/welcome").text
    assert (done(page), current(page)) == ([], "passkey")
    add_passkey(ada, Authenticator())
    page = ada.get("/welcome").text
    assert (done(page), current(page)) == (["passkey"], "package")

    made = sends(ada, "/welcome/package", fields_of(ada.get("/welcome/package").text, "/welcome/package") | LINUX)
    assert made.status_code == 200, made.text
    page = ada.get("/welcome").text
    assert current(page) == "device"
    assert "Waiting for the first device" in text_of(page)

    with world.writing() as connection:
        device = world.manager.join(connection, 1, display_name="web-1")
    page = ada.get("/welcome").text
    assert current(page) == "managed"
    assert "has not checked in yet" in text_of(page)
    assert f'href="/devices/{device}/enrollment-help"' in page

    with world.writing() as connection:
        connection.execute(update(check_ins).where(check_ins.c.device_id == device).values(last_check_in=NOON))
    assert current(ada.get("/welcome").text) == "policy"

    with world.writing() as connection:
        assigned(world, connection)
    page = ada.get("/welcome").text
    assert current(page) == "effect"
    with world.writing() as connection:
        reports(connection, device, told(CLOUD, SettingState.ERROR))
    assert current(ada.get("/welcome").text) == "effect"
    with world.writing() as connection:
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED))
    page = ada.get("/welcome").text
    assert current(page) == ""
    assert len(done(page)) == 6
    assert "All done" in text_of(page)


def test_the_first_package_is_made_for_the_system_chosen(world: AdminWorld, ada: Client) -> None:
    fields = fields_of(ada.get("/welcome/package").text, "/welcome/package")
    assert sends(ada, "/welcome/package", fields | {"platform": "solaris"}).status_code == 400
    assert sends(ada, "/welcome/package", fields | LINUX | {"csrf": "x"}).status_code == 403

    page = sends(ada, "/welcome/package", fields | LINUX).text

    assert list(files_of(page)) == ["shieldwall_onboarding.json", "onboard-linux.sh"]
    with world.services.database.read() as connection:
        (record,) = packages.list_packages(connection, TENANT_ID, Page())
    assert (record.platforms, record.approval, record.join_type) == (("linux",), "auto", "synthetic")
    assert 'href="/welcome"' in page


def test_what_is_pasted_brings_the_package_to_the_machine(ada: Client, tmp_path: Path) -> None:
    fields = fields_of(ada.get("/welcome/package").text, "/welcome/package")
    page = sends(ada, "/welcome/package", fields | LINUX).text
    file = files_of(page)["shieldwall_onboarding.json"]
    (pasted,) = (unescape(text) for text in re.findall(r"<pre[^>]*>(sudo sh -c .*?)</pre>", page, re.DOTALL))
    agent = tmp_path / "shieldwall-agent"
    agent.write_text(f'#!/bin/sh\ncp "$2" {shlex.quote(str(tmp_path / "got"))}\n')
    agent.chmod(0o755)
    home = tmp_path / "root"
    home.mkdir()
    said = (
        pasted.replace("/root/", f"{home}/")
        .replace("sudo ", "")
        .replace("shieldwall-agent onboard", f"{agent} onboard")
    )

    subprocess.run(["sh", "-c", said], check=True, timeout=20)

    assert (tmp_path / "got").read_bytes().rstrip(b"\n") == file
    assert open_package((tmp_path / "got").read_bytes(), NOON).allowed_platforms == ("linux",)
    assert list(home.iterdir()) == [], "the package holds a secret, and goes once it was used"


def test_a_file_that_would_end_the_quotes_is_not_pasted() -> None:
    for file in ("{'a'}", "two\nlines", ""):
        assert way_in("windows", file).paste == ""


def test_a_device_that_the_scope_leaves_out_is_led_to_its_guide(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        device = world.manager.join(connection, 1)
        save_scope(connection, world.manager.acting, EnforcementScope(linux=Coverage.OFF))
        assert devices.get(connection, device).enrollment_code == 2

    page = text_of(ada.get("/welcome").text)

    assert "The enforcement scope is off for the platform" in page
    assert f"/devices/{device_id(1)}/enrollment-help" in ada.get("/welcome").text
