"""The whole mission as a newcomer does it in the browser, with a real agent: from the first code to offboarding."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from samples.device import LOCAL_MDATP, SampleDevice
from tests.e2e.conftest import eventually
from tests.portal.test_browser_passkeys import add_authenticator, context, page, trusting
from tests.support.command_line import on_console
from tests.support.portal_browser import Office, Watched, _running
from tests.support.ports import free_port

from shieldwall.contract.ids import DeviceId, PolicyId
from shieldwall.server.configuration import settings as settings_file
from shieldwall.server.main import open_services

__all__ = ["context", "page", "trusting"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ARCHIVES = "linux_mdatp_managed_antivirusengine_scanarchives"
WORDS = "Enable scanning of archives"
POLICY, OTHER = "Servers: scan archives", "Servers: leave archives"
SOON = 60_000
"""Milliseconds for what a device has to do: seconds where it has a processor for itself."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A server that nobody has touched."""
    data = tmp_path_factory.mktemp("server") / "data"
    urls = ("--public-url", f"https://localhost:{free_port()}", "--gateway-url", f"https://localhost:{free_port()}")
    on_console("server", "init", "--data", str(data), *urls)
    with _running(data), open_services(settings_file.load(data)) as services:
        yield Office(services=services, device=DeviceId(""), policy=PolicyId(""))


@pytest.fixture
def server(tmp_path: Path) -> SampleDevice:
    """A machine with Microsoft Defender, whose settings somebody made by hand."""
    device = SampleDevice(name="web-01", home=tmp_path / "web-01", has_mdatp=True)
    device.prepare(namespaced=False)
    return device


class Mission:
    """A newcomer at a browser, and a machine beside it."""

    def __init__(self, page: Page, office: Office, server: SampleDevice) -> None:
        self.page, self.office, self.server = page, office, server
        self.watched = Watched(page)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.office.url}{path}")

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=name)

    def press(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name).first.click()

    def agent(self, *words: str) -> str:
        done = subprocess.run(
            self.server.agent(*words, namespaced=False), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def told(self) -> Path:
        """What the product on the machine is told."""
        return self.server.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"

    def scans_archives(self) -> bool | None:
        """What the machine does about archives; nothing where nobody has decided."""
        engine: dict[str, bool] = json.loads(self.told.read_text())["antivirusEngine"]
        return engine.get("scanArchives")


def test_a_newcomer_does_the_whole_mission(page: Page, office: Office, server: SampleDevice, tmp_path: Path) -> None:
    newcomer = Mission(page, office, server)
    page.set_default_timeout(20_000)
    signs_in(newcomer)
    file = makes_a_package(newcomer, tmp_path)
    newcomer.agent("onboard", str(file))
    expect(page.locator("#step-device")).to_contain_text("web-01", timeout=SOON)
    command = server.agent("run", namespaced=False)
    with (tmp_path / "agent.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as agent:
        try:
            expect(page.locator("#step-managed")).to_contain_text("Done", timeout=SOON)
            makes_a_group(newcomer)
            assigns_what_it_sees_beforehand(newcomer)
            meets_a_conflict(newcomer)
            repairs_it(newcomer)
            rolls_a_mistake_back(newcomer)
            offboards(newcomer)
            agent.wait(60)
        finally:
            agent.terminate()
            agent.wait(30)
    assert newcomer.told.read_text() == LOCAL_MDATP, "the machine is as it was before management"
    expect(page.get_by_role("main")).to_contain_text("Nobody: offboarded", timeout=SOON)
    assert newcomer.watched.complaints == []


def signs_in(newcomer: Mission) -> None:
    page = newcomer.page
    add_authenticator(page)
    page.goto(newcomer.office.link("Ada"))
    newcomer.press("Sign in")
    newcomer.press("Make the passkey")
    expect(page.get_by_role("heading", level=1)).to_have_text("First steps")
    expect(page.locator("#step-passkey")).to_contain_text("Done")


def makes_a_package(newcomer: Mission, folder: Path) -> Path:
    page = newcomer.page
    newcomer.link("Make a package").click()
    newcomer.press("Make the package")
    with page.expect_download() as download:
        newcomer.link("shieldwall_onboarding.json").click()
    file = folder / "shieldwall_onboarding.json"
    download.value.save_as(file)
    file.chmod(0o600)
    newcomer.link("I ran it: wait for the device").click()
    expect(page.locator("#step-device")).to_contain_text("Waiting for the first device")
    return file


def makes_a_group(newcomer: Mission) -> None:
    page = newcomer.page
    newcomer.go("/groups/new")
    page.get_by_label("Name", exact=True).fill("Servers")
    page.get_by_label("Dynamic").check()
    page.get_by_label("Rule", exact=True).fill('device.deviceOSType -eq "Linux"')
    newcomer.press("Create group")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Servers")


def fills_the_wizard(newcomer: Mission, name: str, value: str) -> None:
    """Everything up to the preview."""
    page = newcomer.page
    newcomer.go("/policies/new")
    page.get_by_role("button", name="Create Microsoft Defender Antivirus", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    newcomer.press("Next")
    page.get_by_label("Search settings").fill("archives")
    newcomer.press("Search and check")
    page.locator(f'select[name="{ARCHIVES}"]').select_option(f"{ARCHIVES}_{value}")
    newcomer.press("Next")
    expect(page.get_by_role("group", name="Scope tags")).to_be_visible()
    newcomer.press("Next")
    page.get_by_label("Find groups by name").fill("Servers")
    newcomer.press("Find and add")
    page.get_by_label(re.compile("Servers")).check()
    newcomer.press("Next")
    expect(page.locator("#preview")).to_contain_text("device is sent something else, of 1 managed")


def assigns_what_it_sees_beforehand(newcomer: Mission) -> None:
    page = newcomer.page
    fills_the_wizard(newcomer, POLICY, "true")
    seen = page.get_by_role("table", name="Settings that come out otherwise")
    expect(seen).to_contain_text(WORDS)
    expect(seen).to_contain_text("web-01")
    assert newcomer.scans_archives() is None
    page.get_by_label("Reason").fill("Malware came in an archive")
    newcomer.press("Create")
    expect(page.get_by_role("heading", level=1)).to_have_text(POLICY)
    newcomer.go("/welcome")
    expect(page.locator("#step-effect")).to_contain_text("Done", timeout=SOON)
    expect(page.locator("#steps")).to_contain_text("All done")
    assert newcomer.scans_archives() is True


def meets_a_conflict(newcomer: Mission) -> None:
    page = newcomer.page
    newcomer.go("/policies/conflict-rules")
    page.get_by_label("Antivirus", exact=True).select_option(label="Nothing wins")
    newcomer.press("Preview")
    newcomer.press("Save the rules")
    fills_the_wizard(newcomer, OTHER, "false")
    expect(page.locator("#preview")).to_contain_text("Conflicts that come")
    page.get_by_label("I have read").check()
    newcomer.press("Create")
    expect(page.get_by_role("heading", level=1)).to_have_text(OTHER)

    newcomer.go("/policies/conflicts")
    contest = page.get_by_role("article", name=WORDS)
    expect(contest.get_by_role("table")).to_contain_text(POLICY)
    expect(contest.get_by_role("table")).to_contain_text(OTHER)
    expect(contest).to_contain_text("Ways out")
    newcomer.go("/devices")
    newcomer.link("web-01").click()
    expect(page.locator("#standing")).to_contain_text("Conflict", timeout=SOON)
    assert newcomer.scans_archives() is None, "in a conflict the machine is as it was before management"


def repairs_it(newcomer: Mission) -> None:
    page = newcomer.page
    newcomer.go("/policies/conflicts")
    newcomer.link(f"{OTHER}").first.click()
    newcomer.link("Delete").click()
    expect(page.get_by_role("main")).to_contain_text("Conflicts that go")
    newcomer.press("Delete this policy")
    newcomer.go("/devices")
    newcomer.link("web-01").click()
    expect(page.locator("#standing")).to_contain_text("Succeeded", timeout=SOON)
    assert newcomer.scans_archives() is True


def rolls_a_mistake_back(newcomer: Mission) -> None:
    page = newcomer.page
    newcomer.go("/policies")
    newcomer.link(POLICY).first.click()
    newcomer.link("Edit").click()
    newcomer.press(re.compile("Edit Configuration settings"))
    page.locator(f'select[name="{ARCHIVES}"]').select_option(f"{ARCHIVES}_false")
    newcomer.press("Review and save")
    expect(page.locator("#preview")).to_contain_text("lowers protection")
    page.get_by_label("I have read").check()
    newcomer.press("Save")
    expect(page.get_by_role("heading", level=1)).to_have_text(POLICY)
    eventually(lambda: newcomer.scans_archives() is False)

    newcomer.link("History").click()
    newcomer.link("Roll back to revision 1").click()
    newcomer.press(re.compile("Roll back"))
    eventually(lambda: newcomer.scans_archives() is True)


def offboards(newcomer: Mission) -> None:
    page = newcomer.page
    newcomer.go("/devices")
    newcomer.link("web-01").click()
    page.get_by_text("Actions", exact=True).click()
    newcomer.link("Offboard").click()
    page.get_by_label("Type its name to confirm").fill("web-01")
    newcomer.press("Offboard")
