"""The doctor on a device of two real processes: as root, as somebody else, with and without an applier."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.namespaces import joined_namespaces
from tests.support.simulated_gateway import TENANT, RealClock, SimulatedGateway, served
from tests.support.two_processes import TwoProcesses, two_processes

from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, PolicyDocument
from shieldwall.testing.mdatp import PretendMdatp

pytestmark = pytest.mark.root

CLOUD = SettingId("linux_mdatp_managed_cloudservice_enabled")
STRANGER = 64_124
SECRET = "correct-horse-battery"


@pytest.fixture
def gateway() -> SimulatedGateway:
    return SimulatedGateway(clock=RealClock())


@pytest.fixture
def device(tmp_path: Path, gateway: SimulatedGateway) -> Iterator[TwoProcesses]:
    with served(gateway, tmp_path), two_processes() as made:
        made.give(gateway.package_bytes())
        PretendMdatp(root=made.root).install()
        yield made


def onboarded(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    assert device("onboard", str(device.package)).returncode == 0
    policy = PolicyDocument(
        tenant_id=TENANT,
        policy_id=PolicyId("cccccccc-0000-4000-8000-000000000001"),
        revision=1,
        name="Cloud",
        platforms="linux",
        technologies="microsoftSense",
        template_id=TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"),
        modified_at="2026-11-23T11:00:00Z",
        catalog_version="1",
        settings=(ChoiceSetting(definition=CLOUD, value=ChoiceValue(value=f"{CLOUD}_false")),),
    )
    gateway.assign(gateway.publish(policy))
    assert device("sync").returncode == 0


def examined(device: TwoProcesses, *words: str, uid: int = 0) -> tuple[int, dict[str, Any]]:
    done = device("doctor", "--json", *words, uid=uid)
    assert done.stdout, done.stderr
    return done.returncode, {check["id"]: check for check in json.loads(done.stdout)["checks"]}


def everything(*places: Path) -> dict[Path, tuple[int, int, int, bytes]]:
    """Return every file with owner, mode, time of change and content."""
    found = {}
    for path in (each for place in places for each in place.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path] = (status.st_uid, status.st_mode, status.st_mtime_ns, content)
    return found


def test_the_doctor_sees_with_root_s_eyes_and_changes_nothing(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device, gateway)
        places = (device.root, device.state, device.applier_state)
        before = everything(*places)

        code, found = examined(device, "--bundle", str(device.secret / "bundle.zip"))

        assert everything(*places) == before
    assert code == 10, "the agent is not running"
    assert found["process"]["severity"] == "error"
    for good in ("identity", "key", "pin", "signature", "network.answer", "ownFiles", "engine.mdatp", "lastCheckIn"):
        assert found[good]["severity"] == "ok", found[good]
    assert "seen in effect by a probe" in found["engine.mdatp"]["evidence"]
    with zipfile.ZipFile(io.BytesIO((device.secret / "bundle.zip").read_bytes())) as archive:
        names = archive.namelist()
        text = "\n".join(archive.read(name).decode() for name in names)
    assert "engines/mdatp/etc/opt/microsoft/mdatp/managed/mdatp_managed.json" in names
    assert {"desired.json", "inspection.json", "applier.json", "programs.json"} <= set(names)
    assert "PRIVATE KEY" not in text
    assert (device.secret / "bundle.zip").stat().st_mode & 0o777 == 0o600


def test_secrets_planted_on_the_device_are_in_no_bundle(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    clamav = device.root / "etc/clamav"
    clamav.mkdir(parents=True)
    (clamav / "freshclam.conf").write_text(f"HTTPProxyPassword {SECRET}\nPrivateMirror http://a:{SECRET}@m.example\n")
    (clamav / "clamd.conf").write_text(f"# {SECRET}\nUser clamav\n")
    with device.applier():
        onboarded(device, gateway)
        managed = device.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
        content = json.loads(managed.read_bytes())
        managed.write_text(json.dumps({**content, "cloudService": {**content["cloudService"], "apiToken": SECRET}}))
        (device.root / "etc/shieldwall").mkdir(exist_ok=True)
        (device.root / "etc/shieldwall/secret").write_text(SECRET)
        for place in (device.state, device.applier_state):
            (place / "notes").write_text(SECRET)

        code, found = examined(device, "--bundle", str(device.secret / "bundle.zip"))

    assert code == 10
    assert found["engine.mdatp"]["severity"] in {"ok", "error"}
    with zipfile.ZipFile(io.BytesIO((device.secret / "bundle.zip").read_bytes())) as archive:
        text = "\n".join([*archive.namelist(), *(archive.read(name).decode() for name in archive.namelist())])
    key = [line for line in (device.state / "device.key").read_text().splitlines() if len(line) > 20]
    assert SECRET not in text
    assert [line for line in key if line in text] == []
    assert json.loads(device.package.read_bytes())["payload"][:200] not in text


def test_without_an_applier_that_is_the_finding(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device, gateway)

    code, found = examined(device)

    assert code == 10
    assert found["applier"]["severity"] == "error"
    assert "systemctl status shieldwall-applier" in found["applier"]["remedy"]
    assert found["identity"]["severity"] == found["network.answer"]["severity"] == "ok"


def test_somebody_without_rights_is_told_what_was_not_seen(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device, gateway)

        code, found = examined(device, uid=STRANGER)
        plain = device("doctor", uid=STRANGER)

    assert code == plain.returncode == 13, plain.stdout
    assert found["rights"]["severity"] == "warning"
    assert "sudo shieldwall-agent doctor" in found["rights"]["remedy"]
    assert found["applier"]["severity"] == "info"
    assert "identity" not in found
    assert plain.stdout.startswith("WARNING  You are not root")
    assert "\x1b" not in plain.stdout
    assert "Traceback" not in plain.stderr


def test_a_lively_device_is_told_in_plain_words(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device, gateway)
        with device.agent():
            done = device("doctor")

    assert done.returncode in {0, 13}, done.stdout
    assert "ERROR" not in done.stdout
    assert "ok       The agent is running. [process]" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].endswith("fine.")


_FAMILIES = """
from shieldwall.agent.doctor.network_checks import RealNetwork
print(*sorted(RealNetwork().families()))
"""


def test_the_ways_out_of_a_machine_are_seen_without_sending_anything() -> None:
    def ways_out(*before: str) -> str:
        command = [*before, sys.executable, "-c", _FAMILIES]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    with joined_namespaces() as (here, _there):
        within = ("ip", "netns", "exec", here.name)
        here.run("ip", "route", "flush", "table", "main")
        here.run("ip", "-6", "route", "flush", "table", "main")
        assert ways_out(*within) == ""
        here.run("ip", "-6", "route", "add", "default", "dev", "lo")
        assert ways_out(*within) == "IPv6"
        here.run("ip", "route", "add", "default", "dev", "lo")
        assert ways_out(*within) == "IPv4 IPv6"
