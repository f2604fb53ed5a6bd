"""The whole mission as a newcomer does it in the browser, with a real agent: from the first code to a device set free."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from samples.device import LOCAL_MDATP, SampleDevice
from tests.portal.test_browser_passkeys import add_authenticator, context, page, trusting
from tests.support.command_line import on_console
from tests.support.portal_browser import Office, Watched, _running
from tests.support.ports import free_port

from shieldwall.contract.ids import DeviceId, PolicyId
from shieldwall.server import settings as settings_file
from shieldwall.server.main import open_services

__all__ = ["context", "page", "trusting"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

POLICY = "Servers: antivirus"
OTHER = "Servers: another word"
SCANS = "Scanning inside archives"
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

    def managed(self) -> dict[str, Any]:
        """What the product on the machine is told."""
        told: dict[str, Any] = json.loads(self._file.read_text())
        return told

    @property
    def _file(self) -> Path:
        return self.server.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"


def test_a_newcomer_does_the_whole_mission(page: Page, office: Office, server: SampleDevice, tmp_path: Path) -> None:
    newcomer = Mission(page, office, server)
    page.set_default_timeout(SOON)
    signs_in(newcomer)
    file = makes_a_package(newcomer, tmp_path)
    newcomer.agent("onboard", str(file))
    expect(page.locator("#step-device")).to_contain_text("web-01", timeout=SOON)
    command = server.agent("run", namespaced=False)
    with (tmp_path / "agent.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as agent:
        try:
            expect(page.locator("#step-managed")).to_contain_text("Done", timeout=SOON)
            makes_a_group(newcomer)
        finally:
            agent.terminate()
            agent.wait(30)


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
