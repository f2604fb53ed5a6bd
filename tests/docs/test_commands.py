"""Every command and option that the documentation shows is one that the programs have."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.documentation import ROOT, blocks, pages, prose
from typer.main import get_command

from shieldwall.cli import shieldwall, shieldwall_agent
from shieldwall.simulator import main as simulator

PROGRAMS: Final = ("shieldwall-agent", "shieldwall-sim", "shieldwall")
_PREFIX: Final = re.compile(r"^(?:\S*/)?(shieldwall-agent|shieldwall-sim|shieldwall)\Z")
_INLINE: Final = re.compile(r"`([^`\n]*(?:\n[^`\n]+)?)`")
_LANGUAGES: Final = frozenset({"console", "sh", "bash", "shell", "ini"})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A command as a page shows it: the program and the words after it."""

    page: Path
    program: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.name}: {self.program} {' '.join(self.words)}"


@cache
def program(name: str) -> Any:
    apps = {"shieldwall": shieldwall.app, "shieldwall-agent": shieldwall_agent.app, "shieldwall-sim": simulator.app}
    return get_command(apps[name])


@cache
def shown() -> tuple[Shown, ...]:
    return tuple(each for page in pages() for each in commands_on(page))


def commands_on(page: Path) -> Iterator[Shown]:
    for block in blocks(page):
        if block.language in _LANGUAGES:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from commands_in(page, line.removeprefix("ExecStart="))
    for found in _INLINE.finditer(prose(page)):
        if found[1].partition(" ")[0] in PROGRAMS:
            yield from commands_in(page, found[1])


def commands_in(page: Path, line: str) -> Iterator[Shown]:
    """Find our program at the beginning of a line, or after ``sudo -u SOMEBODY``."""
    if not any(name in line for name in PROGRAMS):
        return
    words = shlex.split(line, comments=True)
    words = list(takewhile(lambda word: word not in {"|", ">"}, words))
    if words[:2] == ["sudo", "-u"]:
        words = words[3:]
    if words and (found := _PREFIX.match(words[0])):
        yield Shown(page=page, program=found[1], words=tuple(words[1:]))


def check(each: Shown) -> None:
    """Walk the words down the tree of commands, and see that every option belongs to the command reached."""
    command = program(each.program)
    options = names_of(command)
    rest = list(each.words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            name = word.partition("=")[0]
            assert name in options, f"{each}: no option {name}"
            takes_value = options[name] and "=" not in word
            if takes_value:
                assert rest, f"{each}: {name} stands without a value"
                rest.pop(0)
        elif commands := getattr(command, "commands", {}):
            assert word in commands, f"{each}: no command {word}"
            command = commands[word]
            options |= names_of(command)
        else:
            assert any(one.param_type_name == "argument" for one in command.params), f"{each}: {word} is too much"


def names_of(command: Any) -> dict[str, bool]:
    """Return the options of a command, and whether each takes a value."""
    found = {"--help": False}
    for parameter in command.params:
        if parameter.param_type_name == "option":
            found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), not parameter.is_flag)
    return found


def test_every_command_shown_is_one_that_is_there() -> None:
    for each in shown():
        check(each)


@pytest.mark.parametrize(
    "line",
    [
        "shieldwall device lst",
        "shieldwall device list --jsn",
        "/opt/x/bin/shieldwall-agent run --fast",
        "sudo -u me shieldwall server init --dir /x",
        "shieldwall-agent version now",
    ],
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    (found,) = commands_in(ROOT / "README.md", line)

    with pytest.raises(AssertionError):
        check(found)


def test_the_commands_of_a_first_day_are_shown_somewhere() -> None:
    named = {(each.program, *(word for word in each.words[:2] if word.isalpha())) for each in shown()}

    assert {
        ("shieldwall", "server", "init"),
        ("shieldwall", "server", "run"),
        ("shieldwall", "server", "admin"),
        ("shieldwall", "package", "create"),
        ("shieldwall", "policy", "assign"),
        ("shieldwall-agent", "onboard"),
        ("shieldwall-agent", "offboard"),
        ("shieldwall-agent", "effective"),
    } <= named
