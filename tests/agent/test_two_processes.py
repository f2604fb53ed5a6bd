"""The agent as it is installed: two real processes, a socket between them, and a user without rights."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.simulated_gateway import TENANT, RealClock, SimulatedGateway, served
from tests.support.two_processes import AGENT_UID, TwoProcesses, two_processes, wait_for

from shieldwall.agent.applier.protocol import Outcome, Refresh
from shieldwall.agent.sandbox import landlock_version
from shieldwall.agent.service.records import Leaving
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, PolicyDocument
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import encode
from shieldwall.testing.mdatp import PretendMdatp

pytestmark = pytest.mark.root

CLOUD = SettingId("linux_mdatp_managed_cloudservice_enabled")


HOLD = """
import sys, time
from pathlib import Path
from shieldwall.agent.service.lock import StateLock
lock = StateLock(directory=Path(sys.argv[1]), monotonic=time.monotonic, sleep=time.sleep)
try:
    with lock.held(running=True, patience_seconds=1):
        print("held")
except Exception as error:
    print(error.code)
"""


def cloud(value: str, revision: int = 1) -> PolicyDocument:
    return PolicyDocument(
        tenant_id=TENANT,
        policy_id=PolicyId("cccccccc-0000-4000-8000-000000000001"),
        revision=revision,
        name="Cloud",
        platforms="linux",
        technologies="microsoftSense",
        template_id=TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"),
        modified_at="2026-11-23T11:00:00Z",
        catalog_version="1",
        settings=(ChoiceSetting(definition=CLOUD, value=ChoiceValue(value=f"{CLOUD}_{value}")),),
    )


@pytest.fixture
def gateway() -> SimulatedGateway:
    return SimulatedGateway(clock=RealClock())


@pytest.fixture
def device(tmp_path: Path, gateway: SimulatedGateway) -> Iterator[TwoProcesses]:
    with served(gateway, tmp_path), two_processes() as made:
        made.give(gateway.package_bytes())
        PretendMdatp(root=made.root).install()
        yield made


def managed(device: TwoProcesses) -> object:
    """Return what the product is told about the cloud, ``None`` where it is told nothing."""
    path = device.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
    if not path.exists():
        return None
    return json.loads(path.read_bytes()).get("cloudService", {}).get("enabled")


def onboarded(device: TwoProcesses) -> None:
    done = device("onboard", str(device.package))
    assert done.returncode == 0, done.stderr


def test_the_whole_life_of_an_installed_device(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        assert not device.json("status")["onboarded"]
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        assert "enabled" in device("sync").stdout.lower()
        assert managed(device) is False

        status = device.json("status")
        assert status["target"] == status["enforced"] == gateway.device.target
        (shown,) = [each for each in device.json("effective")["settings"] if each["provider"] == "mdatp"]
        assert (shown["state"], shown["readBack"]) == ("succeeded", f"{CLOUD}_false")
        examined = {check["id"]: check["severity"] for check in device.json("doctor")["checks"]}
        assert examined["engine.mdatp"] == examined["identity"] == examined["key"] == "ok"

        with device.agent() as process:
            assert process.poll() is None
            gateway.assign(gateway.publish(cloud("true", 2)))
            gateway.request_sync()
            wait_for(lambda: managed(device) is True)
            assert device.json("status")["running"]
            assert device.owners() == {AGENT_UID}
        assert device("offboard").returncode == 0

    assert managed(device) is None
    assert gateway.device.goodbye is not None
    assert device.owners() == {AGENT_UID}, "nothing there ever belonged to root"


def test_the_applier_enforces_alone_what_it_was_given(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        device("sync")
    managed_file = device.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
    managed_file.unlink()
    shutil.rmtree(device.state)

    with device.applier():
        assert managed(device) is False, "before it said that it was ready, and without an agent"


def test_whoever_changes_a_file_is_put_right_within_seconds_and_named(
    device: TwoProcesses, gateway: SimulatedGateway
) -> None:
    path = device.root / "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
    edit = "import sys, time; open(sys.argv[1], 'w').write('{}'); time.sleep(3)"
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        device("sync")
        began = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", edit, str(path)]):
            wait_for(lambda: path.read_bytes() == b"{}")
            wait_for(lambda: managed(device) is False)
            assert time.monotonic() - began < 10, "nobody asked, and no minute has passed"

        with closing(SocketApplier(device.socket)) as ask:
            answer = ask(Refresh())

        assert isinstance(answer, Outcome)
        assert answer.report is not None
        (status,) = (each for each in answer.report.settings if each.provider == "mdatp")
        assert (status.state, status.code) == (SettingState.SUCCEEDED, "repaired")
        assert (status.reason or "").startswith(f"Changed by {Path(sys.executable).resolve()} (uid 0")
        rows = {(row["setting"], row.get("provider")): row for row in device.json("effective")["settings"]}
        assert rows[CLOUD, "mdatp"]["source"] == "policy"


def test_two_processes_weigh_little_and_hold_no_rights_they_do_not_need(
    device: TwoProcesses, gateway: SimulatedGateway
) -> None:
    with device.applier() as applier:
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        with device.agent() as agent:
            wait_for(lambda: managed(device) is False)
            status = Path(f"/proc/{agent.pid}/status").read_text()
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert set(fields["Uid"].split()) == {str(AGENT_UID)}
            assert fields["NoNewPrivs"] == "1"
            assert int(fields["CapEff"], 16) == 0
            assert "NoNewPrivs:\t1" in Path(f"/proc/{applier.pid}/status").read_text()
            assert f'"landlock":{landlock_version()}' in device.agent_log()

            maps = Path(f"/proc/{applier.pid}/maps").read_text()
            assert "_ssl." not in maps, "no TLS in the process that is root"
            assert not any(_is_internet(applier.pid))


def _is_internet(pid: int) -> Iterator[bool]:
    sockets = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            yield f"socket:[{line.split()[9]}]" in sockets


def test_the_applier_knows_neither_http_nor_tls_nor_the_agents_network_side() -> None:
    program = """
import sys, io
from pathlib import Path
import shieldwall.agent.applier_main as program
from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.assembly import local_applier
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.host.local import LocalHost
clock = program.SystemClock()
applier = local_applier(LocalHost(Path(sys.argv[1])), Path(sys.argv[2]), clock=clock, say=lambda *a, **k: None)
applier.warden.start()
for request in (protocol.Look(), protocol.Examine(facts=True), protocol.Refresh()):
    applier.desk(request, Asker(uid=0))
print(*sys.modules)
"""
    with two_processes() as device:
        words = [sys.executable, "-I", "-c", program, str(device.root), str(device.applier_state)]
        loaded = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    assert "shieldwall.agent.applier.warden" in loaded
    # Of urllib, pathlib itself brings the part that only takes texts apart.
    for name in (
        "http",
        "ssl",
        "urllib.request",
        "urllib.error",
        "urllib.response",
        "asyncio",
        "shieldwall.agent.service",
        "typer",
        "rich",
    ):
        assert not [module for module in loaded if module == name or module.startswith(f"{name}.")], name


def test_the_agent_holds_no_catalog() -> None:
    program = "import shieldwall.agent.main, sys; print(*sys.modules)"
    words = [sys.executable, "-I", "-c", program]
    loaded = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    for name in ("shieldwall.catalog.loader", "shieldwall.agent.providers.registry", "shieldwall.agent.applier.engine"):
        assert name not in loaded


def test_only_root_and_the_agent_may_ask(device: TwoProcesses) -> None:
    with device.applier():
        refused = device("status", uid=AGENT_UID + 1)
        assert refused.returncode != 0
        device.socket.chmod(0o666)  # whatever becomes of the file's mode, the kernel says who connects
        script = (
            "import socket,sys;s=socket.socket(socket.AF_UNIX);s.settimeout(20);s.connect(sys.argv[1]);"
            "print(s.recv(4096)[4:].decode())"
        )
        asked = subprocess.run(
            [device.python, "-I", "-c", script, str(device.socket)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            user=AGENT_UID + 1,
            group=AGENT_UID + 1,
            extra_groups=[],
            cwd="/",
        ).stdout
        assert '"code":"notAllowed"' in asked


def test_the_agents_user_takes_nothing_out_of_management(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        device("sync")

        refused = device("offboard", "--without-server", uid=AGENT_UID)
        assert refused.returncode != 0
        assert "leaveRefused" in refused.stderr
        assert managed(device) is False


@pytest.mark.parametrize("words", [("sync",), ("rotate-key",), ("status",), ("doctor",)])
def test_the_agents_files_put_no_word_into_roots_mouth(
    device: TwoProcesses, gateway: SimulatedGateway, words: tuple[str, ...]
) -> None:
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        device("sync")
        departure = device.state / "leaving.json"  # whoever owns the agent says that somebody allowed it to leave
        departure.write_bytes(encode(Leaving(device_id=gateway.device.id)))
        os.chown(departure, AGENT_UID, AGENT_UID)

        device(*words)

        assert managed(device) is False
        assert (device.applier_state / "pin.json").exists()


def test_root_alone_takes_nothing_protected_out_of_management(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        gateway.protect()
        device("sync")
        for name in ("manifest.json", "standing.json"):
            (device.state / name).unlink()  # the agent forgets that it is protected

        refused = device("offboard", "--without-server")
        assert refused.returncode == 11, refused.stderr
        assert managed(device) is False

        shutil.rmtree(device.state)
        assert device("offboard").returncode == 11, "nor does it help to forget everything"
        leave = device.secret / "leave.json"
        leave.write_bytes(gateway.offboarding_bytes())
        leave.chmod(0o600)
        done = device("offboard", "--package", str(leave))
        assert done.returncode == 0, done.stderr
    assert managed(device) is None


def test_a_device_of_one_process_goes_over_by_a_word_of_root(device: TwoProcesses, gateway: SimulatedGateway) -> None:
    with device.applier():
        onboarded(device)
    shutil.rmtree(device.applier_state)
    with device.applier():
        gateway.assign(gateway.publish(cloud("false")))
        lost = device("sync")
        assert "notPinned" in lost.stderr
        assert device("pin", uid=AGENT_UID).returncode != 0
        assert device("pin").returncode == 0
        assert device("sync").returncode == 0
        assert managed(device) is False


def test_without_an_applier_it_is_said_what_is_missing(device: TwoProcesses) -> None:
    failed = device("sync")
    assert failed.returncode != 0
    failed = device("status")
    assert "applierSilent" in failed.stderr
    assert "systemctl status shieldwall-applier" in failed.stderr


def test_a_second_applier_does_not_start(device: TwoProcesses) -> None:
    with device.applier() as first:
        words = ["--root", device.root, "--state", device.applier_state, "--socket", device.socket]
        program = [device.python, "-I", "-m", "shieldwall.agent.applier_main", *map(str, words)]
        second = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert "applierNotStarted" in second.stderr
        assert first.poll() is None
        assert device("status").returncode == 0


def test_two_agents_do_not_run_at_once(device: TwoProcesses) -> None:
    with device.applier():
        onboarded(device)
        with device.agent() as first:
            words = [device.python, "-I", "-c", HOLD, str(device.state)]
            second = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
            assert second.stdout.strip() == "agentBusy"
            assert first.poll() is None


@pytest.mark.parametrize(
    "hostile",
    [
        {"PYTHONPATH": "@", "PYTHONHOME": "@", "PYTHONSTARTUP": "@/sitecustomize.py", "HOME": "@"},
        {"PATH": "@", "LD_PRELOAD": "@/trap.so", "LD_LIBRARY_PATH": "@"},
        {"SSL_CERT_FILE": "@/none", "SSL_CERT_DIR": "@", "https_proxy": "http://127.0.0.1:1", "ALL_PROXY": "@"},
        {"TZ": "Antarctica/Troll", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TMPDIR": "@"},
    ],
)
def test_a_hostile_environment_steers_neither(
    device: TwoProcesses, gateway: SimulatedGateway, hostile: dict[str, str]
) -> None:
    trap = device.home / "trap"
    trap.mkdir()
    trap.chmod(0o755)
    (trap / "sitecustomize.py").write_text("import os; os.makedirs('/tmp/shieldwall-trapped', exist_ok=True)")
    (trap / "mdatp").write_text("#!/bin/sh\ntouch /tmp/shieldwall-trapped\n")
    (trap / "mdatp").chmod(0o755)
    environment = {name: value.replace("@", str(trap)) for name, value in hostile.items()}
    with device.applier(**environment):
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        harmless = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
        assert device("sync", environment=harmless).returncode == 0
        with device.agent(**harmless) as agent:
            assert managed(device) is False
            kept = Path(f"/proc/{agent.pid}/environ").read_bytes().split(b"\0")
            assert {entry.partition(b"=")[0] for entry in kept if entry} == {b"LANG", b"PATH"}
    assert not Path("/tmp/shieldwall-trapped").exists()


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "hardlink"])
@pytest.mark.parametrize("name", ["manifest.json", "report.json", "standing.json"])
def test_whatever_stands_in_the_place_of_a_state_file_reaches_nothing_of_root(
    device: TwoProcesses, gateway: SimulatedGateway, name: str, kind: str
) -> None:
    precious = device.secret / "precious"
    precious.write_text("root's own")
    with device.applier():
        onboarded(device)
        gateway.assign(gateway.publish(cloud("false")))
        device("sync")
        path = device.state / name
        path.unlink(missing_ok=True)
        match kind:
            case "symlink":
                path.symlink_to(precious)
            case "fifo":
                os.mkfifo(path)
            case "directory":
                path.mkdir()
            case _:
                os.link(precious, path)
        for command in ("sync", "status", "effective"):
            device(command)  # that it ends is what counts; it may well say that something is wrong
        assert precious.read_text() == "root's own"
        assert managed(device) is False, "what is enforced does not hang on the agent's files"


def test_a_stranger_in_the_place_of_the_socket_is_replaced(device: TwoProcesses) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(device.socket))
    with device.applier():
        assert device("status").returncode == 0
        assert device.socket.stat().st_uid == 0
        assert device.socket.stat().st_mode & 0o777 == 0o660
