"""Three real agents on three pretend machines live a whole life, steered by the commands of both sides.

Server, gateway, signer and agents are processes of their own; what is enforced is mdatp's managed file. Nothing here
reaches into anything: all that is done is done by command line, or to the files of a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from samples.device import LOCAL_MDATP, SampleDevice
from samples.run import Lab
from tests.support.command_line import loaded_shieldwall
from tests.support.commanded_device import SHIELDWALL_AGENT
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(600)

MANAGED_FILE = "etc/opt/microsoft/mdatp/managed/mdatp_managed.json"
CHANNEL_FILE = "etc/opt/microsoft/mdatp/managed/mdeattach_managed.json"
_SHIELDWALL = loaded_shieldwall()
PENDING, REFUSED = 12, "Tamper protection"


class AskedLab(Lab):
    """A sample system that is asked often, by a command line that is loaded once."""

    def shieldwall(self, *words: str) -> str:
        done = _SHIELDWALL(words, {**os.environ, **self.environment})
        assert done.returncode == 0, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout


@dataclass
class Machine:
    """A machine with an agent that may be running."""

    lab: Lab
    device: SampleDevice
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def file(self) -> Path:
        return self.device.root / MANAGED_FILE

    @property
    def enforces(self) -> bool:
        """Whether the sample policy holds beside what was set by hand."""
        return "cloudService" in json.loads(self.file.read_text())

    @property
    def is_untouched(self) -> bool:
        return self.file.read_text() == LOCAL_MDATP

    @property
    def seen(self) -> Any:
        """The newest device of this name as the server shows it."""
        found = [each for each in self.lab_json("device", "list") if each["deviceName"] == self.name]
        return found[-1]["shieldwall"] | {"id": found[-1]["id"]}

    def lab_json(self, *words: str) -> Any:
        return json.loads(self.lab.shieldwall(*words, "--json"))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        places = ["--root", str(self.device.root), "--state", str(self.device.state)]
        return SHIELDWALL_AGENT([*words, *places], os.environ)

    def agent(self, *words: str) -> str:
        done = self.command(*words)
        assert done.returncode == 0, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout

    def start(self) -> None:
        with (self.device.home / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(self.device.agent("run", namespaced=False), stdout=log, stderr=log)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def copy(self, name: str) -> Machine:
        """Copy the whole disk into another machine, which has an id of its own and an agent that does not run."""
        other = SampleDevice(name=name, home=self.device.home.parent / name, has_mdatp=True)
        shutil.copytree(self.device.home, other.home)
        (other.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        return Machine(self.lab, other)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A server with the sample policies and nobody who is managed yet."""
    made = AskedLab(tmp_path / "run", admin_port=free_port(), gateway_port=free_port())
    made.devices = ()
    made.start_server()
    made.sign_in()
    made.make_policies()
    yield made
    made.stop()


@pytest.fixture
def machines(lab: Lab, tmp_path: Path) -> Iterator[list[Machine]]:
    found = []
    for name in ("web-01", "db-01", "build-01"):
        device = SampleDevice(name=name, home=tmp_path / "devices" / name, has_mdatp=True)
        device.prepare(namespaced=False)
        found.append(Machine(lab, device))
    yield found
    for machine in found:
        machine.stop()


@dataclass
class Scenario:
    """Three machines, one step of their lives after the other."""

    lab: Lab
    web: Machine
    db: Machine
    build: Machine
    home: Path

    @property
    def machines(self) -> tuple[Machine, ...]:
        return self.web, self.db, self.build

    def package(self, name: str, *options: str) -> str:
        path = self.home / f"{name}.json"
        self.lab.shieldwall("package", "create", "--out", str(path), *options)
        return str(path)

    def arrive(self) -> None:
        """web-01 is approved by somebody, db-01 lets itself in, build-01 is in the directory first."""
        manual = self.package("manual", "--approval", "manual")
        automatic, full = self.package("automatic"), self.package("full", "--join", "full")
        assert self.web.command("onboard", manual).returncode == PENDING
        self.db.agent("onboard", automatic)
        self.build.agent("join", full)
        self.build.agent("onboard", automatic)
        for machine in self.machines:
            machine.start()
        assert self.web.is_untouched
        self.lab.shieldwall("device", "approve", self.web.seen["id"])
        eventually(self.is_everybody_managed)
        assert [machine.seen["registration"] for machine in self.machines] == ["synthetic", "synthetic", "full"]

    def promote(self) -> None:
        """db-01 joins the directory after all: it becomes its full registration, and is managed all the while."""
        synthetic = self.db.seen["id"]
        self.db.agent("join", str(self.home / "full.json"))
        self.db.agent("sync")
        eventually(lambda: self.db.seen["registration"] == "full" and is_settled(self.db))
        assert self.db.seen["id"] != synthetic
        assert self.db.enforces

    def set_back(self) -> None:
        """web-01 is set back to a snapshot from before, and then gets another key."""
        web, snapshot = self.web, self.home / "snapshot"
        web.stop()
        shutil.copytree(web.device.state, snapshot)
        web.start()
        for _ in range(3):
            web.agent("sync")
        web.stop()
        shutil.rmtree(web.device.state)
        snapshot.rename(web.device.state)
        web.start()
        web.agent("sync")
        eventually(lambda: is_settled(web))
        assert web.seen["deviceState"] == "active"
        web.agent("rotate-key")
        eventually(lambda: is_settled(web) and web.enforces)

    def fall_out_of_scope(self) -> None:
        """The tenant takes no Linux devices for a while: all goes back to its state from before, and comes again."""
        self.lab.shieldwall("scope", "set", "linux=off", "--yes")
        eventually(lambda: all(machine.is_untouched for machine in self.machines))
        assert {machine.seen["enrollment"]["code"] for machine in self.machines} == {2}
        self.lab.shieldwall("scope", "set", "linux=all", "--yes")
        eventually(self.is_everybody_managed)

    def meet_another_manager(self) -> None:
        """Another manager takes build-01 over, and leaves again."""
        other = self.build.device.root / CHANNEL_FILE
        other.write_text("{}")
        self.build.agent("sync")
        eventually(lambda: self.build.is_untouched and self.build.seen["enrollment"]["code"] == 3)
        other.unlink()
        self.build.agent("sync")
        eventually(lambda: self.build.enforces and is_settled(self.build))

    def be_protected(self) -> None:
        """Protected devices do not leave by their own word, and tell that somebody tried."""
        self.lab.shieldwall("protection", "set", "--tenant", "on", "--yes")
        for machine in self.machines:
            machine.agent("sync")
            refused = machine.command("offboard")
            assert refused.returncode != 0
            assert REFUSED in refused.stderr
            assert machine.enforces
            machine.agent("sync")
        assert "tamper.offboardRefused" in {each["category"] for each in self.web.lab_json("alert", "list")}

    def be_copied(self) -> None:
        """db-01 is copied: both speak, both are quarantined, both go on enforcing. Then the original is released."""
        db = self.db
        db.stop()
        clone = db.copy("db-clone")
        for _ in range(3):
            for machine in (clone, db):
                machine.start()
                machine.command("sync")
                machine.stop()
        assert db.seen["deviceState"] == "quarantined"
        assert db.enforces
        assert clone.enforces
        self.lab.shieldwall("device", "release", db.seen["id"])
        db.start()
        db.agent("sync")
        eventually(lambda: is_settled(db) and db.seen["deviceState"] == "active")

    def leave(self) -> None:
        """Each goes in its own way: by order, by package, and by being deleted."""
        former, package = self.web.seen["id"], self.home / "leave.json"
        self.lab.shieldwall("device", "offboard", former, "--yes")
        eventually(lambda: self.web.is_untouched and self.state_of(former) == "retired")
        self.lab.shieldwall("package", "offboarding", "--out", str(package))
        package.chmod(0o600)
        self.db.agent("offboard", "--package", str(package))
        assert self.db.is_untouched
        self.lab.shieldwall("device", "delete", self.build.seen["id"], "--yes")
        assert self.build.command("sync").returncode != 0
        assert self.build.enforces, "silence never removes protection"
        assert self.build.name not in {each["deviceName"] for each in self.build.lab_json("device", "list")}
        # The machine that left by order comes again, as a new device.
        self.web.stop()
        self.web.agent("onboard", str(self.home / "automatic.json"))
        self.web.start()
        eventually(lambda: self.web.enforces and is_settled(self.web))
        assert self.web.seen["id"] != former

    def is_everybody_managed(self) -> bool:
        return all(machine.enforces and is_settled(machine) for machine in self.machines)

    def state_of(self, device: str) -> str:
        return str(self.web.lab_json("device", "show", device)["shieldwall"]["deviceState"])


def test_three_real_agents_live_their_lives(lab: Lab, machines: list[Machine], tmp_path: Path) -> None:
    web, db, build = machines
    scenario = Scenario(lab, web, db, build, tmp_path)
    scenario.arrive()
    scenario.promote()
    scenario.set_back()
    scenario.fall_out_of_scope()
    scenario.meet_another_manager()
    scenario.be_protected()
    scenario.be_copied()
    scenario.leave()


def is_settled(machine: Machine) -> bool:
    """Whether the server knows that the device has what it shall have."""
    seen = machine.seen
    return bool(seen["managedBy"] == "MDE" and seen["upToDate"] and seen["state"] == "succeeded")


def eventually(true: Callable[[], bool], *, seconds: float = 150) -> None:
    """Wait for what other processes bring about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.3)
