"""What the doctor says of devices in every kind of trouble; it never fails itself."""

from __future__ import annotations

import ssl

import msgspec
import pytest
from tests.support.patient import Patient
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import HandClock, SimulatedGateway

from shieldwall.agent.doctor.model import Severity
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError


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
