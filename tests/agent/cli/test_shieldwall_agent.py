"""The device's command line as a person meets it: real processes, a real TLS gateway, a root of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.commanded_device import SECONDS, Device
from tests.support.simulated_gateway import TENANT, RealClock, SimulatedGateway, served

from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, PolicyDocument
from shieldwall.testing.mdatp import PretendMdatp
from shieldwall.trust.device_key import thumbprint

CLOUD = SettingId("linux_mdatp_managed_cloudservice_enabled")
CLOUD_OFF = PolicyDocument(
    tenant_id=TENANT,
    policy_id=PolicyId("cccccccc-0000-4000-8000-000000000001"),
    revision=1,
    name="Cloud off",
    platforms="linux",
    technologies="microsoftSense",
    template_id=TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"),
    modified_at="2026-11-23T11:00:00Z",
    catalog_version="1",
    settings=(ChoiceSetting(definition=CLOUD, value=ChoiceValue(value=f"{CLOUD}_false")),),
)


@pytest.fixture
def gateway() -> SimulatedGateway:
    return SimulatedGateway(clock=RealClock())


@pytest.fixture
def device(tmp_path: Path, gateway: SimulatedGateway) -> Iterator[Device]:
    with served(gateway, tmp_path):
        package = tmp_path / "package.json"
        package.write_bytes(gateway.package_bytes())
        package.chmod(0o600)
        (tmp_path / "root").mkdir()
        yield Device(root=tmp_path / "root", state=tmp_path / "state", package=package)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_whole_life_of_a_device(device: Device, gateway: SimulatedGateway) -> None:
    PretendMdatp(root=device.root).install()
    managed = device.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
    before = device.json("status")
    assert (before["onboarded"], before["running"]) == (False, False)

    onboarded = device("onboard", str(device.package))
    assert (onboarded.returncode, gateway.device.id in onboarded.stdout) == (0, True)

    gateway.assign(gateway.publish(CLOUD_OFF))
    assert "enabled" in device("sync").stdout.lower()

    assert json.loads(managed.read_bytes())["cloudService"]["enabled"] is False
    status = device.json("status")
    assert status["onboarded"]
    assert status["deviceId"] == gateway.device.id
    assert status["target"] == status["enforced"] == gateway.device.target
    assert status["settings"]["succeeded"] == 1
    found = device.json("effective")["settings"]
    (setting,) = [each for each in found if each["state"] == "succeeded"]
    assert {each["state"] for each in found} <= {"succeeded", "notApplicable"}, found
    assert (setting["setting"], setting["provider"]) == (CLOUD, "mdatp")
    assert (setting["written"], setting["effective"]) == (True, True)
    assert [policy["name"] for policy in setting["policies"]] == ["Cloud off"]
    assert gateway.device.report is not None
    assert "succeeded" in {each.state for each in gateway.device.report.settings}
    assert "Cloud off" in device("effective").stdout

    gateway.assign()
    device("sync")
    assert not managed.exists()

    gateway.assign(gateway.publish(CLOUD_OFF))
    device("sync")
    assert managed.exists()
    assert device("offboard").returncode == 0
    assert not managed.exists()
    assert gateway.device.offboarded
    assert device("sync").returncode == 4


def test_sync_works_beside_a_running_agent_and_shows_that_it_failed(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    with device.running():
        assert device.json("status")["running"]
        gateway.assign(gateway.publish(CLOUD_OFF))

        synced = device("sync")

        assert (synced.returncode, synced.stderr) == (0, "")
        assert gateway.device.report is not None
        assert gateway.device.report.target == gateway.device.target

        gateway.device.last_sequence += 100
        assert device("sync").returncode == 0, "it counts anew by itself"
        gateway.refuses_for_ever = True
        gateway.device.last_sequence += 100
        failed = device("sync")
        assert failed.returncode != 0
        assert "seqConflict" in failed.stderr


def test_a_key_is_changed_by_hand_with_and_without_a_running_agent(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    keys = [thumbprint(gateway.device.key)]
    changed = device("rotate-key")
    keys.append(thumbprint(gateway.device.key))
    assert (changed.returncode, keys[1] in changed.stdout) == (0, True), changed.stderr
    with device.running():
        changed = device("rotate-key")
        keys.append(thumbprint(gateway.device.key))
        assert (changed.returncode, keys[2] in changed.stdout) == (0, True), changed.stderr
        assert device("sync").returncode == 0
    assert len(set(keys)) == 3


def test_a_policy_sync_reaches_a_running_agent_within_seconds(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    with device.running():
        gateway.assign(gateway.publish(CLOUD_OFF))
        gateway.request_sync()

        wait_for(lambda: gateway.device.report is not None and gateway.device.report.target == gateway.device.target)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_agent_stops_cleanly_in_the_middle_of_a_wait(
    device: Device, gateway: SimulatedGateway, number: signal.Signals
) -> None:
    device("onboard", str(device.package))
    process = subprocess.Popen(device.command("run"), stderr=subprocess.PIPE, text=True, env={})
    wait_for(lambda: any(path.endswith("/wait") for path, _ in gateway.received))

    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)

    assert process.returncode == 0
    assert json.loads(said.splitlines()[-1])["event"] == "stopped"


def test_offboarding_stops_a_running_agent(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    with device.running() as process:
        assert device("offboard").returncode == 0
        assert process.wait(SECONDS) == 0
    assert gateway.device.offboarded


def test_a_device_removed_on_the_server_leaves_and_comes_back(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    gateway.device.offboarded = True
    synced = device("sync")
    assert (synced.returncode, "offboard --without-server" in synced.stderr) == (8, True)
    refused = device("offboard")
    assert refused.returncode == 8
    assert "The server answered badSignature" in refused.stderr
    assert "offboard --without-server" in refused.stderr

    assert device("offboard", "--without-server").returncode == 0
    assert device("onboard", str(device.package)).returncode == 0
    assert device("sync").returncode == 0


def test_another_manager_that_comes_later_is_said(device: Device) -> None:
    device("onboard", str(device.package))
    path = device.root / "etc/opt/microsoft/mdatp/managed/mdeattach_managed.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")

    said = device("status").stdout

    assert "nothing new is taken and nothing put back" in " ".join(said.split())


def test_a_killed_agent_leaves_no_lock_behind(device: Device) -> None:
    device("onboard", str(device.package))
    with device.running() as process:
        process.kill()
        process.wait(SECONDS)
        assert not device.json("status")["running"]
        assert device("sync").returncode == 0


def test_the_running_process_is_lean(device: Device) -> None:
    device("onboard", str(device.package))
    with device.running() as process:
        maps = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"shieldwall.agent.main" in maps
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", "import shieldwall.agent.main, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    ).stdout.split()
    assert not {"typer", "click", "rich", "asyncio", "sqlalchemy", "shieldwall.server"} & set(loaded)


def test_the_command_line_loads_what_one_command_needs_with_that_command() -> None:
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", "import shieldwall.cli.shieldwall_agent, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    ).stdout.split()
    assert "shieldwall.cli.agent_doctor" in loaded
    of_one = {f"shieldwall.agent.{name}" for name in ("main", "detections.handing", "doctor.examine", "doctor.bundle")}
    of_one |= {f"shieldwall.agent.{name}" for name in ("providers.registry", "selftest.asking", "service.assembly")}
    of_one |= {"shieldwall.agent.scanning.quarantine"}
    assert not {"http", "ssl", *of_one} & set(loaded)


def test_errors_say_what_why_and_what_to_do(device: Device) -> None:
    failed = device("sync")

    what, why, remedy = failed.stderr.strip().splitlines()
    assert failed.returncode == 4
    assert what == "Could not check in."
    assert why.startswith("Why: ")
    assert why.endswith("[notOnboarded]")
    assert remedy.startswith("What to do: Run shieldwall-agent onboard")


def test_errors_are_json_where_json_was_asked_for(device: Device) -> None:
    failed = device("effective", "--json")

    assert failed.stdout == ""
    assert json.loads(failed.stderr)["error"]["code"] == "notOnboarded"


def test_a_package_for_everybody_to_read_is_refused(device: Device, gateway: SimulatedGateway) -> None:
    device.package.chmod(0o644)

    refused = device("onboard", str(device.package))

    assert refused.returncode == 6
    assert "readable by everybody" in refused.stderr
    assert gateway.received == []


def test_a_device_managed_elsewhere_is_onboarded_and_stays_passive(device: Device, gateway: SimulatedGateway) -> None:
    path = device.root / "etc/opt/microsoft/mdatp/managed/mdeattach_managed.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")

    onboarded = device("onboard", str(device.package))

    assert onboarded.returncode == 0
    assert "The agent stays passive" in onboarded.stdout
    assert "mdeattach_managed.json" in onboarded.stdout
    assert "What to do: " in onboarded.stdout
    assert gateway.received != []
    shown = json.loads(device("status", "--json").stdout)
    assert shown["enrollment"]["code"] == 3
    assert shown["survey"][0]["evidence"].endswith("mdeattach_managed.json")
    examined = json.loads(device("doctor", "--json").stdout)
    (check,) = [each for each in examined["checks"] if each["id"] == "otherManager"]
    assert "Enrollment status 3." in check["finding"]


def test_running_without_an_identity_is_explained_and_not_tried(device: Device) -> None:
    refused = device("run")

    assert refused.returncode == 4
    assert refused.stderr.startswith("Could not run the agent.\nWhy: ")


def test_a_gateway_away_is_an_exit_code_of_its_own(tmp_path: Path, gateway: SimulatedGateway) -> None:
    package = tmp_path / "package.json"
    with served(gateway, tmp_path):
        package.write_bytes(gateway.package_bytes())
    package.chmod(0o600)
    lonely = Device(root=tmp_path, state=tmp_path / "state", package=package)

    assert lonely("onboard", str(package)).returncode == 7


def test_places_may_stand_before_the_command_or_in_the_environment(device: Device) -> None:
    words = [sys.executable, "-c", "from shieldwall.cli.shieldwall_agent import main; main()"]
    environment = {"SHIELDWALL_STATE": str(device.state), "SHIELDWALL_ROOT": str(device.root)}
    device("onboard", str(device.package))

    before = subprocess.run(
        [*words, "--state", str(device.state), "--root", str(device.root), "status", "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        env={},
    )
    by_environment = subprocess.run(
        [*words, "status", "--json"], capture_output=True, text=True, timeout=SECONDS, check=True, env=environment
    )

    assert json.loads(before.stdout)["onboarded"]
    assert before.stdout == by_environment.stdout


def test_the_doctor_finds_what_is_wrong_and_packs_no_secret(device: Device, tmp_path: Path) -> None:
    device("onboard", str(device.package))
    device("sync")
    (device.state / "device.key").chmod(0o644)

    examined = device("doctor", "--json", "--bundle", str(tmp_path / "bundle.zip"))

    checks = {check["id"]: check for check in json.loads(examined.stdout)["checks"]}
    assert examined.returncode == 10
    assert checks["key"]["severity"] == "error"
    assert checks["process"]["severity"] == "error"
    for good in (
        "identity",
        "certificate",
        "network.name",
        "network.connection",
        "network.tls",
        "clock",
        "lastCheckIn",
    ):
        assert checks[good]["severity"] == "ok", checks[good]
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        assert {"doctor.json", "status.json", "facts.json", "manifest.json", "report.json"} <= set(archive.namelist())
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"PRIVATE KEY" not in everything


def test_help_names_exit_codes_and_examples(device: Device) -> None:
    text = " ".join(device("--help").stdout.split())

    assert "shieldwall-agent onboard shieldwall_onboarding.json" in text
    assert "managed by somebody else" in text
