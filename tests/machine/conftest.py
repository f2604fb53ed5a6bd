"""A server and a device that know each other only by a cable and a package: the device is a whole machine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from samples.processes import SHIELDWALL, Running
from tests.machine.policies import MARKER, SIGNATURE
from tests.support.command_line import loaded_shieldwall
from tests.support.loaded_program import LoadedProgram
from tests.support.machine import REPOSITORY, Machine, alone, base_tree
from tests.support.namespaces import Namespace, joined_namespaces

PACKAGE = "/root/shieldwall-agent.deb"
ONBOARDING = "/root/shieldwall_onboarding.json"
_PERMISSIONS = (
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
    "Group.ReadWrite.All",
    "Device.ReadWrite.All",
    "SecurityAlert.ReadWrite.All",
    "Shieldwall.Onboarding.ReadWrite.All",
)


@dataclass
class Office:
    """The server, in the network namespace at the other end of the cable, and its administrator."""

    home: Path
    namespace: Namespace
    running: Running = field(init=False)
    program: LoadedProgram = field(init=False)
    policies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.running = Running(logs=self.home / "logs")
        self.program = loaded_shieldwall("ip", "netns", "exec", self.namespace.name)

    @property
    def gateway(self) -> str:
        return f"https://{self.namespace.ipv4}:8444"

    def open(self) -> None:
        """Make the server, start it, log in, and put every device into a group."""
        data = str(self.home / "data")
        addresses = ("--public-url", f"https://{self.namespace.ipv4}:8443", "--gateway-url", self.gateway)
        self.shieldwall("server", "init", "--data", data, *addresses, "--listen", self.namespace.ipv4)
        self.start()
        app = str(self.home / "app.json")
        granted = [word for permission in _PERMISSIONS for word in ("--permission", permission)]
        self.shieldwall("server", "app", "create", "--data", data, "--name", "Machine test", "--out", app, *granted)
        eventually(lambda: self.succeeds("login", "--app", app), what="the server answers")
        rule = '(device.deviceOSType -eq "Linux")'
        group = {"displayName": "Everybody", "mailEnabled": False, "mailNickname": "everybody", "securityEnabled": True}
        group |= {"groupTypes": ["DynamicMembership"], "membershipRule": rule, "membershipRuleProcessingState": "On"}
        self.api("POST", "/v1.0/groups", group)

    def start(self) -> None:
        command = ["ip", "netns", "exec", self.namespace.name, SHIELDWALL, "server", "run", "--data"]
        self.running.start("server", [*command, str(self.home / "data")])

    def shieldwall(self, *words: str) -> str:
        done = self._run(*words)
        assert done.returncode == 0, f"shieldwall {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def succeeds(self, *words: str) -> bool:
        return self._run(*words).returncode == 0

    def listed(self, *words: str) -> Any:
        return json.loads(self.shieldwall(*words, "--json"))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        words = ["api", method, path]
        if body is not None:
            file = self.home / "body.json"
            file.write_text(json.dumps(body))
            words += ["--body", str(file)]
        return json.loads(self.shieldwall(*words) or "null")

    def make_policy(self, body: dict[str, Any]) -> str:
        """Make a policy for every device; returns its id, and remembers it by its name."""
        file = self.home / "policy.json"
        file.write_text(json.dumps(body))
        made = json.loads(self.shieldwall("policy", "import", str(file), "--json"))[0]
        self.policies[body["name"]] = made["id"]
        self.assign(body["name"])
        return str(made["id"])

    def assign(self, name: str) -> None:
        self.shieldwall("policy", "assign", self.policies[name], "--group", "Everybody")

    def unassign(self, name: str) -> None:
        self.shieldwall("policy", "assign", self.policies[name])

    def statuses(self, device: str) -> dict[str, dict[str, Any]]:
        return {each["settingDefinitionId"]: each for each in self.listed("device", "effective", device)}

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.program(words, {**os.environ, "SHIELDWALL_CONFIG": str(self.home / "cli")})

    def close(self) -> None:
        self.program.end()
        self.running.stop()


def eventually(true: Callable[[], Any], *, what: str, seconds: float = 90) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come about: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="session")
def package(testrun_uid: str) -> Path:
    """The package for devices, built from this very tree, once for all processes of a test run."""
    stamp = REPOSITORY / "build" / f"packages-{testrun_uid}"
    with alone("package"):
        if not stamp.exists():
            subprocess.run([REPOSITORY / "scripts" / "build-packages"], check=True, capture_output=True, timeout=600)
            for old in stamp.parent.glob("packages-*"):
                old.unlink()
            stamp.touch()
    (found,) = (REPOSITORY / "dist").glob("shieldwall-agent_*.deb")
    return found


@dataclass
class World:
    """One office, one machine on its cable."""

    office: Office
    machine: Machine
    device: Namespace
    name: str = "server-01"

    def sync(self) -> None:
        """Let the device check in now, and wait until that is over."""
        self.machine.run("shieldwall-agent", "sync", seconds=300, check=True)

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What the server says about every setting of the device."""
        return self.office.statuses(self.name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[World]:
    """An open office, and a machine that has the package installed and is not onboarded."""
    home = tmp_path_factory.mktemp("machine")
    with ExitStack() as stack:
        device, other = stack.enter_context(joined_namespaces())
        office = Office(home / "office", other)
        office.home.mkdir()
        stack.callback(office.close)
        office.open()
        machine = Machine(home, network=device.name, name=f"shieldwall-{os.getpid()}")
        stack.enter_context(machine.laid_out(base_tree()))
        machine.boot()
        machine.write("/etc/hostname", "server-01\n")
        machine.run("hostname", "server-01", check=True)
        _bring(machine, package, PACKAGE)
        machine.run("dpkg", "--install", PACKAGE, seconds=180, check=True)
        onboarding = office.home / "shieldwall_onboarding.json"
        office.shieldwall("package", "create", "--name", "Machines", "--out", str(onboarding))
        machine.write(ONBOARDING, onboarding.read_text(), mode="0600")
        _give_definitions(machine)
        yield World(office, machine, device)


def _give_definitions(machine: Machine) -> None:
    """Give it a virus database of the site's own, and a clamd that starts with it.

    Debian starts clamd only where the official databases are, which cannot be had in a test.
    """
    machine.write("/var/lib/clamav/site.ndb", f"{SIGNATURE}:0:*:{MARKER.encode().hex()}\n")
    machine.write("/etc/systemd/system/clamav-daemon.service.d/site.conf", "[Unit]\nConditionPathExistsGlob=\n")
    machine.run("systemctl", "daemon-reload", check=True)
    machine.run("systemctl", "restart", "clamav-daemon.service", check=True)


def _bring(machine: Machine, file: Path, path: str) -> None:
    machine.run("install", "-D", "--mode=0644", "/dev/stdin", path, stdin=file.read_bytes(), check=True)
