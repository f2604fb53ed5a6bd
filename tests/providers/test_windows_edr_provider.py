"""Defender for Endpoint on Windows: a package comes and goes without a trace, and is told to nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support import policies as p
from tests.support.pretend_products import HandUptime
from tests.support.provider_conformance import ProviderConformance
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry import RegistryValue, Tree, decode, encode
from shieldwall.agent.providers.base import Desired, Files
from shieldwall.agent.providers.windows_edr import WindowsEdrProvider
from shieldwall.agent.providers.windows_edr.writing import (
    FREQUENCY,
    FROM_CONNECTOR,
    NOTES,
    OFFBOARDING,
    OFFBOARDING_VALUE,
    ONBOARDING,
    ONBOARDING_VALUE,
    POLICY,
    PREFIX,
    SAMPLES,
    TYPE,
)
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance, SimpleSetting, SimpleValue
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.testing.windows import edr
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.machine import PretendWindows

CATALOG: Final = load(platform="windows")
TEMPLATE: Final = TemplateId("0385b795-0f2f-44ac-8602-9f65bf6adede_1")
GOLDEN: Final = Path(__file__).parent / "golden/windows_edr.json"
PROVIDER: Final = WindowsEdrProvider(CATALOG, PretendCim())
OURS: Final = edr.package("11111111-1111-4111-8111-111111111111", "c2VjcmV0LW9mLW91cnM=")
THEIRS: Final = edr.package("22222222-2222-4222-8222-222222222222", "c2VjcmV0LW9mLXRoZWlycw==")
ONBOARD: Final[Desired] = {TYPE: f"{TYPE}_onboard", ONBOARDING: OURS}
OFFBOARD: Final[Desired] = {TYPE: f"{TYPE}_offboard", OFFBOARDING: OURS}


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    names = [ONBOARDING_VALUE, OFFBOARDING_VALUE, "AllowSampleCollection", "Before onboardinginfo", "Other"]
    texts = st.sampled_from([OURS, THEIRS, "", "{}"]).map(RegistryValue.text)
    values = {name: draw(texts | st.integers(0, 1).map(RegistryValue.dword)) for name in names if draw(st.booleans())}
    spelled = {name.lower() if draw(st.booleans()) else name: value for name, value in values.items()}
    return {"": spelled} | ({"Deep": {}} if draw(st.booleans()) else {})


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries({path: st.none() | trees().map(encode) for path in PROVIDER.files()})
    desired = st.fixed_dictionaries(
        {},
        optional={
            TYPE: st.sampled_from([f"{TYPE}_onboard", f"{TYPE}_offboard", f"{TYPE}_autofromconnector"]),
            ONBOARDING: st.sampled_from([OURS, THEIRS, "no package"]),
            OFFBOARDING: st.sampled_from([OURS, THEIRS, "{}"]),
            SAMPLES: st.sampled_from([f"{SAMPLES}_0", f"{SAMPLES}_1"]),
        },
    )


class Machine:
    """One Windows with the sensor, and an applier."""

    def __init__(self, root: Path) -> None:
        self.windows = PretendWindows(root / "root")
        self.sense = edr.PretendSense(self.windows.registry)
        self.windows.add(self.sense)
        self.directory = root
        self.provider = WindowsEdrProvider(CATALOG, self.windows.cim)
        self.host = WithServiceControl(self.windows.host, self.windows.stores, self.sense)
        self.applier = Applier(
            host=self.host,
            store=Store(root / "state"),
            providers=[self.provider],
            catalog=CATALOG,
            platform="windows10",
            clock=HandClock(),
            uptime=HandUptime(),
        )

    def enforce(self, *settings: SettingInstance) -> Mapping[SettingId, SettingStatus]:
        self.applier.enforce([policy(*settings)])
        self.sense.work()
        self.report: StatusReport = self.applier.refresh()
        return {status.setting: status for status in self.report.settings}

    def values(self, path: PurePosixPath = POLICY) -> Mapping[str, RegistryValue]:
        content = self.host.read_file(path)
        return {} if content is None else decode(content)[""]


class WithServiceControl(DocumentHost):
    """The machine with the program that starts services."""

    def __init__(self, host: DocumentHost, stores: object, sense: edr.PretendSense) -> None:
        super().__init__(host, stores)  # type: ignore[arg-type]
        self.sense = sense

    def find_program(self, name: str) -> str | None:
        return "sc.exe" if name == "sc.exe" else None

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        del stdin, timeout_seconds
        assert command[0] == "sc.exe"
        return self.sense.sc(command[1:])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def policy(*settings: SettingInstance, number: int = 1) -> PolicyDocument:
    document = p.document(number, *settings, template=TEMPLATE)
    return replace(document, platforms="windows10", technologies="mdm,microsoftSense")


def secret(setting: str, value: str) -> SimpleSetting:
    return SimpleSetting(definition=SettingId(setting), value=SimpleValue(kind="secret", value=value))


def onboard(package: str = OURS) -> SettingInstance:
    return p.choice(TYPE, "_onboard", secret(ONBOARDING, package))


def offboard(package: str = OURS) -> SettingInstance:
    return p.choice(TYPE, "_offboard", secret(OFFBOARDING, package))


def test_a_device_is_onboarded_and_lets_go(machine: Machine) -> None:
    told = machine.enforce(onboard(), p.choice(SAMPLES, "_0"))

    assert {setting: (status.state, status.effective) for setting, status in told.items()} == {
        TYPE: (SettingState.SUCCEEDED, True),
        ONBOARDING: (SettingState.SUCCEEDED, True),
        SAMPLES: (SettingState.SUCCEEDED, None),
    }
    assert machine.sense.running
    assert machine.provider.product_version(machine.host) == "onboarded"
    assert machine.values() == {
        ONBOARDING_VALUE: RegistryValue.text(OURS),
        "AllowSampleCollection": RegistryValue.dword(0),
    }
    machine.applier.release()
    assert [machine.host.read_file(path) for path in machine.provider.files()] == [None, None]


def test_a_device_is_offboarded_whoever_onboarded_it(machine: Machine) -> None:
    machine.windows.registry.fill(edr.POLICY, {ONBOARDING_VALUE: RegistryValue.text(OURS)})
    machine.sense.running = True
    machine.sense.work()
    before = machine.values()

    told = machine.enforce(offboard())
    assert {status.state for status in told.values()} == {SettingState.SUCCEEDED}
    assert machine.values().keys() == {OFFBOARDING_VALUE}
    assert machine.provider.product_version(machine.host) == "notOnboarded"

    machine.applier.release()
    assert machine.values() == before
    assert machine.host.read_file(NOTES) is None


def test_a_device_that_was_offboarded_once_is_onboarded_again(machine: Machine) -> None:
    machine.windows.registry.fill(edr.POLICY, {OFFBOARDING_VALUE: RegistryValue.text(THEIRS)})
    told = machine.enforce(onboard())
    assert told[ONBOARDING].effective is True
    assert machine.values().keys() == {ONBOARDING_VALUE}
    machine.applier.release()
    assert machine.values() == {OFFBOARDING_VALUE: RegistryValue.text(THEIRS)}


def test_a_device_of_somebody_else_is_not_taken_away(machine: Machine) -> None:
    machine.windows.registry.fill(edr.POLICY, {ONBOARDING_VALUE: RegistryValue.text(THEIRS)})
    told = machine.enforce(onboard())
    assert told[ONBOARDING].state is SettingState.CONFLICT
    assert told[ONBOARDING].code == "onboardedByOthers"
    assert machine.values() == {ONBOARDING_VALUE: RegistryValue.text(THEIRS)}


def test_policies_that_contradict_each_other_bring_no_package(machine: Machine) -> None:
    report = machine.applier.enforce([policy(onboard()), policy(offboard(), number=2)])
    assert {status.state for status in report.settings} == {SettingState.CONFLICT}
    assert machine.values() == {}


def test_what_is_no_package_is_not_written(machine: Machine) -> None:
    told = machine.enforce(onboard("WindowsDefenderATP"))
    assert (told[ONBOARDING].state, told[ONBOARDING].code) == (SettingState.ERROR, "invalidPackage")
    assert told[TYPE].code == "packageNotWritten"
    assert machine.values() == {}


def test_a_package_is_told_to_nobody(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """The registry holds it, and the policy that brought it; nothing else does."""
    machine.windows.registry.fill(edr.POLICY, {OFFBOARDING_VALUE: RegistryValue.text(THEIRS)})
    machine.enforce(onboard())
    state = json.loads((machine.directory / "state/state.json").read_bytes())
    kept = json.dumps(state["providers"])
    told = msgspec.json.encode(machine.report).decode()
    for words in (kept, told, caplog.text):
        for part in ("c2VjcmV0", "11111111-1111", "22222222-2222", "sha256sig"):
            assert part not in words
    assert "(secret)" in told


def test_a_sensor_that_does_nothing_is_seen(machine: Machine) -> None:
    machine.sense.deaf = True
    told = machine.enforce(onboard())
    assert (told[ONBOARDING].state, told[ONBOARDING].effective) == (SettingState.ERROR, False)
    assert "notOnboarded" in (told[ONBOARDING].reason or "")


def test_a_sensor_that_stands_still_is_started_again(machine: Machine) -> None:
    machine.enforce(onboard())
    machine.sense.running = False
    assert machine.provider.observe(machine.host, ONBOARD)[TYPE].code == "sensorStopped"
    report = machine.applier.refresh()
    assert machine.sense.running
    assert {status.code for status in report.settings} == {"repaired"}


def test_another_organisation_is_seen(machine: Machine) -> None:
    machine.enforce(onboard())
    machine.windows.registry.fill(edr.STATUS, {"OrgId": RegistryValue.text("22222222-2222-4222-8222-222222222222")})
    assert machine.provider.observe(machine.host, ONBOARD)[ONBOARDING].code == "otherOrganisation"


def test_without_a_sensor_nothing_applies(tmp_path: Path) -> None:
    windows = PretendWindows(tmp_path)
    provider = WindowsEdrProvider(CATALOG, windows.cim)
    assert provider.product_version(windows.host) is None
    support = provider.support(windows.host, ONBOARDING)
    assert support is not None
    assert not support.applicable
    assert provider.support(windows.host, SettingId("linux_mdatp_managed_edr_tags")) is None


@pytest.mark.parametrize("setting", [each for each in CATALOG.definitions if each.startswith(PREFIX)])
def test_every_setting_lands_or_says_why_not(machine: Machine, setting: SettingId) -> None:
    support = machine.provider.support(machine.host, setting)
    assert support is not None
    assert support.applicable == (setting not in {FREQUENCY, FROM_CONNECTOR})
    assert support.applicable or support.reason


def test_the_profile_is_written_as_its_golden_file() -> None:
    desired: Desired = {**ONBOARD, SAMPLES: f"{SAMPLES}_1"}
    nothing: Files = dict.fromkeys(PROVIDER.files())
    rendered = PROVIDER.render(nothing, desired, {})
    assert rendered.files[POLICY] == GOLDEN.read_bytes()
    assert PROVIDER.read(rendered.files) == desired
