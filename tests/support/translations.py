"""All texts of the admin center, collected for those who translate them: ``python -m tests.support.translations``.

Also a language that does not exist, in which every marked text stands in brackets: what has none was not marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeAlias

from babel.messages.catalog import Catalog
from babel.messages.extract import extract, extract_python
from babel.messages.pofile import write_po
from jinja2.ext import babel_extract

import shieldwall.server.portal
from shieldwall.server.portal.language import Language

PORTAL: Final = Path(shieldwall.server.portal.__file__).parent
TEMPLATE: Final = PORTAL / "locale" / "portal.pot"
PSEUDO_TAG: Final = "eo"
"""Numbers and dates need a language that there is; nothing else of it is used."""
OPENING, CLOSING = "⟦", "⟧"
_KEYWORDS: Final[dict[str, Any]] = {"_": None, "marked": None, "gettext": None, "counted": (1, 2), "ngettext": (1, 2)}
_TEMPLATE_OPTIONS: Final = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}
_HEADER: Final = "# Texts of Shieldwall's admin center, collected by scripts/translations.\n"
Method: TypeAlias = Callable[..., Any]


def collected() -> Catalog:
    """Return every marked text with the files that hold it."""
    catalog = Catalog(project="Shieldwall", header_comment=_HEADER, charset="utf-8")
    for path in sorted(PORTAL.rglob("*.py")):
        _collect(catalog, path, extract_python, {})
    for path in sorted((PORTAL / "templates").rglob("*.html")):
        _collect(catalog, path, babel_extract, _TEMPLATE_OPTIONS)
    return catalog


def written(catalog: Catalog) -> str:
    """Write a catalog as it is kept: in the order of the texts, without moments, lines of code and other unrest."""
    out = BytesIO()
    write_po(out, catalog, width=0, omit_header=True, include_lineno=False, sort_output=True)
    return f'{_HEADER}msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n{out.getvalue().decode()}'


def pseudo() -> Language:
    """Make the language that does not exist."""
    words: dict[str, str | tuple[str, ...]] = {}
    for message in collected():
        if isinstance(message.id, str):
            words[message.id] = f"{OPENING}{message.id}{CLOSING}"
        else:
            words[message.id[0]] = tuple(f"{OPENING}{form}{CLOSING}" for form in message.id)
    words.pop("", None)
    return Language(PSEUDO_TAG, words)


def _collect(catalog: Catalog, path: Path, method: Method, options: dict[str, str]) -> None:
    name = path.relative_to(PORTAL).as_posix()
    with path.open("rb") as file:
        for line, message, comments, _ in _extracted(method, file, options):
            catalog.add(message, None, [(name, line)], auto_comments=comments)


def _extracted(method: Method, file: Any, options: dict[str, str]) -> Iterator[tuple[int, Any, list[str], Any]]:
    yield from extract(method, file, keywords=_KEYWORDS, options=options)


if __name__ == "__main__":
    TEMPLATE.write_text(written(collected()))
