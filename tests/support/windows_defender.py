"""A pretended Windows machine with Defender on it, and an applier that enforces there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from tests.support import policies
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.preferences import MOUNT, PreferenceStore
from shieldwall.agent.providers.windows_defender.provider import WindowsDefenderProvider, defender
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.contract.status import SettingStatus, StatusReport
from shieldwall.testing.windows.defender import PretendDefender
from shieldwall.testing.windows.machine import WINDOWS_11, Edition, PretendWindows

CATALOG: Final[Catalog] = load(platform="windows")
POLICY: Final = "device_vendor_msft_policy_config_defender_"
CONFIGURATION: Final = "device_vendor_msft_defender_configuration_"
CENTER: Final = "device_vendor_msft_policy_config_windowsdefendersecuritycenter_"
RULES: Final = f"{POLICY}attacksurfacereductionrules"
TAMPER_PROTECTION: Final = SettingId("vendor_msft_defender_configuration_tamperprotection_options")

ANTIVIRUS: Final = TemplateId("804339ad-1553-4478-a742-138fb5807418_1")
EXCLUSIONS: Final = TemplateId("45fea5e9-280d-4da1-9792-fb5736da0ca9_1")
EXPERIENCE: Final = TemplateId("d948ff9b-99cb-4ee0-8012-1fbc09685377_1")
UPDATES: Final = TemplateId("e3f74c5a-a6de-411d-aef6-eb15628f3a0a_1")
REDUCTION: Final = TemplateId("e8c053d6-9f95-42b1-a7f1-ebfd71c67a4b_1")


def antivirus(*settings: SettingInstance, number: int = 1) -> PolicyDocument:
    """An antivirus policy for Windows."""
    document = policies.document(number, *settings, template=ANTIVIRUS)
    return msgspec.structs.replace(document, platforms="windows10", technologies="mdm,microsoftSense")


@dataclass
class DefendedMachine:
    """One machine, its Defender, the provider, and an applier with a directory of its own."""

    directory: Path
    edition: Edition = WINDOWS_11
    seconds: float = 0.0
    windows: PretendWindows = field(init=False)
    defender: PretendDefender = field(init=False)
    provider: WindowsDefenderProvider = field(init=False)
    store: PreferenceStore = field(init=False)

    def __post_init__(self) -> None:
        (self.directory / "root").mkdir()
        self.windows = PretendWindows(self.directory / "root", self.edition)
        self.defender = PretendDefender(self.windows.registry)
        self.windows.add(self.defender)
        self.provider, self.store = defender(CATALOG, self.windows.cim)
        self.windows.mount(MOUNT, self.store)
        self.provider.memory.monotonic = lambda: self.seconds
        self.provider.memory.sleep = self._pass

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def host(self) -> DocumentHost:
        return self.windows.host

    @property
    def applier(self) -> Applier:
        return Applier(
            host=self.host,
            store=Store(self.directory / "state"),
            providers=[self.provider],
            platform="windows10",
            catalog=CATALOG,
            clock=HandClock(),
        )

    def enforce(self, *documents: PolicyDocument) -> dict[str, SettingStatus]:
        return by_setting(self.applier.enforce(documents))


def by_setting(report: StatusReport) -> dict[str, SettingStatus]:
    return {status.setting: status for status in report.settings}
