"""``shieldwall``: the command line of administrators and of the server's console."""

from __future__ import annotations

from typing import Final

import typer

from shieldwall.cli import shieldwall_server

app: Final = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Open security settings management."
)
app.add_typer(shieldwall_server.app, name="server")


@app.callback()
def shieldwall() -> None:
    """Open security settings management."""


def main() -> None:
    """Run the command line."""
    app()
