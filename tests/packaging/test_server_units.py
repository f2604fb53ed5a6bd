"""The units of a server: hardened, in the words of the command line, and what the documentation shows."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from shieldwall.cli.shieldwall import app

REPOSITORY = Path(__file__).parents[2]
UNITS = REPOSITORY / "package" / "server"
SERVICES = ("shieldwall.service", "shieldwall@.service", "shieldwall-gateway@.service", "shieldwall-backup.service")
PROGRAM = "/opt/shieldwall/bin/shieldwall"


def service(name: str, section: str = "Service") -> configparser.SectionProxy:
    parsed = configparser.RawConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # names of directives are spelled as they are
    parsed.read(UNITS / name)
    return parsed[section]


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_leaves_little_open(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / name)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    (score,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert float(score) <= 1.4


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_calls_a_command_that_there_is(name: str) -> None:
    program, *words = shlex.split(service(name)["ExecStart"].replace("%i", "gateway"))
    assert program == PROGRAM

    command: Any = get_command(app)
    while not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_keeps_its_state_private(name: str) -> None:
    found = service(name)

    assert (found["User"], found["UMask"], found["LimitCORE"]) == ("shieldwall", "0077", "0")
    assert found["CapabilityBoundingSet"] == ""


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        text = unit.read_text().replace(PROGRAM, "/bin/true")  # it looks whether the program is there
        (tmp_path / unit.name).write_text(text)
    started = [unit.name.replace("@.", "@18444.") for unit in UNITS.iterdir()]
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in started)]
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    assert (done.returncode, done.stderr) == (0, "")


def test_gateways_of_one_machine_differ_in_their_port_alone() -> None:
    *_, role, port = service("shieldwall-gateway@.service")["ExecStart"].split(" --")
    assert (role, port) == ("role gateway", "gateway-port %i")

    one, any_role = (dict(service(name)) for name in ("shieldwall-gateway@.service", "shieldwall@.service"))
    assert one | {"ExecStart": ""} == any_role | {"ExecStart": ""}


def test_the_server_ends_its_processes_itself_and_comes_back_quickly() -> None:
    found = service("shieldwall.service")

    assert (found["Type"], found["KillMode"], found["StateDirectoryMode"]) == ("exec", "mixed", "0700")
    assert (found["Restart"], found["RestartSec"]) == ("on-failure", "1")


@pytest.mark.parametrize("name", [each for each in SERVICES if "backup" not in each])
def test_systemd_never_gives_up_on_a_server(name: str) -> None:
    """It does by itself after five starts in ten seconds, and a start without a database takes less than one."""
    assert service(name)["Restart"] == "on-failure"
    assert service(name, "Unit")["StartLimitIntervalSec"] == "0"


def test_the_documentation_names_every_unit() -> None:
    told = (REPOSITORY / "docs" / "operations.md").read_text()

    assert [unit.name for unit in UNITS.iterdir() if unit.name not in told] == []
