"""The bundle: what helps is in it, and no secret, wherever one was planted."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Final

import msgspec
import pytest
from tests.support.patient import Patient
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.applier.protocol import Answer, Request
from shieldwall.agent.doctor.bundle import bundle
from shieldwall.agent.inspection import model as seen
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.agent.service.errors import ApplierSilentError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import SimpleSetting, SimpleValue

SECRET: Final = "correct-horse-battery-staple"
TOKEN: Final = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkZXZpY2UifQ.c2lnbmF0dXJl"
MARKS: Final = (SECRET, TOKEN, "hunter2", "PRIVATE KEY", "alice", "MIGHAgEAMBMG", "the-host-of-alice")


@pytest.fixture
def patient(laptop: SimulatedAgent, gateway: SimulatedGateway) -> Patient:
    """A device with secrets everywhere: in policies, in what the applier shows, in trouble, in files beside."""
    laptop.machine.said = msgspec.structs.replace(laptop.machine.said, display_name="the-host-of-alice")
    laptop.onboard()
    secret = SimpleSetting(definition=SettingId("password"), value=SimpleValue(kind="secret", value=SECRET))
    plain = a_policy(firewall="on")
    policy = msgspec.structs.replace(plain, name=f"Mirror of {SECRET}", settings=(*plain.settings, secret))
    gateway.assign(gateway.publish(policy))
    laptop.check_in()
    standing = laptop.state.standing()
    trouble = f"https://alice:hunter2@proxy.example answers {TOKEN}"
    path = laptop.directory / "standing.json"
    record = json.loads(path.read_bytes())
    record["trouble"] = {"code": "proxyFailed", "cause": trouble, "remedy": "x", "since": standing.last_check_in}
    path.write_text(json.dumps(record))
    (laptop.directory / "notes.txt").write_text(SECRET)
    (laptop.directory / "device.key.next").write_bytes((laptop.directory / "device.key").read_bytes())
    patient = Patient(laptop)
    laptop.machine.inspection = seen.Inspection(
        engines=(seen.Engine(name="clamav", version="1.0", desired=1, trouble=f"it said password={SECRET}"),),
        definitions=seen.Definitions(source="http://alice:hunter2@mirror.example", said=f"token: {TOKEN}"),
        own_files=(seen.OwnFile(path="/home/alice/x", fault="is writable"),),
        unseen={"audit": f"Authorization: Bearer {SECRET}"},
        exhibits={
            "engines/clamav/etc/clamav/freshclam.conf": f"PrivateMirror http://alice:hunter2@mirror\nKey {SECRET}\n",
            "journal/shieldwall-agent.service.txt": f"{TOKEN} at /home/alice/.x\n-----BEGIN PRIVATE KEY-----",
        },
    )
    return patient


def parts(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_no_secret_is_in_a_bundle_wherever_it_was_planted(patient: Patient) -> None:
    diagnosis = patient.diagnosed(bundle=True)
    found = parts(bundle(diagnosis, running=True))
    private = (patient.laptop.directory / "device.key").read_bytes()

    everything = "\n".join([*found, *(content.decode() for content in found.values())])

    assert SECRET in json.dumps(msgspec.to_builtins(diagnosis.checks)), "it was there to be taken out"
    assert [mark for mark in MARKS if mark in everything] == []
    lines = [line for line in private.decode().splitlines() if len(line) > 20]
    assert [line for line in lines if line in everything] == []
    assert "(redacted)" in everything


def test_what_helps_is_in_a_bundle(patient: Patient) -> None:
    found = parts(bundle(patient.diagnosed(bundle=True), running=True))

    wanted = {"doctor.json", "status.json", "facts.json", "versions.json", "manifest.json", "report.json"}
    assert wanted | {"inspection.json", "applier.json"} <= found.keys()
    assert any(name.startswith("policies/") for name in found)
    assert "engines/clamav/etc/clamav/freshclam.conf" in found
    assert "journal/shieldwall-agent.service.txt" in found
    assert "left-out.json" not in found
    checks = {check["id"]: check for check in json.loads(found["doctor.json"])["checks"]}
    assert "proxy.example" in checks["lastCheckIn"]["finding"]
    assert json.loads(found["versions.json"])["python"]
    assert json.loads(found["report.json"])["settings"][0]["readBack"] == "on"


def test_the_same_findings_give_the_same_bytes(patient: Patient) -> None:
    diagnosis = patient.diagnosed(bundle=True)

    assert bundle(diagnosis, running=True) == bundle(diagnosis, running=True)


def test_a_broken_device_gives_a_bundle_all_the_same(patient: Patient) -> None:
    def silent(_request: Request) -> Answer:
        raise ApplierSilentError("Connection refused.")

    for name in ("report.json", "identity.json"):
        (patient.laptop.directory / name).write_bytes(b"{")
    surroundings = patient.laptop.surroundings
    patient.surroundings = msgspec.structs.replace(surroundings, enforcer=AskingEnforcer(ask=silent))

    found = parts(bundle(patient.diagnosed(bundle=True), running=False))

    assert {"doctor.json", "facts.json", "left-out.json"} <= found.keys()
    assert {"status.json", "manifest.json"} <= json.loads(found["left-out.json"]).keys()
