from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from samples.device import SampleDevice
from samples.processes import AGENT
from samples.run import ASSIGNMENTS, POLICIES
from tests.support.command_line import loaded_shieldwall
from tests.support.ports import free_port

REPOSITORY = Path(__file__).parents[2]
FIREWALL = "Linux servers: firewall rules"
EVERYBODY = "Linux servers"
_SHIELDWALL = loaded_shieldwall()


@dataclass
class SampleSystem:
    """What ``make run`` makes, in a directory and on ports of the test's own."""

    home: Path
    admin_port: int
    gateway_port: int
    process: subprocess.Popen[str] | None = field(default=None)

    def start(self) -> str:
        """Start it and return what it says when it is ready."""
        command = [sys.executable, "-m", "samples.run", "--data", str(self.home / "run")]
        ports = ["--admin-port", str(self.admin_port), "--gateway-port", str(self.gateway_port)]
        self.process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if "Ctrl-C" in line:
                return said
        pytest.fail(f"make run ended early:\n{said}\n{self._logs()}")

    def stop(self) -> int:
        """Press Ctrl-C and wait for the end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Wait until it has ended, by itself or because it was asked to."""
        assert self.process is not None
        self.process.communicate(timeout=300)  # agents finish what they are at
        return self.process.returncode

    def shieldwall(self, *words: str) -> str:
        done = _SHIELDWALL(words, {**os.environ, "SHIELDWALL_CONFIG": str(self.home / "cli")})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def listed(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.shieldwall(*words, "--json"))
        return found

    def device(self, name: str) -> SampleDevice:
        return SampleDevice(name=name, home=self.home / "devices" / name)

    def agent(self, name: str, *words: str) -> str:
        device = self.device(name)
        places = ["--root", str(device.root), "--state", str(device.state)]
        done = subprocess.run([AGENT, *words, *places], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def states(self, name: str) -> dict[str, str]:
        """The state of every setting of a device, by definition id."""
        return {each["settingDefinitionId"]: each["state"] for each in self.listed("device", "effective", name)}

    def settle(self) -> None:
        """Bring it back to where every test begins: running, everything assigned, everybody up to date."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        assigned = {each["name"]: each["isAssigned"] for each in self.listed("policy", "list")}
        for stem, group in ASSIGNMENTS:
            name = json.loads((POLICIES / f"{stem}.json").read_text())["name"]
            if not assigned[name]:
                self.assign(name, group)
        try:
            eventually(self._is_settled)
        except AssertionError:
            unsettled = {
                device["deviceName"]: [
                    (each["settingDefinitionId"], each["state"], each.get("errorCode"), each.get("reason"))
                    for each in self.listed("device", "effective", device["deviceName"])
                    if each["state"] not in {"succeeded", "notApplicable"}
                ]
                for device in self.listed("device", "list")
            }
            raise AssertionError(f"not settled: {unsettled}\n{self._logs()}") from None

    def _is_settled(self) -> bool:
        standing = [each["shieldwall"] for each in self.listed("device", "list")]
        return all(each["upToDate"] and each["state"] == "succeeded" for each in standing)

    def assign(self, policy: str, *groups: str) -> None:
        self.shieldwall("policy", "assign", policy, *(word for group in groups for word in ("--group", group)))

    def _logs(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in (self.home / "logs").glob("*.log"))


def eventually(true: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleSystem]:
    found = SampleSystem(tmp_path_factory.mktemp("system"), free_port(), free_port())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def system(running_system: SampleSystem) -> SampleSystem:
    running_system.settle()
    return running_system
