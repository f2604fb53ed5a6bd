"""The one table: every figure beside its bar, met or not, and every bar without a figure; for terminal and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from benchmarks.bars import ALL
from benchmarks.figures import Bar, Figure

COLUMNS: Final = ("what", "engine", "figure", "from … to", "peer", "ratio", "bar", "")
_WORDS: Final = {True: "met", False: "NOT MET", None: ""}


def rows(figures: Iterable[Figure], *, every_bar: bool = True) -> Iterator[tuple[str, ...]]:
    """Put figures into the table's columns, the product's bars first and in their order.

    With ``every_bar`` those that have no figure are there too.
    """
    listed = list(figures)
    named = {bar.key: bar for bar in ALL}
    for bar in ALL:
        found = [each for each in listed if each.bar is not None and each.bar.key == bar.key]
        if not found and every_bar:
            yield (bar.key, "", "not measured", "", "", "", shown_bar(bar, ""), "-")
        yield from map(_row, found)
    yield from (_row(each) for each in listed if each.bar is None or each.bar.key not in named)


def for_terminal(figures: Sequence[Figure], *, every_bar: bool = True) -> str:
    """Draw the table with its columns in line, notes beneath."""
    drawn = [COLUMNS, *rows(figures, every_bar=every_bar)]
    widths = [max(len(row[column]) for row in drawn) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in drawn]
    lines.insert(1, "  ".join("─" * width for width in widths))
    notes = [f"  {each.what}{_of(each)}: {each.note}" for each in figures if each.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def for_markdown(figures: Sequence[Figure]) -> str:
    """Draw the table for a page, notes in its last column."""
    by_row = {_row(each): each.note for each in figures}
    lines = [f"| {' | '.join(COLUMNS)} | |", f"|{' --- |' * (len(COLUMNS) + 1)}"]
    lines += [f"| {' | '.join(_escaped(cell) for cell in (*row, by_row.get(row, '')))} |" for row in rows(figures)]
    return "\n".join(lines)


def summary(figures: Sequence[Figure], *, every_bar: bool = True) -> str:
    """Say in a line how many bars are met; with ``every_bar`` also how many have no figure."""
    held = [each.met for each in figures if each.bar is not None]
    unmeasured = sum(not any(each.bar is not None and each.bar.key == bar.key for each in figures) for bar in ALL)
    unmeasured *= every_bar
    return f"{held.count(True)} met, {held.count(False)} not met, {held.count(None) + unmeasured} not measured"


def shown_bar(bar: Bar, unit: str) -> str:
    """Write a bar as people do."""
    sign = "≥" if bar.at_least else "≤"
    if bar.of_ratio:
        return f"{sign} {number(bar.limit)}x"
    return f"{sign} {number(bar.limit)} {unit}".strip()


def number(value: float) -> str:
    """Write a number with three digits that matter, and whole thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    short = f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"
    return short.rstrip("0").rstrip(".") if "." in short and "e" not in short else short


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.what,
        figure.engine,
        "-" if figure.value is None else f"{number(figure.value)} {figure.unit}".strip(),
        _spread(figure),
        "" if figure.peer is None else f"{figure.peer.name}: {number(figure.peer.value)}",
        "" if figure.ratio is None else f"{number(figure.ratio)}x",
        "" if figure.bar is None else shown_bar(figure.bar, figure.unit),
        "-" if figure.bar is not None and figure.met is None else _WORDS[figure.met],
    )


def _spread(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    return f"{number(figure.low)} … {number(figure.high)}"


def _of(figure: Figure) -> str:
    return f" ({figure.engine})" if figure.engine else ""


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
