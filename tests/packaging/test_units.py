"""The units of the packages: hardened as far as what they do allows, and installed by both maintainers' tools."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UNITS = REPOSITORY / "package" / "units"
SERVICES = ("shieldwall-agent.service", "shieldwall-applier.service")


def unit(name: str) -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # names of directives are spelled as they are
    parsed.read(UNITS / name)
    return parsed


@pytest.mark.parametrize(("name", "most"), [("shieldwall-agent.service", 1.2), ("shieldwall-applier.service", 3.0)])
def test_a_unit_is_exposed_no_more_than_what_it_does_asks_for(name: str, most: float) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / name)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    (score,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert float(score) <= most


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_keeps_its_state_private_and_comes_back(name: str) -> None:
    service = unit(name)["Service"]

    assert (service["StateDirectoryMode"], service["LimitCORE"], service["UMask"]) == ("0700", "0", "0077")
    assert (service["Restart"], service["KillMode"], service["NoNewPrivileges"]) == ("always", "mixed", "yes")


def test_the_applier_has_no_network_and_the_agent_no_rights() -> None:
    applier, agent = unit("shieldwall-applier.service")["Service"], unit("shieldwall-agent.service")["Service"]

    assert set(applier["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_NETLINK"}
    assert applier["IPAddressDeny"] == "any"
    assert agent["User"] == "shieldwall-agent"
    assert agent["CapabilityBoundingSet"] == ""


@pytest.mark.parametrize("script", ["after-install", "before-remove", "after-remove"])
def test_a_maintainer_script_is_a_script(script: str) -> None:
    subprocess.run(["sh", "-n", str(REPOSITORY / "package" / "maintainer" / script)], check=True, timeout=10)
