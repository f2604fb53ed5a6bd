"""How the command lines speak: tables for people, JSON for programs, three plain lines for what went wrong.

Whatever comes from a server or a file is made inert first: no text of others moves the cursor or hides a part of it.
"""

from __future__ import annotations

import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO

import msgspec
import typer

from shieldwall.cli.moments import moment_in_words, present
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

FAILED: Final = 1
_MOMENTS: Final = ("DateTime", "DateTimeUtc")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories that a terminal obeys or does not show: control, format (also right-to-left override), ..."""


def printable(text: object) -> str:
    """Make text inert for a terminal: line breaks and what cannot be seen stand as escapes."""
    return "".join(
        character if unicodedata.category(character) not in _HIDDEN else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def in_words(value: object) -> str:
    """Write a setting's value as one line: a dash for none, lists with commas, members with an equals sign."""
    match value:
        case None:
            return "-"
        case list() | tuple():
            return ", ".join(in_words(item) for item in value) or "(empty)"
        case dict():
            return " ".join(f"{name}={in_words(member)}" for name, member in value.items())
        case _:
            return str(value)


def member_in_words(name: str, value: object) -> str:
    """Write a member of an answer as one line; a moment, which its name gives away, as people here read it."""
    if isinstance(value, str) and name.endswith(_MOMENTS):
        return moment_in_words(value, present())
    return in_words(value)


def explained(doing: str, error: ShieldwallError) -> tuple[str, ...]:
    """Say in three lines what failed, why, and what to do; notes on the error stand one a line below the reason.

    ``doing`` completes "Could not …".
    """
    return (
        f"Could not {doing}.",
        f"Why: {printable(error.cause)} [{printable(error.code)}]",
        *(f"  {printable(note)}" for note in getattr(error, "__notes__", ())),
        f"What to do: {printable(error.advice)}",
    )


@contextmanager
def waiting(what: str, *, patience_seconds: float = 1.0) -> Iterator[None]:
    """Show at a terminal that something is under way, once it takes longer than a moment."""
    # Takes longer to import than --help to print.
    from rich.console import Console  # noqa: PLC0415 - see above

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    status = console.status(what)
    patience = threading.Timer(patience_seconds, status.start)
    patience.start()
    try:
        yield
    finally:
        patience.cancel()
        patience.join()
        status.stop()


@contextmanager
def speaking_plainly(
    doing: str, *, as_json: bool = False, exit_code: Callable[[ShieldwallError], int] = lambda _error: FAILED
) -> Iterator[None]:
    """Turn an expected error inside into its three lines (or a JSON object) on standard error, and an exit code."""
    try:
        yield
    except ShieldwallError as error:
        if as_json:
            failure = {
                "code": error.code,
                "cause": printable(error.cause),
                "remedy": printable(error.advice),
                "details": [printable(note) for note in getattr(error, "__notes__", ())],
            }
            show_json({"error": failure}, out=sys.stderr)
        else:
            for line in explained(doing, error):
                typer.echo(line, err=True)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells have it


def show_json(value: Any, *, out: TextIO | None = None) -> None:
    """Print a message, a record or plain data as indented JSON."""
    text = msgspec.json.format(encode(value), indent=2).decode("utf-8")
    typer.echo(text, file=out or sys.stdout)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "Nothing to show.") -> None:
    """Print rows for people; ``empty`` stands where there are none."""
    # Rich takes longer to import than most commands take to run.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    kept = [[Text(printable(cell)) for cell in row] for row in rows]
    if not kept:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in kept:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a pipe has no width; lines that break by accident are hard to search
    console.print(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, aligned."""
    pairs = [(name, printable(value)) for name, value in facts]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        typer.echo(f"{name + ':':<{width + 1}} {value}")
