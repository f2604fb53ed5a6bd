"""The whole way of a Mac over the stand-ins: real server, real applier, Defender's own program as it is documented."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.platforms.reported import by_setting
from tests.support.life import Life, a_life
from tests.support.macos import ANTIVIRUS, PROGRAMS, Mac

from shieldwall.agent.applier.assembly import LocalApplier, local_applier
from shieldwall.agent.applier.grounds import macos_ground
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.host.macos.looking import MacosLooking
from shieldwall.agent.host.macos.preferences import ATTACHED, FROM_MDM
from shieldwall.agent.journal import Journal
from shieldwall.agent.providers.macos.provider import PREFIX
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.machine import RemoteMachine
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.status import SettingState
from shieldwall.testing.macos.machine import PretendMac

SETTING = f"{PREFIX}enforcementlevel_antivirusengine"


@dataclass
class MacDevice:
    """A Mac with an agent that enforces in its own process."""

    life: Life
    directory: Path
    mac: Mac = field(init=False)

    def __post_init__(self) -> None:
        self.mac = Mac(root=self.directory / "root")
        PretendMac().install(self.mac.root / PROGRAMS)

    @property
    def applier(self) -> LocalApplier:
        host, clock = self.mac.host, self.life.server.clock
        ground = macos_ground(MacosLooking(host, seconds=lambda: 100.0))
        return local_applier(host, self.directory / "applier", clock=clock, say=lambda *_, **__: None, ground=ground)

    @property
    def surroundings(self) -> Surroundings:
        clock, applier = self.life.server.clock, self.applier
        enforcer = AskingEnforcer(
            ask=partial(applier.desk, asker=Asker(uid=0)), begin=applier.warden.start, obeys_at_once=True
        )
        return Surroundings(
            state=AgentState(directory=self.directory / "agent", disk=LocalDisk()),
            open_transport=self.life.open_transport,
            machine=RemoteMachine(enforcer=enforcer),
            enforcer=enforcer,
            clock=clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=clock),
        )

    def check_in(self) -> dict[str, Any]:
        self.surroundings.enrolled().check_in()
        return by_setting(self.surroundings.state.find_report())


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with a_life(tmp_path) as life:
        yield life


@pytest.fixture
def device(life: Life, tmp_path: Path) -> MacDevice:
    device = MacDevice(life=life, directory=tmp_path / "device")
    device.surroundings.onboard()(life.package(allowedPlatforms=["macos"]))
    return device


def policy_for_macs(life: Life) -> str:
    instance = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
        "settingDefinitionId": SETTING,
        "choiceSettingValue": {"value": f"{SETTING}_0", "children": []},
    }
    body = {
        "name": "Antivirus",
        "platforms": "macOS",
        "technologies": "mdm,microsoftSense",
        "templateReference": {"templateId": ANTIVIRUS},
        "settings": [{"settingInstance": instance}],
    }
    return str(life.post("/beta/deviceManagement/configurationPolicies", body)["id"])


def assign(life: Life, policy: str, *groups: str) -> None:
    targets = [
        {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group}} for group in groups
    ]
    life.post(f"/beta/deviceManagement/configurationPolicies/{policy}/assign", {"assignments": targets})


def test_a_mac_lives_a_whole_life(life: Life, device: MacDevice) -> None:
    policy, group = policy_for_macs(life), life.group("Macs", rule='(device.deviceOSType -eq "macOS")')
    assign(life, policy, group)
    assert device.mac.preferences() is None

    assert {name: status.state for name, status in device.check_in().items()} == {SETTING: SettingState.SUCCEEDED}
    written = device.mac.preferences()
    assert written["antivirusEngine"]["enforcementLevel"]
    assert life.managed(device.surroundings.state.get_identity().device_id)["deviceType"] == "mac"

    device.mac.put(ATTACHED, {"shieldwallManaged": True, "antivirusEngine": {"enforcementLevel": "passive"}})
    device.surroundings.enrolled().enforcement.refresh()
    assert device.mac.preferences()["antivirusEngine"] == written["antivirusEngine"]

    assign(life, policy)
    device.check_in()
    assert device.mac.preferences() is None

    assign(life, policy, group)
    device.check_in()
    assert device.mac.preferences() == written
    device.surroundings.enrolled().offboard(reason="sold")
    assert device.mac.preferences() is None


def test_a_mac_that_an_mdm_manages_stays_as_it_is(life: Life, device: MacDevice) -> None:
    assign(life, policy_for_macs(life), life.group("Macs", rule='(device.deviceOSType -eq "macOS")'))
    device.mac.put(FROM_MDM[0], {"antivirusEngine": {"enforcementLevel": "real_time"}})

    device.check_in()

    assert device.mac.preferences() is None
    seen = life.managed(device.surroundings.state.get_identity().device_id)
    assert seen["shieldwall"]["enrollment"]["code"] == 3
