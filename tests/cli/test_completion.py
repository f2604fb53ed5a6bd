"""What the shell offers, asked as a shell asks: the program with variables in its environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support.command_line import PROGRAM, CommandLine, written
from tests.support.graph_bodies import a_policy

from shieldwall.cli.completion import fit_for_shell

OBEYED = ("$(x)", "`x`", "a;b", "a|b", 'a"b', "a'b", "a\\$(x)", "a&b", "a\nb", "--all", "a\x1b", "a*")
PROGRAM_NAMED = (PROGRAM[0], "-c", "import sys; sys.argv[0] = 'shieldwall'; " + PROGRAM[2])


def offered(line: CommandLine, *words: str) -> list[str]:
    """Complete the last word, as bash would."""
    asked = {
        "SHIELDWALL_CONFIG": str(line.config),
        "COMP_WORDS": "\n".join(("shieldwall", *words)),
        "COMP_CWORD": str(len(words)),
        "_SHIELDWALL_COMPLETE": "complete_bash",
    }
    done = subprocess.run(
        PROGRAM_NAMED, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, **asked}
    )
    assert done.stderr == ""
    return [each for each in done.stdout.splitlines() if each]


@pytest.fixture(scope="module", autouse=True)
def things(shieldwall: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> None:
    for number, name in enumerate(("Linux servers: antivirus", "Linux $(touch x)", "Other")):
        file = tmp_path_factory.mktemp("p") / f"{number}.json"
        shieldwall("policy", "import", written(file, a_policy(name)))
    shieldwall("group", "create", "Web")
    shieldwall("filter", "create", "Edge", "--platform", "linux", "--rule", '(device.displayName -startsWith "e")')


def test_commands_options_and_names_are_offered(shieldwall: CommandLine) -> None:
    assert offered(shieldwall, "aud") == ["audit"]
    assert "policy-devices" in offered(shieldwall, "report", "policy")
    assert "--redirect-uri" in offered(shieldwall, "app", "create", "--")
    assert offered(shieldwall, "policy", "show", "Lin") == [r"Linux\ servers\:\ antivirus"]
    assert offered(shieldwall, "policy", "show", r"Linux\ se") == [r"Linux\ servers\:\ antivirus"]
    assert offered(shieldwall, "policy", "show", '"Linux se') == ["Linux servers: antivirus"]
    assert "Other" in offered(shieldwall, "policy", "show", "")
    assert offered(shieldwall, "policy", "assign", "Other", "--group", "W") == ["Web"]
    assert offered(shieldwall, "filter", "show", "E") == ["Edge"]
    assert offered(shieldwall, "app", "show", "Cons") == ["Console"]


def test_where_nothing_can_be_said_nothing_is_said(shieldwall: CommandLine, tmp_path: Path) -> None:
    nobody = CommandLine(config=tmp_path, app=shieldwall.app, data=shieldwall.data, public_url=shieldwall.public_url)
    assert offered(nobody, "policy", "show", "Lin") == []
    (tmp_path / "login.json").write_text(shieldwall.app.read_text().replace(shieldwall.public_url, "https://[::1]:1"))
    assert offered(nobody, "policy", "show", "Lin") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
@pytest.mark.parametrize("name", OBEYED)
def test_no_name_is_offered_that_a_shell_would_obey(name: str, shell: str) -> None:
    assert fit_for_shell([name, "äb-1"], "", shell, "") == ["äb-1"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_program_prints_what_each_shell_needs(shell: str) -> None:
    environment = {**os.environ, "_SHIELDWALL_COMPLETE": f"source_{shell}"}
    done = subprocess.run(PROGRAM_NAMED, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert "_SHIELDWALL_COMPLETE" in done.stdout
    assert "complete_" in done.stdout
