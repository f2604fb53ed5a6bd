"""``shieldwall-sim``, the command line: it parses, runs and shows."""

from __future__ import annotations

from typing import Final

import typer

from shieldwall import __version__
from shieldwall.simulator import core_commands, day_commands, load_commands

app: Final = typer.Typer(
    name="shieldwall-sim",
    no_args_is_help=True,
    help="Try Shieldwall on fleets of devices that exist only here.",
)
app.command("core", epilog="Example: shieldwall-sim core --seed 42 --seeds 10 --devices 200 --processes 2")(
    core_commands.core
)
app.command("day", epilog="Example: shieldwall-sim day --seed 7 --storm-at 10 --svg day.svg")(day_commands.day)
app.command("load", epilog="Example: shieldwall-sim load --data /srv/try --devices 5000 --herd --seconds 900 --yes")(
    load_commands.load
)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    core_commands.hush()
    app()
