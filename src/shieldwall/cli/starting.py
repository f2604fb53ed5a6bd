"""Making as much of a command line as is asked for.

Typer reads the signature of every command before it looks at the first word. Of two hundred commands that took longer
than to load all modules, each time that one of them was called.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import typer
from typer.main import get_command_name


def asked_for(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return what of ``app`` the words name: one command, or one group with all of its commands.

    Where the first word is none of both, an option or a mistake, everything is there, for its help or an advice.
    """
    first, rest = (words[0], words[1:]) if words else ("", ())
    groups = [group for group in app.registered_groups if group.name == first]
    commands = [
        command
        for command in app.registered_commands
        if first == (command.name or (command.callback and get_command_name(command.callback.__name__)))
    ]
    if len(groups) + len(commands) != 1:
        return app
    narrowed = copy(app)
    narrowed.registered_commands = commands
    narrowed.registered_groups = [copy(group) for group in groups]
    for group in narrowed.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance = asked_for(group.typer_instance, rest)
    return narrowed
