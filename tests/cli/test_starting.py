"""A part of the command line is as all of it, for whoever asks for that part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from shieldwall.cli.shieldwall import app
from shieldwall.cli.starting import asked_for


def paths(command: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield before
    for name, each in sorted(getattr(command, "commands", {}).items()):
        yield from paths(each, (*before, name))


def found(command: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        command = command.commands[name]
    return command


def parameter(each: Any) -> tuple[Any, ...]:
    help_of = getattr(each, "help", None)
    return each.name, each.opts, each.secondary_opts, each.required, each.nargs, type(each).__name__, help_of


def described(command: Any) -> Any:
    own = (command.name, command.help, command.hidden, [parameter(each) for each in command.params])
    return own, {name: described(each) for name, each in getattr(command, "commands", {}).items()}


def test_every_command_and_group_is_the_same_alone() -> None:
    whole = get_command(app)
    every = list(paths(whole))
    assert len(every) > 150
    for path in every:
        part = get_command(asked_for(app, [*path, "--json"]))
        assert described(found(part, path)) == described(found(whole, path)), path
        is_one = bool(path) and not hasattr(found(whole, path), "commands")
        assert len(list(paths(part))) == len(path) + 1 or not is_one, "nothing else is made"


@pytest.mark.parametrize("words", [(), ("--help",), ("polcy", "list"), ("",)])
def test_where_no_command_is_named_everything_is_there(words: tuple[str, ...]) -> None:
    assert asked_for(app, words) is app


def test_nothing_is_taken_from_the_whole() -> None:
    before = described(get_command(app))
    asked_for(app, ["policy", "list"])
    assert described(get_command(app)) == before


def test_a_mistake_in_a_group_finds_all_of_the_group() -> None:
    part: Any = get_command(asked_for(app, ["policy", "lst"]))
    whole: Any = get_command(app)
    assert part.commands["policy"].commands.keys() == whole.commands["policy"].commands.keys()
