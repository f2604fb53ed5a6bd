"""The documentation as data: pages, headings, links, code blocks, and the parts that a program writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_RECORDED: Final = re.compile(
    r"<!-- recorded: (?P<name>[a-z-]+)(?: (?P<kind>[A-Za-z]+))? -->\n```(?P<language>[a-z]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_GENERATED: Final = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
_LINK: Final = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} +(?P<title>.+?) *$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A code block and the line on which it begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A code block that was recorded, and the message type that it claims to be."""

    name: str
    kind: str | None
    text: str


def pages() -> list[Path]:
    """Return every page: those of ``docs`` and those of the root."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(language=found["language"], text=found["text"], line=text.count("\n", 0, found.start()) + 1)


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links."""
    return (found["target"] for found in _LINK.finditer(prose(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors that headings make, as GitHub does."""
    found: set[str] = set()
    for heading in _HEADING.finditer(prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["title"]).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (unique := anchor if not number else f"{anchor}-{number}") in found:
            number += 1
        found.add(unique)
    return found


def recorded(page: Path) -> dict[str, Recorded]:
    """Return the recorded blocks of a page by name."""
    return {
        found["name"]: Recorded(name=found["name"], kind=found["kind"], text=found["text"])
        for found in _RECORDED.finditer(page.read_text())
    }


def write_recorded(page: Path, contents: dict[str, str]) -> None:
    """Put new contents into the recorded blocks of a page."""

    def filled(found: re.Match[str]) -> str:
        head, _, _ = found[0].partition("```")
        return f"{head}```{found['language']}\n{contents[found['name']].rstrip()}\n```"

    page.write_text(_RECORDED.sub(filled, page.read_text()))


def generated(page: Path) -> dict[str, str]:
    """Return the generated parts of a page by name."""
    return {found["name"]: found["text"] for found in _GENERATED.finditer(page.read_text())}


def write_generated(page: Path, contents: dict[str, str]) -> None:
    """Put new contents into the generated parts of a page."""
    page.write_text(_GENERATED.sub(lambda found: f"{found[1]}{contents[found['name']]}{found[4]}", page.read_text()))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heading), "|---" * len(heading) + "|", *map(line, rows)]) + "\n"


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every table row in a text, without headings and rules."""
    lines = text.splitlines()
    rows: list[list[str]] = []
    for number, line in enumerate(lines):
        is_heading = number + 1 < len(lines) and lines[number + 1].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not is_heading:
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows
