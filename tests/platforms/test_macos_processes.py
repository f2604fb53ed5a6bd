"""The two processes of a Mac, here two threads: the applier on its socket, and the agent that asks it.

From the onboarding to the leave over the stand-ins, with the device key in the enclave; our jobs under launchd.
"""

from __future__ import annotations

import io
import json
import os
import socket as sockets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
from tests.support.macos import ANTIVIRUS, PROGRAMS, Mac, setting
from tests.support.simulated_gateway import TENANT, HandClock, MemoryTransport, SimulatedGateway

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos.enclave import SecureEnclave
from shieldwall.agent.host.macos.preferences import FROM_MDM
from shieldwall.agent.journal import Journal
from shieldwall.agent.macos.applying import MacosApplier, listening, user
from shieldwall.agent.macos.own_services import MacosServices
from shieldwall.agent.macos.places import AGENT_JOB, APPLIER_JOB, JOBS, PACKAGED_JOBS, job_file
from shieldwall.agent.macos.vault import KeyInEnclave, MacosVault
from shieldwall.agent.macos.working import MacosAgent
from shieldwall.agent.providers.macos.provider import PREFIX
from shieldwall.agent.service.errors import UnsuitablePackageError
from shieldwall.agent.service.proving import authority_of
from shieldwall.agent.service.registering import server_of
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.ids import PolicyId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, PolicyDocument
from shieldwall.contract.status import SettingState
from shieldwall.testing.macos.machine import PretendMac
from shieldwall.testing.macos.security import PretendSecurity

pytestmark = pytest.mark.root

SECONDS = 30


def cloud(enabled: bool, revision: int = 1) -> PolicyDocument:
    value = f"{PREFIX}enabled_{str(enabled).lower()}"
    return PolicyDocument(
        tenant_id=TENANT,
        policy_id=PolicyId("cccccccc-0000-4000-8000-000000000001"),
        revision=revision,
        name="Macs",
        platforms="macOS",
        technologies="mdm,microsoftSense",
        template_id=ANTIVIRUS,
        modified_at="2026-11-23T11:00:00Z",
        catalog_version="2026.11.2",
        settings=(ChoiceSetting(definition=setting("enabled"), value=ChoiceValue(value=value)),),
    )


@dataclass
class Life:
    """One Mac with both programs of ours, and the server it belongs to."""

    directory: Path
    gateway: SimulatedGateway = field(default_factory=SimulatedGateway)
    clock: HandClock = field(default_factory=HandClock)
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.mac = Mac(root=self.directory / "mac")
        PretendMac().install(self.mac.root / PROGRAMS)
        self.security = PretendSecurity()

    @property
    def socket(self) -> Path:
        return self.directory / "run/applier.sock"

    @contextmanager
    def applying(self) -> Iterator[MacosApplier]:
        applier = MacosApplier(
            host=self.mac.host,
            state=self.directory / "applier",
            socket=self.socket,
            agent=os.geteuid(),
            clock=self.clock,
            journal=Journal(out=self.log, clock=self.clock),
            monotonic=lambda: 0.0,
        )
        ready = threading.Event()
        thread = threading.Thread(target=applier.run, args=(ready.set,))
        thread.start()
        try:
            assert ready.wait(SECONDS)
            yield applier
        finally:
            self.agent.ask.close()
            applier.stop()
            thread.join(SECONDS)
            assert not thread.is_alive()

    @cached_property
    def agent(self) -> MacosAgent:
        return MacosAgent.of(
            self.directory / "agent",
            self.socket,
            clock=self.clock,
            vault=MacosVault(enclave=SecureEnclave(self.security.frameworks)),
            out=self.log,
            open_transport=lambda _server: MemoryTransport(self.gateway),
        )

    def onboard(self) -> None:
        """Do as root what ``shieldwall-agent onboard`` does: say whom to obey, then register."""
        package = self.gateway.package(allowed_platforms=("macos",))
        self.agent.surroundings.enforcer.adopt(authority=authority_of(server_of(package, None)))
        self.agent.surroundings.onboard()(package)

    def check_in(self) -> None:
        self.agent.surroundings.enrolled().check_in()

    def status(self) -> tuple[SettingState, str | None, bool | None]:
        report = self.gateway.device.report
        assert report is not None
        (found,) = report.settings
        return found.state, found.code or None, found.effective


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def test_a_mac_from_its_onboarding_to_its_leave(life: Life) -> None:
    product = life.mac.mdatp.product
    with life.applying():
        life.onboard()
        life.check_in()
        facts = life.gateway.device.facts
        assert facts is not None
        assert (facts.os_type, facts.model, facts.architecture) == ("macOS", "Mac14,2", "arm64")
        assert (facts.providers, facts.manager) == ({"mdatp": "101.25032.0008"}, None)

        life.gateway.assign(life.gateway.publish(cloud(enabled=False)))
        life.check_in()
        assert life.status() == (SettingState.SUCCEEDED, None, True)
        assert product.effective("cloudService.enabled") == (False, "attach")

        life.gateway.assign(life.gateway.publish(cloud(enabled=True, revision=2)))
        life.check_in()
        assert product.effective("cloudService.enabled") == (True, "attach")

        life.agent.surroundings.enrolled().offboard()

    assert life.gateway.device.offboarded
    assert life.mac.preferences() is None
    assert product.effective("cloudService.enabled") == (True, "default")
    assert (life.security.unreleased, life.security.faults) == (0, [])


def test_what_holds_goes_on_holding_over_a_restart_of_both(life: Life) -> None:
    with life.applying():
        life.onboard()
        life.gateway.assign(life.gateway.publish(cloud(enabled=False)))
        life.check_in()
    life.mac.host.write_file(FROM_MDM[0].with_name("other.plist"), b"")
    before = life.mac.preferences()

    with life.applying():
        assert life.mac.preferences() == before
        life.check_in()

    assert life.status() == (SettingState.SUCCEEDED, None, True)


def test_a_mac_that_an_mdm_takes_over_is_let_go(life: Life) -> None:
    with life.applying():
        life.onboard()
        life.gateway.assign(life.gateway.publish(cloud(enabled=False)))
        life.check_in()
        life.mac.put(FROM_MDM[0], {"cloudService": {"enabled": True}})
        PretendMac(mdm_server="https://i.manage.microsoft.com/x").install(life.mac.root / PROGRAMS)

        life.check_in()

    facts = life.gateway.device.facts
    assert facts is not None
    assert (facts.manager, facts.managed_elsewhere) == ("mdm", "Intune")


def test_the_device_key_is_in_the_enclave(life: Life) -> None:
    with life.applying():
        life.onboard()
        key = life.agent.surroundings.state.get_key()

    assert isinstance(key, KeyInEnclave)
    assert key.thumbprint in life.gateway.devices


def test_a_package_for_other_systems_is_not_for_a_mac(life: Life) -> None:
    with life.applying(), pytest.raises(UnsuitablePackageError):
        life.agent.surroundings.onboard()(life.gateway.package(allowed_platforms=("linux", "windows")))


class StoppingPause:
    """Says after the first check-in that the agent shall stop."""

    def sleep(self, seconds: float) -> Wake:
        assert seconds > 0
        return Wake.STOP

    def during(self, work: object) -> Wake:
        del work
        return Wake.STOP


def test_the_agent_checks_in_by_itself_until_it_is_stopped(life: Life) -> None:
    with life.applying():
        life.onboard()
        life.agent.run(StoppingPause())

    assert life.gateway.device.facts is not None


def test_the_socket_is_open_to_root_and_the_agent_alone(tmp_path: Path) -> None:
    path = tmp_path / "run/applier.sock"

    with listening(path, os.getegid()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == os.getegid()
        with sockets.socket(sockets.AF_UNIX) as asking:
            asking.connect(str(path))


def test_a_place_where_nobody_can_listen_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(HostError, match="cannot be listened on"):
        listening(tmp_path / "file/applier.sock", None)


def test_a_user_that_is_not_there_may_not_ask() -> None:
    assert user("no-such-user-anywhere") is None
    assert user("root") == 0


@dataclass
class Launchd:
    """What launchctl says and was asked, on a Mac whose jobs are installed."""

    mac: Mac
    disabled: tuple[str, ...] = ()
    is_loaded: bool = True

    def __post_init__(self) -> None:
        for job in (AGENT_JOB, APPLIER_JOB):
            for directory in (JOBS, PACKAGED_JOBS):
                self.mac.host.write_file(job_file(directory, job), job.encode())
        jobs = {**dict.fromkeys(self.disabled, "disabled"), "com.other": "enabled"}
        listed = "".join(f'\\t\\t"{job}" => {how}\\n' for job, how in jobs.items())
        script = (
            f'#!/bin/sh\necho "$@" >> {self.log}\ncase "$1" in\n'
            f"print-disabled) printf '\\tdisabled services = {{\\n{listed}\\t}}\\n' ;;\n"
            f"print) exit {0 if self.is_loaded else 113} ;;\nesac\n"
        )
        program = self.mac.root / PROGRAMS / "launchctl"
        program.write_text(script)
        program.chmod(0o755)

    @property
    def log(self) -> Path:
        return self.mac.root / "launchctl.log"

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_our_jobs_are_put_back_enabled_and_loaded_on_a_protected_mac(life: Life) -> None:
    launchd = Launchd(life.mac, disabled=(AGENT_JOB,), is_loaded=False)
    path = job_file(JOBS, APPLIER_JOB)
    life.mac.host.write_file(path, b"changed")

    told = MacosServices(life.mac.host).look(protected=True, is_onboarded=True)

    assert told == (str(path), f"{AGENT_JOB} (disabled)", f"{AGENT_JOB} (unloaded)")
    assert life.mac.host.read_file(path) == APPLIER_JOB.encode()
    assert f"enable system/{AGENT_JOB}" in launchd.asked
    assert f"bootstrap system {job_file(JOBS, AGENT_JOB)}" in launchd.asked


def test_jobs_that_are_as_they_must_be_are_left_alone(life: Life) -> None:
    launchd = Launchd(life.mac)

    assert MacosServices(life.mac.host).look(protected=True, is_onboarded=True) == ()
    assert launchd.asked == ["print-disabled system", f"print system/{AGENT_JOB}"]


def test_without_protection_and_without_launchd_nothing_is_done(life: Life) -> None:
    services = MacosServices(life.mac.host)
    assert services.look(protected=True, is_onboarded=True) == ()

    launchd = Launchd(life.mac, disabled=(AGENT_JOB,))
    assert services.look(protected=False, is_onboarded=True) == ()
    assert (launchd.asked, services.is_going_down()) == ([], True)


def test_what_the_applier_says_is_json(life: Life) -> None:
    with life.applying():
        pass

    events = [json.loads(line)["event"] for line in life.log.getvalue().splitlines()]
    assert events[-2:] == ["ready", "stopped"]
