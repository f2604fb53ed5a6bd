"""What the doctor says of devices in every kind of trouble; it never fails itself."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import msgspec
import pytest
from tests.support.memory_host import MemoryHost
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import HandClock, SimulatedGateway

from shieldwall.agent.doctor.examine import examine
from shieldwall.agent.doctor.model import Check, Severity, Subject
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError

QUIET = {Severity.OK, Severity.INFO}
DEBIAN = {PurePosixPath("/etc/os-release"): b'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n'}


@dataclass
class MemoryNetwork:
    """Steps that fail where a test says."""

    failing: dict[str, OSError] = field(default_factory=dict)

    ways_out: frozenset[str] = frozenset({"IPv4", "IPv6"})
    addresses: tuple[str, ...] = ("192.0.2.7",)

    def families(self) -> frozenset[str]:
        return self.ways_out

    def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("gateway.example", 8444)
        self._step("resolve")
        return self.addresses

    def connect(self, host: str, port: int) -> None:
        assert host
        assert port
        self._step("connect")

    def handshake(self, host: str, port: int, roots: Sequence[str]) -> str:
        assert (host, port) == ("gateway.example", 8444)
        assert roots
        self._step("handshake")
        return "TLSv1.3"

    def issuer(self, host: str, port: int) -> str:
        assert (host, port) == ("gateway.example", 8444)
        self._step("issuer")
        return "CN=Corporate Proxy"

    def _step(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]


@dataclass
class Patient:
    laptop: SimulatedAgent
    host: MemoryHost = field(default_factory=lambda: MemoryHost(DEBIAN))
    network: MemoryNetwork = field(default_factory=MemoryNetwork)
    free: int = 10**10
    running: bool = True

    def examined(self) -> dict[str, Check]:
        checks = examine(
            Subject(
                host=self.host,
                surroundings=self.laptop.surroundings,
                network=self.network,
                free_bytes=lambda _path: self.free,
                mode=lambda path: path.stat().st_mode & 0o7777,
                running=self.running,
            )
        )
        for check in checks:
            assert check.finding
            assert check.severity in QUIET or check.remedy, "what is wrong comes with what to do"
        return {check.id: check for check in checks}

    def wrong(self) -> set[str]:
        return {name for name, check in self.examined().items() if check.severity not in QUIET} - {"engines"}


@pytest.fixture
def patient(laptop: SimulatedAgent) -> Patient:
    laptop.onboard()
    laptop.check_in()
    return Patient(laptop)


def test_a_healthy_device_has_nothing_wrong(patient: Patient) -> None:
    assert patient.wrong() == set()


def test_a_device_that_is_not_onboarded_is_told_how(laptop: SimulatedAgent) -> None:
    patient = Patient(laptop)

    assert patient.wrong() == {"identity"}
    assert "onboard PACKAGE" in patient.examined()["identity"].remedy


@pytest.mark.parametrize(
    ("step", "check"),
    [("resolve", "network.name"), ("connect", "network.connection"), ("handshake", "network.tls")],
)
def test_the_first_step_that_fails_is_named(patient: Patient, step: str, check: str) -> None:
    patient.network.failing[step] = OSError("no way")

    assert patient.wrong() == {check}
    assert "no way" in patient.examined()[check].evidence


def test_an_intercepted_connection_is_told_from_a_broken_one(patient: Patient) -> None:
    patient.network.failing["handshake"] = ssl.SSLCertVerificationError("self-signed")

    found = patient.examined()["network.tls"]

    assert "proxy that opens TLS" in found.remedy
    assert "CN=Corporate Proxy" in found.evidence
    assert "Enrollment status 14." in found.finding


def test_a_clock_that_is_off_is_found_without_changing_anything(patient: Patient, gateway: SimulatedGateway) -> None:
    gateway.clock = HandClock(patient.laptop.clock.at)
    gateway.clock.advance(minutes=3)

    assert patient.wrong() == {"clock"}
    assert "+180 s" in patient.examined()["clock"].evidence
    assert patient.laptop.state.time().offset_seconds == 0


def test_each_trouble_is_found(patient: Patient) -> None:
    patient.free = 1_000
    patient.running = False
    (patient.laptop.directory / "device.key").chmod(0o640)
    patient.laptop.network.away = True
    with pytest.raises(GatewayUnreachableError):
        patient.laptop.check_in()

    assert patient.wrong() == {"disk", "process", "key", "lastCheckIn", "network.answer"}
    assert "away" in patient.examined()["lastCheckIn"].finding


def test_whatever_keeps_a_device_from_being_managed_is_found_with_its_enrollment_status(patient: Patient) -> None:
    machine = patient.laptop.machine
    plain = machine.said
    for said, check, severity, words in (
        ({"managed_elsewhere": "Intune", "manager": "mdm"}, "otherManager", Severity.ERROR, "Enrollment status 3."),
        ({"managed_elsewhere": "Both", "manager": "several"}, "otherManager", Severity.ERROR, "Enrollment status 43."),
        (
            {"managed_elsewhere": "ConfigMgr", "manager": "configurationManager"},
            "otherManager",
            Severity.WARNING,
            "the enforcement scope of the tenant says who has authority",
        ),
        ({"unsuitable": "unsupportedOs"}, "suitability", Severity.ERROR, "Enrollment status 5."),
        ({"unsuitable": "nonPersistentDesktop"}, "suitability", Severity.ERROR, "Enrollment status 6."),
    ):
        machine.said = msgspec.structs.replace(plain, **said)

        found = patient.examined()[check]

        assert (found.severity, words in found.finding) == (severity, True)
        assert found.evidence
        assert found.remedy


def test_the_server_s_word_is_found(patient: Patient, gateway: SimulatedGateway) -> None:
    assert patient.examined()["enrollment"].severity is Severity.OK

    gateway.device.enrollment = 8
    patient.laptop.check_in()

    found = patient.examined()["enrollment"]
    assert (found.severity, found.remedy) == (Severity.WARNING, "Allow it in the enforcement scope.")
    assert "status 8" in found.evidence


def test_an_old_check_in_and_an_old_certificate_are_found(patient: Patient, gateway: SimulatedGateway) -> None:
    patient.laptop.clock.advance(days=91)

    assert patient.wrong() == {"lastCheckIn", "certificate"}
    certificate = patient.examined()["certificate"]
    assert certificate.severity is Severity.WARNING, "nothing depends on it"
    assert "Nothing needs doing" in certificate.remedy
    assert gateway.device.last_sequence > 0


def test_a_device_that_the_server_removed_is_told_what_to_do(patient: Patient, gateway: SimulatedGateway) -> None:
    gateway.device.offboarded = True
    with pytest.raises(ProblemAnswerError):
        patient.laptop.check_in()

    assert "offboard --without-server" in patient.examined()["lastCheckIn"].remedy


def test_damaged_state_is_a_finding_and_not_a_crash(patient: Patient) -> None:
    for name in ("identity.json", "standing.json", "device.key"):
        (patient.laptop.directory / name).write_bytes(b"{")

    assert len(patient.wrong()) >= 3


def test_a_refused_policy_is_named(patient: Patient, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    gateway.alter_policy = lambda _digest, envelope: msgspec.structs.replace(envelope, payload="e30=")
    patient.laptop.check_in()

    assert patient.wrong() == {"refusedPolicy"}


def test_drift_that_was_put_back_is_told(patient: Patient, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    patient.laptop.check_in()
    assert patient.wrong() == set()
    patient.laptop.enforcer.now = {}

    patient.laptop.enrolled().enforcement.refresh()

    assert patient.wrong() == {"drift"}
    assert patient.examined()["drift"].evidence == "firewall"
