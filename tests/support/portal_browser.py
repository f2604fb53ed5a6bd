"""A real Chromium over the real server processes, for tests of what a person sees.

A test module takes the fixtures over: ``from tests.support.portal_browser import ada, browser, context, office``.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from sqlalchemy import update
from tests.support import loaded_server
from tests.support.command_line import on_console
from tests.support.manager_world import CLOUD, a_draft
from tests.support.ports import free_port
from tests.support.samples import a_device
from tests.support.signing_inside import SigningInside

from shieldwall.contract.ids import DeviceId, GroupId, PolicyId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.configuration import settings as settings_file
from shieldwall.server.directory import administrators
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.main import open_services
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.tables.schema import sessions

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
_TELLS_OF_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`), true);
"""
"""Browsers do not write every violation of the policy of a page to their console."""
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

    def link(self, name: str = "Ada") -> str:
        """A link that signs a person in once."""
        with self.services.database.write() as connection:
            code = administrators.invite(connection, self.services.acting("console"), display_name=name)
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

    def forget_proofs(self) -> None:
        """Let an hour pass since anybody proved who they are."""
        with self.services.database.write() as connection:
            connection.execute(update(sessions).values(proved_at=self.services.clock.now() - timedelta(hours=1)))

    def group(self) -> GroupId:
        """A new group, with nobody in it."""
        with self.services.database.write() as connection:
            draft = GroupDraft(display_name="Laboratory", mail_nickname="laboratory")
            return create_group(connection, self.services.acting("test"), draft).id

    def is_asked(self) -> bool:
        with self.services.database.read() as connection:
            return check_ins.get(connection, self.device).sync_requested_at is not None


@dataclass
class Watched:
    """A page and everything its browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(_TELLS_OF_VIOLATIONS)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what a page still loads when it is left
            self.complaints.append(f"failed: {request.url}")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with opened_office(tmp_path_factory.mktemp("server") / "data", device_name=HOSTILE) as opened:
        yield opened


@contextlib.contextmanager
def opened_office(data: Path, *, device_name: str) -> Iterator[Office]:
    """Run a server over a new directory, with one device of this name and a policy for it."""
    urls = ("--public-url", f"https://localhost:{free_port()}", "--gateway-url", f"https://localhost:{free_port()}")
    on_console("server", "init", "--data", str(data), *urls)
    with _running(data), open_services(settings_file.load(data)) as services:
        acting = services.acting("test")
        with services.database.write() as connection:
            device = a_device(1, tenant_id=services.tenant.id, display_name=device_name)
            devices.add(connection, device)
            check_ins.add(connection, device.id)
            policies = Policies(catalog=services.catalog, signatures=SigningInside(services.signer))
            policy = policies.create(connection, acting, a_draft("Baseline"))
            assign(connection, acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
            check_ins.clear_sync(connection, device.id)
        yield Office(services=services, device=device.id, policy=policy.id)


@contextlib.contextmanager
def _running(data: Path) -> Iterator[None]:
    log_file = data.parent / "server.log"
    with log_file.open("w") as log, loaded_server.serving(data, log, end=signal.SIGINT) as said:
        assert "Admin center" in said, log_file.read_text()
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)  # a machine may be busy with other tests
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
    watched.page.wait_for_url(re.compile(r"/(account/passkeys/new)?\Z"))
    watched.page.goto(f"{office.url}/")
    return watched
