"""Pages in a language that does not exist: whatever a person reads on them was marked for translation.

What comes from elsewhere stays as it came, and stands where that is known: names and other data in ``bdi`` and
``code``, what the catalog and the API call things in an element with ``translate="no"``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select
from tests.support.admin import AdminWorld, Client
from tests.support.databases import on_sqlite_alone
from tests.support.portal_scene import furnish
from tests.support.portal_walk import pages
from tests.support.translations import CLOSING, OPENING, PSEUDO_TAG, pseudo

import shieldwall
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.access.roles import BUILT_IN
from shieldwall.server.directory.audit_trail import in_words
from shieldwall.server.openapi.permission_words import in_words as permission_words
from shieldwall.server.portal import rendering
from shieldwall.server.portal.language import ENGLISH
from shieldwall.server.storage.tables.schema import audit_events, metadata

STILL_TO_COME: Final[frozenset[str]] = frozenset()
"""Pages that still have texts that are not marked; each of them has at least one."""
_CONTRACTS: Final = ("contract/enrollment.py", "policy/enrollment.py")
"""What the contract says in words: codes and causes of enrollment, the same on devices, in the API and here."""
_DATA: Final = frozenset({"bdi", "code", "pre", "time", "svg", "style", "script", "textarea", "data", "kbd", "samp"})
_READ: Final = frozenset({"aria-label", "title", "placeholder", "alt", "data-lost", "data-copied"})
_VOID: Final = frozenset({"input", "br", "hr", "img", "link", "meta", "col", "wbr", "source"})
_LETTERS: Final = re.compile(r"[A-Za-z]{2,}")
_MARKED: Final = re.compile(f"{OPENING}[^{OPENING}{CLOSING}]*{CLOSING}")
_NAMES: Final = re.compile(
    r"\b(Shieldwall|Ada|Contoso|Linux|Windows|macOS|MDE|Intune|Microsoft|Defender|ClamAV|SQLite|PostgreSQL|UTC|CSV|JSON|"
    r"TPM|ID|id|OS|URL|API|SHA|px|kB|MB|GB|https?)\b"
)
"""What is called the same in every language."""
_IDS: Final = re.compile(r"\b[a-z][a-z0-9]*(?:[_.][A-Za-z0-9]+)+\b|\b[a-z]+(?:[A-Z][a-zA-Z0-9]*)+\b|\(-[a-zA-Z]+\)")
"""What programs call things."""


class Reader(HTMLParser):
    """Reads a page as a person does, and leaves out what is data."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._data: list[str] = []
        self._title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if self._data or tag in _DATA or named.get("translate") == "no":
            if tag not in _VOID:
                self._data.append(tag)
            return
        self.texts += [f"\n{value}\n" for name, value in attrs if name in _READ and value]
        if tag == "input" and named.get("type") in {"submit", "button"} and named.get("value"):
            self.texts.append(f"\n{named['value']}\n")
        self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._data:
            if tag in self._data:
                while self._data and self._data.pop() != tag:
                    pass
            return
        self.texts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._data:
            self.texts.append(data)


def unmarked(page: str, data: re.Pattern[str] = _NAMES) -> Iterator[str]:
    """Yield the texts of a page that nobody could translate; ``data`` is what came from elsewhere."""
    reader = Reader()
    reader.feed(page)
    text = "".join(reader.texts)
    while (less := _MARKED.sub("\u00b7", text)) != text:  # what stands inside of another text goes first
        text = less
    for line in text.splitlines():
        left = _NAMES.sub("", _IDS.sub("", data.sub("", line)))
        if _LETTERS.search(left):
            yield re.sub(r"\s+", " ", line).strip()


def from_elsewhere(world: AdminWorld) -> re.Pattern[str]:
    """Find what is shown as it came: the catalog, the contract, and what the tenant is made of."""
    catalog = world.services.catalog
    found: set[str] = set()
    for template in catalog.templates.values():
        found |= {template.display_name, template.description}
    for definition in catalog.definitions.values():
        found |= {definition.display_name, definition.description, definition.category, definition.note or ""}
        found |= {*definition.category.split("/"), *(option.display_name for option in definition.options)}
    found |= {word for role in BUILT_IN.values() for word in (role.display_name, role.description)}
    for name in _CONTRACTS:
        tree = ast.parse((Path(shieldwall.__file__).parent / name).read_text())
        found |= {
            each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
    with world.services.database.read() as connection:
        for table in metadata.tables.values():
            columns = [table.c[name] for name in ("display_name", "name", "title", "description") if name in table.c]
            found.update(
                text for row in connection.execute(select(*columns)) for text in row if text
            ) if columns else None
        found |= {in_words(each) for each in connection.scalars(select(audit_events.c.activity))}
    found |= set(permission_words(PERMISSIONS).values())
    longest_first = sorted((each for each in found if len(each) > 1), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


@pytest.fixture
def nowhere(ada: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A browser of somebody who reads only the language that does not exist."""
    language = pseudo()
    monkeypatch.setattr(rendering, "languages", lambda: {"en": ENGLISH, PSEUDO_TAG: language})
    ada.headers["Accept-Language"] = PSEUDO_TAG
    return ada


@on_sqlite_alone
def test_whatever_a_person_reads_can_be_translated(world: AdminWorld, nowhere: Client) -> None:
    scene = furnish(world.services, small=True)
    data = from_elsewhere(world)
    wrong: dict[str, set[str]] = {}
    for path, url in pages(scene):
        answer = nowhere.get(url)
        if answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"):
            wrong[path] = set(unmarked(answer.text, data))
    told = [f"{path}: {text}" for path in wrong.keys() - STILL_TO_COME for text in sorted(wrong[path])]
    assert not told, "\n".join(sorted(told))
    assert {path for path in STILL_TO_COME if not wrong.get(path)} == set(), "take them out of STILL_TO_COME"


def test_what_is_not_marked_is_found() -> None:
    page = f"<h1>{OPENING}Devices{CLOSING}</h1><p title='Hello'>{OPENING}of <b>x</b> {OPENING}y{CLOSING}{CLOSING} Glued"
    assert list(unmarked(f"{page}<bdi>web <i>01</i></bdi></p><td translate=no>Cloud</td><input value=a>")) == [
        "Hello",
        "\u00b7 Glued",
    ]
