"""The whole way of a Windows device over the stand-ins: real server, real services, real protocol.

Onboarded by an errand of an administrator, given policies, looked at, changed by somebody, let go, offboarded:
after all of it the registry is as it was.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

import pytest
from msgspec import structs
from tests.platforms.pretend_pipes import PretendPipes
from tests.platforms.pretend_vault import PretendSeal, PretendTpmKeys
from tests.support.life import Life, a_life
from tests.support.other_directory import OtherDirectory, a_key

from shieldwall.agent.host import preferences
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.host.windows.survey import SENSE
from shieldwall.agent.journal import Journal
from shieldwall.agent.platforms import WINDOWS, catalog_of
from shieldwall.agent.providers.registry import Management
from shieldwall.agent.providers.windows_defender.landings import landings, properties
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.errands import DIRECTORY, Errand, Errands, Outcome, RunErrands
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.machine import RemoteMachine
from shieldwall.agent.service.proving import authority_of
from shieldwall.agent.service.registering import server_of
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpAnswer, HttpsTransport
from shieldwall.agent.service.waiting import Wake
from shieldwall.agent.windows.applying import WindowsApplier
from shieldwall.agent.windows.identities import AGENT_NUMBER
from shieldwall.agent.windows.vault import WindowsVault
from shieldwall.agent.windows.working import WindowsAgent
from shieldwall.contract import strict_json
from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.status import SettingState
from shieldwall.testing.windows.cim import PretendClass
from shieldwall.testing.windows.defender import PretendDefender
from shieldwall.testing.windows.firewall import PretendFirewall
from shieldwall.testing.windows.machine import SERVER_2022, WINDOWS_11, Edition, PretendWindows

MONITORING = "device_vendor_msft_policy_config_defender_allowbehaviormonitoring"
BLOCK_LEVEL = "device_vendor_msft_policy_config_defender_cloudblocklevel"
ANTIVIRUS = "804339ad-1553-4478-a742-138fb5807418_1"
UUID = "4C4C4544-0051-3510-8052-B4C04F4D3132"
POLICY_KEY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender"


@dataclass
class WindowsDevice:
    """One Windows machine with both services on it; they are stopped and started anew like any."""

    life: Life
    directory: Path
    edition: Edition = WINDOWS_11
    windows: PretendWindows = field(init=False)
    defender: PretendDefender = field(init=False)
    keys: PretendTpmKeys = field(default_factory=PretendTpmKeys)
    pipes: PretendPipes = field(default_factory=PretendPipes)
    connections: dict[int, SocketApplier] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self.directory / "root"
        root.mkdir(parents=True)
        self.windows = PretendWindows(root, self.edition)
        self.defender = PretendDefender(self.windows.registry)
        self.windows.add(self.defender)
        self.windows.add(PretendFirewall(self.windows.registry))
        self.windows.add(PretendClass("Win32_ComputerSystem", [{"Manufacturer": "Contoso", "Model": "Slab"}]))
        self.windows.add(PretendClass("Win32_ComputerSystemProduct", [{"UUID": UUID}]))
        self.store = preferences.PreferenceStore(self.windows.cim, properties(landings(catalog_of(WINDOWS)).values()))
        self.windows.mount(preferences.MOUNT, self.store)
        self.windows.registry.fill(r"HKLM\SOFTWARE\Policies\Microsoft", {})  # there on every Windows

    @contextmanager
    def applier(self) -> Iterator[None]:
        """Run the applier's service."""
        clock = self.life.server.clock
        applier = WindowsApplier(
            host=self.windows.host,
            registry=self.windows.registry,
            management=Management(cim=self.windows.cim, refusals=self.store.refusals),
            state=self.directory / "applier",
            pipes=self.pipes,
            clock=clock,
            journal=Journal(out=io.StringIO(), clock=clock),
            monotonic=time.monotonic,
            boot_id=lambda: "boot",
            uptime=lambda: 100.0,
        )
        ready = threading.Event()
        thread = threading.Thread(target=applier.run, args=(ready.set,))
        thread.start()
        try:
            assert ready.wait(60)
            yield
        finally:
            self.hang_up()
            applier.stop()
            thread.join(60)
        assert not thread.is_alive()

    def asking_as(self, number: int) -> AskingEnforcer:
        """Ask the applier as somebody, over one connection that is kept."""
        if number not in self.connections:
            self.connections[number] = SocketApplier(
                Path("pipe"), patience_seconds=120, dial=self.pipes.dial_as(number)
            )
        return AskingEnforcer(ask=self.connections[number])

    def hang_up(self) -> None:
        """Close every connection."""
        for connection in self.connections.values():
            connection.close()

    @property
    def state(self) -> AgentState:
        """What the agent keeps."""
        vault = WindowsVault(keys=self.keys, seal=PretendSeal(), randomness=os.urandom)
        return AgentState(directory=self.directory / "agent", disk=LocalDisk(), vault=vault)

    @property
    def surroundings(self) -> Surroundings:
        enforcer = self.asking_as(AGENT_NUMBER)
        clock = self.life.server.clock
        return Surroundings(
            state=self.state,
            open_transport=self.life.open_transport,
            machine=RemoteMachine(enforcer=enforcer),
            enforcer=enforcer,
            clock=clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=clock),
        )

    def errand(self, errand: Errand) -> str:
        """Let an administrator ask and the agent do; returns the code of a refusal."""
        errands = Errands(directory=self.directory / "agent" / DIRECTORY, disk=LocalDisk())
        errands.ask("one", errand)
        RunErrands(errands=errands, surroundings=lambda: self.surroundings, platform="windows")()
        outcome = errands.outcome("one")
        assert outcome is not None
        return outcome.code

    def onboard(self) -> None:
        package = self.life.post(
            "/beta/deviceManagement/onboardingPackages", {"displayName": "W", "allowedPlatforms": ["windows"]}
        )["package"]
        opened = self.life.package(allowedPlatforms=["windows"])
        self.asking_as(0).adopt(authority=authority_of(server_of(opened, None)))
        code = self.errand(Errand(kind="onboard", package=strict_json.encode(package).decode()))
        assert code == ""

    def check_in(self) -> dict[str, Any]:
        self.surroundings.enrolled().check_in()
        report = self.surroundings.state.find_report()
        return {} if report is None else {str(each.setting): each for each in report.settings}

    def registry(self) -> Any:
        return self.windows.registry.read("HKLM")

    def value(self, key: str, name: str) -> RegistryValue | None:
        return self.windows.registry.value(rf"{POLICY_KEY}\{key}", name)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with a_life(tmp_path) as life:
        yield life


@pytest.fixture
def device(life: Life, tmp_path: Path) -> WindowsDevice:
    return WindowsDevice(life=life, directory=tmp_path / "device")


def chosen(setting: str, option: str) -> dict[str, Any]:
    return {
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
            "settingDefinitionId": setting,
            "choiceSettingValue": {"value": f"{setting}_{option}", "children": []},
        }
    }


class Away:
    """A network on which nobody is reached."""

    def post(self, *_arguments: object, **_options: object) -> HttpAnswer:
        raise GatewayUnreachableError("The gateway is away.")


def policy_for_windows(life: Life, *, monitoring: bool = True) -> str:
    """Publish an antivirus policy and aim it at every managed Windows device."""
    body = {
        "name": "Antivirus",
        "platforms": "windows10",
        "technologies": "mdm,microsoftSense",
        "templateReference": {"templateId": ANTIVIRUS},
        "settings": [chosen(MONITORING, str(int(monitoring))), chosen(BLOCK_LEVEL, "2")],
    }
    policy = str(life.post("/beta/deviceManagement/configurationPolicies", body)["id"])
    assign(life, policy, life.group("Windows", rule='(device.deviceOSType -startsWith "Windows")'))
    return policy


def assign(life: Life, policy: str, *groups: str) -> None:
    targets = [
        {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}} for group in groups
    ]
    life.post(f"/beta/deviceManagement/configurationPolicies/{policy}/assign", {"assignments": targets})


def test_a_windows_device_lives_a_whole_life(life: Life, device: WindowsDevice) -> None:
    before = device.registry()
    policy = policy_for_windows(life)

    with device.applier():
        device.onboard()
        state = device.surroundings.state
        assert state.get_key().protection == "tpm"

        statuses = device.check_in()
        assert {name: status.state for name, status in statuses.items()} == {
            MONITORING: SettingState.SUCCEEDED,
            BLOCK_LEVEL: SettingState.SUCCEEDED,
        }
        assert {status.provider for status in statuses.values()} == {"windowsdefender"}
        assert device.value("Real-Time Protection", "DisableBehaviorMonitoring") == RegistryValue.dword(0)
        assert device.value("MpEngine", "MpCloudBlockLevel") == RegistryValue.dword(2)

        seen = life.managed(state.get_identity().device_id)
        assert (seen["operatingSystem"], seen["deviceType"]) == ("Windows", "desktop")

        # Somebody changes what is managed: it goes back, and is told.
        device.windows.registry.fill(
            rf"{POLICY_KEY}\Real-Time Protection", {"DisableBehaviorMonitoring": RegistryValue.dword(1)}
        )
        device.surroundings.enrolled().enforcement.refresh()
        assert device.value("Real-Time Protection", "DisableBehaviorMonitoring") == RegistryValue.dword(0)
        assert device.check_in()[MONITORING].state is SettingState.SUCCEEDED

        # Nothing is left of a policy that is taken away.
        assign(life, policy)
        assert device.check_in() == {}
        assert device.registry() == before

        assign(life, policy, life.group("Again", rule='(device.deviceOSType -eq "Windows")'))
        assert device.check_in()[BLOCK_LEVEL].state is SettingState.SUCCEEDED

    with device.applier():  # both services are started anew
        assert device.value("MpEngine", "MpCloudBlockLevel") == RegistryValue.dword(2)
        assert device.errand(Errand(kind="offboard", reason="sold")) == "leaveRefused", "nobody allowed it"
        device.asking_as(0).release()
        assert device.errand(Errand(kind="offboard", reason="sold")) == ""
        assert device.surroundings.state.find_identity() is None

    assert device.registry() == before


def test_tamper_protection_of_windows_is_told_as_what_it_is(life: Life, device: WindowsDevice) -> None:
    device.defender.tamper_protected = True
    policy_for_windows(life, monitoring=False)

    with device.applier():
        device.onboard()
        statuses = device.check_in()

    assert statuses[BLOCK_LEVEL].state is SettingState.SUCCEEDED
    assert statuses[MONITORING].state is SettingState.ERROR
    assert "amper" in f"{statuses[MONITORING].code} {statuses[MONITORING].reason}"


def test_a_machine_that_an_mdm_manages_stays_as_it_is(life: Life, device: WindowsDevice) -> None:
    policy_for_windows(life)
    device.windows.registry.fill(SENSE, {"EnrollmentStatus": RegistryValue.dword(3)})
    before = device.registry()

    with device.applier():
        device.onboard()
        device.check_in()

        assert device.registry() == before
        seen = life.managed(device.surroundings.state.get_identity().device_id)
        assert seen["shieldwall"]["enrollment"]["code"] == EnrollmentCode.MANAGED_BY_MDM


@pytest.mark.parametrize(
    ("product_type", "includes_controllers", "managed"), [(3, False, True), (2, False, False), (2, True, True)]
)
def test_servers_are_servers_and_domain_controllers_wait_for_the_scope(
    life: Life, tmp_path: Path, product_type: int, includes_controllers: bool, managed: bool
) -> None:
    scope = life.get("/beta/deviceManagement/enforcementScope")
    life.patch("/beta/deviceManagement/enforcementScope", {"includesDomainControllers": includes_controllers})
    policy_for_windows(life)
    device = WindowsDevice(life, tmp_path / "server", replace(SERVER_2022, product_type=product_type))

    with device.applier():
        device.onboard()
        statuses = device.check_in()
        statuses = device.check_in() or statuses

    assert scope["includesDomainControllers"] is False
    seen = life.managed(device.state.get_identity().device_id)
    assert seen["operatingSystem"] == "Windows Server"
    assert (seen["shieldwall"]["enrollment"]["code"] == EnrollmentCode.MANAGED) is managed
    assert (device.value("MpEngine", "MpCloudBlockLevel") == RegistryValue.dword(2)) is managed, statuses


def test_a_package_for_another_platform_is_refused(life: Life, device: WindowsDevice) -> None:
    package = life.post(
        "/beta/deviceManagement/onboardingPackages", {"displayName": "L", "allowedPlatforms": ["linux"]}
    )["package"]

    with device.applier():
        code = device.errand(Errand(kind="onboard", package=strict_json.encode(package).decode()))

        assert code == "unsuitablePackage"
        assert device.surroundings.state.find_identity() is None


def test_the_service_onboards_when_it_is_told_checks_in_and_stops(life: Life, device: WindowsDevice) -> None:
    policy_for_windows(life)
    package = strict_json.encode(
        life.post("/beta/deviceManagement/onboardingPackages", {"displayName": "W", "allowedPlatforms": ["windows"]})[
            "package"
        ]
    ).decode()
    errands = Errands(directory=device.directory / "agent" / DIRECTORY, disk=LocalDisk())

    with device.applier():
        opened = life.package(allowedPlatforms=["windows"])
        device.asking_as(0).adopt(authority=authority_of(server_of(opened, None)))
        agent = WindowsAgent(
            surroundings=structs.replace(
                device.surroundings, open_transport=lambda server: Impatient(life.open_transport(server))
            ),
            lock=StateLock(directory=device.directory / "agent", monotonic=time.monotonic, sleep=time.sleep),
            journal=Journal(out=io.StringIO(), clock=life.server.clock),
        )
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            errands.ask("one", Errand(kind="onboard", package=package))
            agent.pause.ask(Wake.SYNC)
            _until(lambda: device.value("MpEngine", "MpCloudBlockLevel") == RegistryValue.dword(2))
            assert errands.outcome("one") == Outcome()

            device.asking_as(0).release()
            errands.ask("two", Errand(kind="offboard", reason="sold"))
            agent.pause.ask(Wake.SYNC)
            _until(lambda: device.state.find_identity() is None)
            _until(lambda: errands.outcome("two") == Outcome())
            assert thread.is_alive(), "the service waits for the next errand"
        finally:
            agent.stop()
            thread.join(60)
            _until(lambda: not any(each.name == "waiting" for each in threading.enumerate()))
    assert not thread.is_alive()
    assert device.value("MpEngine", "MpCloudBlockLevel") is None


@dataclass
class Impatient:
    """A network on which nobody waits long for a policy sync, so that the server can end with the test."""

    network: HttpsTransport

    def post(
        self, url: SplitResult, path: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> HttpAnswer:
        seconds = 1.0 if path.endswith("/wait") else timeout_seconds
        return self.network.post(url, path, headers=headers, body=body, timeout_seconds=seconds)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_errand_that_is_none_is_answered_and_gone(device: WindowsDevice) -> None:
    directory = device.directory / "agent" / DIRECTORY
    directory.mkdir(parents=True)
    (directory / "odd.errand").write_bytes(b"{")
    errands = Errands(directory=directory, disk=LocalDisk())

    done = RunErrands(errands=errands, surroundings=lambda: device.surroundings, platform="windows")()

    assert done == frozenset()
    outcome = errands.outcome("odd")
    assert outcome is not None
    assert outcome.code
    assert list(directory.iterdir()) == []


def test_a_registration_is_joined_and_named_by_errands(life: Life, device: WindowsDevice, tmp_path: Path) -> None:
    body = {"displayName": "J", "allowedPlatforms": ["windows"], "joinType": "full"}
    package = strict_json.encode(life.post("/beta/deviceManagement/onboardingPackages", body)["package"]).decode()
    files = tmp_path / "registration"
    files.mkdir()

    with device.applier():
        device.onboard()
        missing = Errand(kind="join", certificate=str(files / "cert.pem"), key=str(files / "key.pem"))
        assert device.errand(missing) == "existingUnusable"

        assert device.errand(Errand(kind="join", package=package)) == ""
        joined = device.surroundings.existing.find_join()
        assert joined is not None
        assert device.surroundings.enrolled().check_in().promoted
        identity = device.state.get_identity()
        assert (identity.device_id, identity.registration) == (joined.device_id, "full")

        holder = OtherDirectory(life.server.clock.now()).holder(joined.device_id, key=a_key("p256"))
        (files / "cert.pem").write_text(holder.pem)
        (files / "key.pem").write_bytes(holder.key_pem)
        assert device.errand(missing) == ""
        assert device.surroundings.existing.own_files() == (files / "cert.pem", files / "key.pem")


def test_a_device_leaves_without_its_server_when_that_is_said(
    life: Life, device: WindowsDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = device.registry()
    policy_for_windows(life)

    with device.applier():
        device.onboard()
        assert device.check_in()[BLOCK_LEVEL].state is SettingState.SUCCEEDED
        device.asking_as(0).release()
        monkeypatch.setattr(life, "open_transport", lambda _server: Away())

        assert device.errand(Errand(kind="offboard")) == "gatewayUnreachable"
        assert device.state.find_identity() is not None
        assert device.errand(Errand(kind="offboard", without_server=True)) == ""
        assert device.state.find_identity() is None

    assert device.registry() == before
