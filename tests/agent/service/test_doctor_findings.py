"""What the doctor makes of what the applier sees, and of the way to the server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.patient import Patient
from tests.support.simulated_agent import SimulatedAgent
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.applier.protocol import Answer, Request
from shieldwall.agent.applier.state import Stage
from shieldwall.agent.doctor.examine import Limits, gravest
from shieldwall.agent.doctor.model import Check, Severity
from shieldwall.agent.inspection import model as seen
from shieldwall.agent.inspection.services import AGENT, APPLIER
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.errors import ApplierSilentError, NotTheGatewayError

OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR
GIB = 2**30
ASKED = (seen.Engine(name="clamav", version="ClamAV 1.0", desired=3),)
FIREWALLED = (seen.Engine(name="nftables", version="1.0", desired=3),)
AUDIT = seen.Audit(installed=True, enabled=1, daemon=4, rules=3, ours=2, wanted=True, at_boot=True)
GATE = seen.OnAccess(wanted="broker", alive=True, mode="block", watching=3, engine_user="clamav", engine_spared=True)
UNIT = seen.Unit(name="clamav-daemon.service", loaded="loaded", enabled="enabled", active="active")
SERVICE = seen.Sandbox(unit="shieldwall-applier.service", active="active", enabled="enabled", exposure=2.5)


@pytest.fixture
def patient(laptop: SimulatedAgent) -> Patient:
    laptop.onboard()
    laptop.check_in()
    return Patient(laptop)


def engine(**changes: Any) -> Mapping[str, Any]:
    return {"engines": (seen.Engine(**{"name": "clamav", "version": "ClamAV 1.0", "desired": 3, **changes}),)}


@pytest.mark.parametrize(
    ("sight", "check", "severity", "words"),
    [
        # Each product
        (engine(proven=2, units=(UNIT,)), "engine.clamav", OK, "configured as policies say"),
        (engine(desired=0), "engine.clamav", OK, "no policy asks"),
        (engine(version=None), "engine.clamav", ERROR, "is not on this device"),
        (engine(version=None, desired=0), "engine.clamav", INFO, "not installed"),
        (engine(trouble="It did not answer within 25 seconds."), "engine.clamav", ERROR, "could not be looked at"),
        (engine(trouble="KeyError: 'x'", desired=0), "engine.clamav", WARNING, "could not be looked at"),
        (engine(differing=("a", "b")), "engine.clamav", ERROR, "does not hold 2 of 3"),
        (
            engine(ineffective=(seen.Ineffective(setting="a", code="engineBlind", reason="clamd finds nothing."),)),
            "engine.clamav",
            ERROR,
            "clamd finds nothing.",
        ),
        (engine(units=(seen.Unit(name="x.service", loaded="loaded", active="failed"),)), "engine.clamav", ERROR, "x.s"),
        (engine(units=(seen.Unit(name="x.service", loaded="masked"),)), "engine.clamav", ERROR, "does not run"),
        (
            engine(units=(seen.Unit(name="x.service", loaded="loaded", active="active", enabled="disabled"),)),
            "engine.clamav",
            WARNING,
            "does not start with the machine",
        ),
        (
            engine(units=(seen.Unit(name="shieldwall-scan.service", loaded="loaded", active="inactive"),)),
            "engine.clamav",
            OK,
            "as policies say",
        ),
        # Definitions; the clock of the test stands at 2026-11-23
        ({"definitions": seen.Definitions(newest="2026-11-23T06:00:00+00:00")}, "definitions", OK, "are new"),
        ({"definitions": seen.Definitions(newest="2026-11-19T06:00:00+00:00")}, "definitions", WARNING, "4 days old"),
        ({"definitions": seen.Definitions(newest="2026-11-01T06:00:00+00:00")}, "definitions", ERROR, "22 days old"),
        (
            {"definitions": seen.Definitions(newest="2020-11-01T06:00:00+00:00", only_own=True)},
            "definitions",
            OK,
            "the site's own",
        ),
        ({"definitions": seen.Definitions()}, "definitions", INFO, "no definitions"),
        ({"definitions": seen.Definitions(source="http://mirror"), "engines": ASKED}, "definitions", ERROR, "no defin"),
        (
            {"definitions": seen.Definitions(newest="2026-11-23T06:00:00+00:00", outcome="mirrorUnreachable")},
            "definitions",
            WARNING,
            "mirrorUnreachable",
        ),
        # The look at opens
        ({"on_access": seen.OnAccess(engine_spared=True)}, "onAccess", INFO, "No policy asks"),
        ({"on_access": GATE}, "onAccess", OK, "looks at files"),
        ({"on_access": seen.OnAccess(wanted="broker", engine_spared=True)}, "onAccess", ERROR, "broker does not run"),
        ({"on_access": seen.OnAccess(wanted="clamonacc", engine_spared=True)}, "onAccess", ERROR, "clamonacc does not"),
        (
            {"on_access": seen.OnAccess(wanted="broker", alive=True, engine_user="clamav")},
            "onAccess",
            ERROR,
            "wait for itself",
        ),
        (
            {"on_access": seen.OnAccess(wanted="broker", alive=True, current=False, engine_spared=True)},
            "onAccess",
            WARNING,
            "does not see everything",
        ),
        (
            {"on_access": seen.OnAccess(wanted="broker", engine_spared=True, impossible="no fanotify")},
            "onAccess",
            ERROR,
            "The kernel lets nobody",
        ),
        # The kernel
        ({"audit": seen.Audit()}, "audit", INFO, "no auditd"),
        ({"audit": seen.Audit(wanted=True)}, "audit", ERROR, "no auditctl"),
        ({"audit": AUDIT}, "audit", OK, "as policies need it"),
        ({"audit": seen.Audit(installed=True, enabled=0, wanted=True)}, "audit", ERROR, "switched off"),
        ({"audit": seen.Audit(installed=True, enabled=1, wanted=True)}, "audit", ERROR, "does not hold our"),
        ({"audit": seen.Audit(installed=True, enabled=1, lost=7)}, "audit", WARNING, "lost 7 records"),
        ({"audit": seen.Audit(installed=True, enabled=2)}, "audit", INFO, "locked until the next restart"),
        ({"audit": seen.Audit(installed=True, refused="EPERM")}, "audit", WARNING, "does not let"),
        (
            {"audit": seen.Audit(installed=True, enabled=1, daemon=4, ours=2, wanted=True)},
            "audit",
            INFO,
            "without audit=1",
        ),
        (
            {"limits": (seen.Limit(name="inotify.max_user_watches", value=100_000, used=90_000),)},
            "limits",
            WARNING,
            "little",
        ),
        ({"limits": (seen.Limit(name="inotify.max_user_watches", value=1024),)}, "limits", WARNING, "little"),
        ({"limits": (seen.Limit(name="inotify.max_user_watches", value=100_000, used=9),)}, "limits", OK, "enough"),
        ({"hardware": seen.Hardware()}, "dmi", INFO, "no DMI"),
        ({"hardware": seen.Hardware(present=True)}, "dmi", OK, "what machine"),
        ({"hardware": seen.Hardware(present=True, unreadable=("board_vendor: EIO",))}, "dmi", INFO, "leaves out"),
        # Room
        ({"places": (seen.Place(path="/var/log/audit", free=8 * GIB, size=9 * GIB),)}, "room", OK, "/var/log/audit"),
        ({"places": (seen.Place(path="/x", free=200 * 2**20, size=9 * GIB),)}, "room", WARNING, "little room"),
        ({"places": (seen.Place(path="/x", free=2**20, size=9 * GIB),)}, "room", ERROR, "no room"),
        ({"places": (seen.Place(path="/x", free=GIB, size=GIB, read_only=True),)}, "room", ERROR, "cannot be written"),
        ({"quarantine": seen.Quarantine(files=3, size=3, limit=GIB)}, "quarantine", OK, "has room"),
        ({"quarantine": seen.Quarantine(files=3, size=GIB, limit=GIB)}, "quarantine", WARNING, "nearly full"),
        # Ourselves
        ({"own_files": ()}, "ownFiles", OK, "nobody else can change them"),
        ({"own_files": (seen.OwnFile(path="/x", fault="belongs to user 7"),)}, "ownFiles", ERROR, "belongs to user 7"),
        ({}, "package", INFO, "not installed by a package"),
        ({"package": seen.Package(manager="dpkg", version="1.0")}, "package", OK, "those of its package"),
        (
            {"package": seen.Package(manager="rpm", changed=("S.5....T. /usr/x",), more=2)},
            "package",
            ERROR,
            "not as the package brought them",
        ),
        ({"services": (SERVICE,)}, "service", OK, "as it must be"),
        ({"services": (SERVICE,)}, "sandbox", OK, "confined"),
        ({"services": (seen.Sandbox(unit="u.service", active="not-found"),)}, "service", INFO, "not installed"),
        ({"services": (seen.Sandbox(unit="u.service", active="failed"),)}, "service", ERROR, "does not run"),
        (
            {"services": (seen.Sandbox(unit="u.service", active="active", enabled="disabled"),)},
            "service",
            WARNING,
            "not start",
        ),
        (
            {"services": (seen.Sandbox(unit="u.service", active="active", missing=("PrivateTmp=yes",)),)},
            "sandbox",
            WARNING,
            "not confined as its package asks",
        ),
        (
            {"programs": tuple(seen.Program(pid=pid, module=AGENT, state=f"/s{pid}") for pid in (8, 9))},
            "twoAgents",
            WARNING,
            "2 agents run on this machine at once",
        ),
        ({"unseen": {"firewall": "It did not answer within 25 seconds."}}, "unseen", WARNING, "firewall"),
        # The firewall
        ({"firewall": seen.Firewall(ours=True), "engines": FIREWALLED}, "firewall", OK, "nobody else"),
        ({"firewall": seen.Firewall(), "engines": FIREWALLED}, "firewall", ERROR, "does not hold our table"),
        (
            {
                "firewall": seen.Firewall(
                    ours=True, foreign=(seen.Table(family="ip", name="filter", manager="Docker"),)
                ),
                "engines": FIREWALLED,
            },
            "firewall",
            WARNING,
            "Other tables decide",
        ),
        (
            {"firewall": seen.Firewall(foreign=(seen.Table(family="inet", name="f2b", manager="fail2ban"),))},
            "firewall",
            INFO,
            "no policy asks for ours",
        ),
    ],
)
def test_what_the_applier_sees_is_judged(
    patient: Patient, sight: Mapping[str, Any], check: str, severity: Severity, words: str
) -> None:
    found = [each for each in patient.having(**sight) if each.id == check and words in each.finding]

    assert [each.severity for each in found] == [severity]


def test_one_agent_and_one_applier_are_as_it_must_be(patient: Patient) -> None:
    programs = (seen.Program(pid=8, module=AGENT), seen.Program(pid=9, module=APPLIER))

    assert "twoAgents" not in {check.id for check in patient.having(programs=programs)}


def test_a_machine_with_nothing_to_steer_is_told_so(patient: Patient) -> None:
    (found,) = [check for check in patient.having() if check.id == "engines"]

    assert (found.severity, "Install" in found.remedy) == (ERROR, True)


@pytest.mark.parametrize(
    ("failing", "check", "words", "status"),
    [
        ({"resolve": socket.gaierror(socket.EAI_AGAIN, "x")}, "network.name", "No name server answers", 41),
        ({"resolve": socket.gaierror(socket.EAI_NONAME, "x")}, "network.name", "is not known here", 38),
        ({"connect": ConnectionRefusedError("refused")}, "network.connection", "No connection to port 8444", 13),
        ({"handshake": ConnectionResetError("reset")}, "network.tls", "No TLS with", 13),
    ],
)
def test_trouble_on_the_way_comes_with_its_published_number(
    patient: Patient, failing: dict[str, OSError], check: str, words: str, status: int
) -> None:
    patient.network.failing = failing

    found = patient.examined()[check]

    assert (found.severity, words in found.finding) == (ERROR, True)
    assert found.finding.endswith(f"Enrollment status {status}.")


@pytest.mark.parametrize(
    ("ways_out", "addresses", "words"),
    [
        (frozenset({"IPv6"}), ("192.0.2.7",), "has only IPv4 addresses, and this device has only IPv6."),
        (frozenset({"IPv4"}), ("2001:db8::7",), "has only IPv6 addresses, and this device has only IPv4."),
        (frozenset(), ("2001:db8::7", "192.0.2.7"), "and this device has no network at all."),
    ],
)
def test_a_device_with_the_other_ip_version_is_told_so(
    patient: Patient, ways_out: frozenset[str], addresses: tuple[str, ...], words: str
) -> None:
    patient.network.failing["connect"] = OSError(101, "Network is unreachable")
    patient.network.ways_out, patient.network.addresses = ways_out, addresses

    examined = patient.examined()

    assert words in examined["network.family"].finding
    assert "network.connection" not in examined


def test_a_device_with_ipv6_alone_reaches_a_server_that_has_it(patient: Patient) -> None:
    patient.network.ways_out, patient.network.addresses = frozenset({"IPv6"}), ("2001:db8::7",)

    assert patient.wrong() == set()


def test_a_captive_portal_is_called_one(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def portal(*_: object, **__: object) -> object:
        raise NotTheGatewayError("Something that is not the gateway answers (200, text/html).")

    monkeypatch.setattr(patient.laptop.network, "post", portal)

    found = patient.examined()["network.answer"]

    assert "captive portal" in found.finding
    assert "Enrollment status 25." in found.finding
    assert "Sign in to the network" in found.remedy


def test_a_changed_manifest_and_a_lost_policy_are_found(patient: Patient, gateway: SimulatedGateway) -> None:
    assert patient.examined()["signature"].severity is OK
    path = patient.laptop.directory / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"payload":"', b'"payload":"AAAA'))

    found = patient.examined()["signature"]

    assert (found.severity, "not signed for this device" in found.finding) == (ERROR, True)
    assert gateway.device.offboarded is False


def test_agent_and_applier_that_obey_different_tenants_are_found(patient: Patient, laptop: SimulatedAgent) -> None:
    assert patient.examined()["pin"].severity is OK
    (laptop.directory / "identity.json").unlink()

    assert "does not know any more" in patient.examined()["pin"].finding


def test_crashes_and_probation_are_told(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    patient.laptop.enforcer.waiting = Unconfirmed(
        nonce="a" * 32, target=None, providers=("nftables",), deadline=500.0, seconds_left=77.0
    )
    monkeypatch.setattr(type(patient.laptop.enforcer), "stage", lambda _self: Stage.SAFE_MODE)

    examined = patient.examined()

    assert "77 s" in examined["probation"].evidence
    assert "safe mode" in examined["stage"].finding


def silent(_request: Request) -> Answer:
    raise ApplierSilentError("/run/shieldwall/applier.sock cannot be reached: Connection refused.")


def test_a_silent_applier_is_a_finding_and_the_rest_goes_on(patient: Patient) -> None:
    surroundings = patient.laptop.surroundings
    patient.surroundings = msgspec.structs.replace(surroundings, enforcer=AskingEnforcer(ask=silent))

    examined = patient.examined()

    assert examined["applier"].severity is ERROR
    assert examined["system"].severity is examined["identity"].severity is examined["network.answer"].severity is OK


def test_rights_of_the_one_who_asks_say_nothing_about_the_machine(patient: Patient) -> None:
    patient.laptop.machine.said = msgspec.structs.replace(patient.laptop.machine.said, unsuitable="unsupportedOs")
    assert "suitability" in patient.examined()
    surroundings = patient.laptop.surroundings
    patient.surroundings = msgspec.structs.replace(surroundings, enforcer=AskingEnforcer(ask=silent))

    assert "suitability" not in patient.examined()


def test_whatever_hangs_is_left_behind(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    for_ever = threading.Event()

    def hangs(*_: object) -> Any:
        for_ever.wait()
        raise AssertionError

    surroundings = patient.laptop.surroundings
    patient.surroundings = msgspec.structs.replace(surroundings, enforcer=AskingEnforcer(ask=hangs))
    monkeypatch.setattr(patient.network, "resolve", hangs)

    found = {check.id: check for check in patient.diagnosed(limits=Limits(applier=0.3, one=0.3, all=30)).checks}
    for_ever.set()

    assert "did not answer within 0.3 seconds" in found["applier"].evidence
    assert "did not answer within 0.3 seconds" in found["network.name"].evidence
    assert found["identity"].severity is OK


def test_the_exit_code_is_that_of_the_gravest() -> None:
    def of(*severities: Severity) -> Severity:
        return gravest(Check(id="x", severity=severity, finding="x") for severity in severities)

    assert of() is of(OK) is OK
    assert of(OK, INFO) is INFO
    assert of(WARNING, OK, INFO) is WARNING
    assert of(INFO, ERROR, WARNING) is ERROR


def test_old_definitions_are_judged_by_trusted_time(patient: Patient) -> None:
    patient.laptop.clock.advance(days=10)
    definitions = seen.Definitions(newest=(patient.laptop.clock.now() - timedelta(hours=1)).isoformat())

    found = {check.id: check for check in patient.having(definitions=definitions)}

    assert found["definitions"].severity is OK
