"""A device's life as a person at a browser leads it: from waiting to managed, quarantined, released and leaving."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.portal_browser import Office, Watched, ada, browser, context, office
from tests.support.samples import a_device, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.devices import CLONED_IDENTITY
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.onboarding import open_package

__all__ = ["ada", "browser", "context", "office"]

pytestmark = pytest.mark.browser

NEWCOMER = device_id(2)


def stored(office: Office) -> Device:
    with office.services.database.read() as connection:
        return devices.get(connection, NEWCOMER)


def comes(office: Office) -> None:
    """A machine comes again with another key: it waits, and is taken for the successor of one that was let in."""
    machine, key = digest_of_bytes(b"one machine"), DeviceKey.generate()
    tenant = office.services.tenant.id
    former = a_device(3, tenant_id=tenant, display_name="web-old", machine_id_hash=machine, tags=("edge",))
    newcomer = a_device(
        2,
        tenant_id=tenant,
        display_name="web-new",
        state=DeviceState.PENDING,
        state_reason="duplicateHardware",
        machine_id_hash=machine,
        replaces=former.id,
        key_thumbprint=key.thumbprint,
        public_key=public_key_bytes(key.public_key),
        certificate="",
        tags=(),
    )
    with office.services.database.write() as connection:
        for device in (former, newcomer):
            devices.add(connection, device)
            check_ins.add(connection, device.id)


def choose(page: Page, act: str) -> None:
    """Choose something that can be done to the device on the page."""
    page.get_by_text("Actions", exact=True).click()
    page.get_by_role("link", name=act, exact=True).click()


def test_a_device_is_let_in_quarantined_released_and_told_to_leave(office: Office, ada: Watched) -> None:
    page = ada.page
    comes(office)
    page.goto(f"{office.url}/devices?state=pending")
    page.get_by_role("table", name="Devices and how they stand").get_by_role("link", name="web-new").click()

    choose(page, "Approve")
    side_by_side = page.get_by_role("table", name="Devices that may be the same machine")
    expect(side_by_side).to_contain_text("web-old")
    expect(side_by_side).to_contain_text("machineId")
    page.get_by_label("It takes the place of web-old").check()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#about")).to_contain_text("MDE")
    expect(page.locator("#about")).to_contain_text("edge")
    assert stored(office).certificate.startswith("-----BEGIN CERTIFICATE-----")

    with office.services.database.write() as connection:
        cloned = replace(stored(office), state=DeviceState.QUARANTINED, state_reason=CLONED_IDENTITY)
        devices.put(connection, cloned)
    page.reload()
    choose(page, "Release from quarantine")
    expect(page.get_by_text("counts its requests anew")).to_be_visible()
    page.get_by_role("link", name="Leave it as it is").click()
    assert stored(office).state is DeviceState.QUARANTINED
    choose(page, "Release from quarantine")
    page.get_by_role("button", name="Release from quarantine").click()
    expect(page.locator("#about")).to_contain_text("In use")
    assert stored(office).state is DeviceState.ACTIVE

    choose(page, "Offboard")
    page.get_by_label("Type its name to confirm").fill("web-new")
    page.get_by_role("button", name="Offboard").click()
    expect(page.locator("#notices")).to_contain_text("told to leave")
    page.get_by_role("link", name="Timeline").click()
    expect(page.locator("#timeline")).to_contain_text("Device leaving ordered")
    assert stored(office).state is DeviceState.LEAVING
    assert ada.complaints == []


def test_a_package_is_made_and_saved_as_a_file(office: Office, ada: Watched, tmp_path: Path) -> None:
    page = ada.page
    page.goto(f"{office.url}/packages")
    page.get_by_role("link", name="New package").click()
    page.get_by_label("Name").fill("Branch office")
    page.get_by_label("Shell script for Linux").check()
    page.get_by_role("button", name="Make the package").click()

    with page.expect_download() as download:
        page.get_by_role("link", name="shieldwall_onboarding.json").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)

    assert open_package(file.read_bytes(), office.services.clock.now()).allowed_platforms == ("linux",)
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Branch office")
    assert ada.complaints == []


def test_a_rule_is_marked_where_it_is_wrong_then_tried_and_saved(office: Office, ada: Watched) -> None:
    page = ada.page
    group = office.group()
    page.goto(f"{office.url}/groups/{group}")
    page.get_by_role("link", name="Give it a rule").click()
    page.get_by_label("Rule", exact=True).fill('device.displayName\n  -any (_ -eq "web")')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("mark")).to_have_text("-")
    page.get_by_label("Rule", exact=True).fill('device.deviceOSType -eq "Linux"')
    page.get_by_label("Devices to try it on").fill(office.device)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", level=3)).to_contain_text("would belong")
    page.get_by_role("button", name=re.compile("Save: gain [1-9]")).click()

    expect(page).to_have_url(f"{office.url}/groups/{group}")
    expect(page.locator("#about")).to_contain_text("by rule")
    page.get_by_role("navigation", name="About this group").get_by_role("link", name="History").click()
    expect(page.locator("#history")).to_contain_text(f"ada@{office.services.tenant.domain}")
