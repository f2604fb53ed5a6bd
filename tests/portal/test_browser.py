"""A real Chromium over the real server processes: what a person sees, and what the browser complains about."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from tests.support.gateway_world import free_port
from tests.support.manager_world import CLOUD, a_draft
from tests.support.samples import a_device

from shieldwall.contract.ids import DeviceId, PolicyId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server import settings as settings_file
from shieldwall.server.directory import administrators
from shieldwall.server.main import open_services
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import check_ins, devices, statuses
from shieldwall.server.storage.records import AssignmentKind

pytestmark = pytest.mark.browser

SHIELDWALL: Final = str(Path(sys.executable).with_name("shieldwall"))
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE: Final = '<script>document.title="owned"</script>\u202egro.live'


@dataclass(frozen=True)
class Office:
    """A server of three processes, with one device and one policy in its database."""

    services: AdminServices
    device: DeviceId
    policy: PolicyId

    @property
    def url(self) -> str:
        return self.services.settings.public_url

    def link(self) -> str:
        """A link that signs in once."""
        with self.services.database.write() as connection:
            code = administrators.invite(connection, self.services.acting("console"), display_name="Ada")
        return f"{self.url}/sign-in?code={code}"

    def reports(self, state: SettingState) -> None:
        """The device reports that its one setting is in this state."""
        with self.services.database.write() as connection:
            target = check_ins.get(connection, self.device).target_digest
            told = SettingStatus(setting=CLOUD, state=state, code="notEffective", reason="The engine sleeps.")
            report = StatusReport(target=target, settings=(told,))
            check_ins.set_status(
                connection,
                self.device,
                statuses.keep(connection, self.services.tenant.id, report),
                self.services.clock.now(),
            )

    def is_asked(self) -> bool:
        with self.services.database.read() as connection:
            return check_ins.get(connection, self.device).sync_requested_at is not None


@dataclass
class Watched:
    """A page and everything its browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what a page still loads when it is left
            self.complaints.append(f"failed: {request.url}")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    data = tmp_path_factory.mktemp("server") / "data"
    words = ["server", "init", "--data", str(data)]
    words += ["--public-url", f"https://localhost:{free_port()}", "--gateway-url", f"https://localhost:{free_port()}"]
    subprocess.run([SHIELDWALL, *words], check=True, capture_output=True, timeout=60)
    with _running(data), open_services(settings_file.load(data)) as services:
        acting = services.acting("test")
        with services.database.write() as connection:
            device = a_device(1, tenant_id=services.tenant.id, display_name=HOSTILE)
            devices.add(connection, device)
            check_ins.add(connection, device.id)
            policies = Policies(catalog=services.catalog, signer=services.signer)
            policy = policies.create(connection, acting, a_draft("Baseline"))
            assign(connection, acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
            check_ins.clear_sync(connection, device.id)
        yield Office(services=services, device=device.id, policy=policy.id)


@contextlib.contextmanager
def _running(data: Path) -> Iterator[None]:
    command = [SHIELDWALL, "server", "run", "--data", str(data)]
    with (
        (data.parent / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            assert "Admin center" in server.stdout.readline(), (data.parent / "server.log").read_text()
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def ada(context: BrowserContext, office: Office) -> Watched:
    """A page on which Ada has just signed in by her link."""
    watched = Watched(context.new_page())
    watched.page.goto(office.link())
    watched.page.get_by_role("button", name="Sign in").click()
    watched.page.wait_for_url(f"{office.url}/")
    return watched


def test_an_administrator_finds_a_device_asks_it_to_come_and_leaves(office: Office, ada: Watched) -> None:
    page = ada.page
    office.reports(SettingState.PENDING)

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Devices").click()
    page.get_by_role("table", name="Devices and how they stand").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>")
    expect(page).to_have_title(re.compile(r"<script>"))
    page.get_by_role("button", name="Policy sync").click()
    expect(page.get_by_role("status")).to_contain_text("asked to check in now")
    assert office.is_asked()

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{office.url}/sign-in")
    page.go_back(wait_until="load")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Shieldwall")
    expect(page.get_by_text("MDE")).to_have_count(0)
    assert ada.complaints == []


def test_a_state_that_changes_shows_without_a_reload(office: Office, ada: Watched) -> None:
    page = ada.page
    office.reports(SettingState.SUCCEEDED)
    page.goto(f"{office.url}/devices/{office.device}")
    settings = page.locator("#settings")
    expect(settings).to_contain_text("Succeeded")
    page.evaluate("window.stayed = true")
    settings.get_by_role("link", name="Baseline").focus()

    office.reports(SettingState.ERROR)

    expect(settings).to_contain_text("The engine sleeps.")
    assert page.evaluate("window.stayed") is True, "the page was not loaded again"
    expect(settings.get_by_role("link", name="Baseline")).to_be_focused()
    assert ada.complaints == []


def test_a_page_left_open_leaves_when_its_session_ends(office: Office, ada: Watched, context: BrowserContext) -> None:
    page = ada.page
    page.goto(f"{office.url}/devices")
    other = context.new_page()
    other.goto(office.url)
    other.get_by_role("button", name="Sign out").click()

    page.bring_to_front()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to Shieldwall")


def test_pages_work_without_scripts(office: Office, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(office.link())
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{office.url}/devices/{office.device}")
    page.get_by_role("button", name="Policy sync").click()
    expect(page.get_by_role("status")).to_contain_text("asked to check in now")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_telephone_and_can_be_read(office: Office, ada: Watched, scheme: str) -> None:
    page = ada.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    one = (f"/devices/{office.device}", f"/policies/{office.policy}")
    for path in ("/", "/devices", *one, "/policies", "/groups", "/scope"):
        page.goto(f"{office.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
        assert json.loads(page.evaluate(FAINTEST)) >= 4.5, path
    assert ada.complaints == []


def test_a_scope_is_previewed_and_then_saved(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/scope")
    page.get_by_label("macOS").select_option("off")
    page.get_by_label("Dynamic tags").fill(
        'Web: device.displayName -startsWith "web"\nDatabases: device.deviceModel -eq "db"'
    )
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_label("macOS")).to_have_value("off")
    page.get_by_role("button", name="Save: take 0, release 0").click()

    expect(page).to_have_url(f"{office.url}/scope")
    expect(page.get_by_label("macOS")).to_have_value("off")
    expect(page.get_by_label("Dynamic tags")).to_contain_text("Databases: ")
    page.get_by_label("macOS").select_option("all")
    page.get_by_label("Dynamic tags").fill("")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("macOS")).to_have_value("all")
    assert ada.complaints == []


def test_the_keyboard_alone_reaches_everything(office: Office, ada: Watched) -> None:
    page = ada.page
    page.goto(f"{office.url}/devices/{office.device}")

    reached: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"no sign of the focus on {reached[-1]}"
        if reached[-1] == "Policy sync":
            break

    assert reached[0] == "Skip to the content"
    assert reached[-1] == "Policy sync"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("asked to check in now")


# The smallest contrast between a text and what is behind it, as WCAG 2 measures it.
FAINTEST: Final = """
() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = parts(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const contrasts = [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => element.checkVisibility())
    .map((element) => [light(parts(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a))
    .map(([lighter, darker]) => (lighter + 0.05) / (darker + 0.05));
  return JSON.stringify(Math.min(...contrasts));
}
"""
