"""The words of the admin center in the language of whoever reads them.

Every text of a page stands in English where it is shown, marked: in templates as ``_("…")``, ``ngettext(…)`` or
``{% trans %}``, in Python as ``marked("…")``. ``locale/portal.pot`` collects them all (``scripts/translations``), and a
translation is one file beside it, ``locale/<language>.po`` (``de.po``, ``pt_BR.po``). What comes from elsewhere, such
as names that people gave, the catalog's descriptions and the causes of errors, is shown as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from babel.messages.pofile import read_po

_LOCALE: Final = Path(__file__).parent / "locale"
SOURCE: Final = "en"
Words: TypeAlias = Mapping[str, str | tuple[str, ...]]


def marked(text: str) -> str:
    """Mark a text to be translated where it is shown; it stays what it is."""
    return text


def counted(one: str, many: str) -> tuple[str, str]:
    """Mark a text that depends on a number, to be translated where it is shown; ``%(num)s`` is the number."""
    return one, many


@dataclass(frozen=True, slots=True)
class Language:
    """One language; a text that it does not know stays English."""

    tag: str
    words: Words = field(default_factory=dict)

    def text(self, message: str) -> str:
        """Say a text in this language."""
        found = self.words.get(message, message)
        return found if isinstance(found, str) else found[0]

    def counted(self, one: str, many: str, count: int) -> str:
        """Say a text that depends on a number; languages with more than two forms take their last for many."""
        found = self.words.get(one)
        if isinstance(found, tuple):
            return found[0 if count == 1 else -1]
        return one if count == 1 else many


ENGLISH: Final = Language(SOURCE)


@cache
def languages() -> Mapping[str, Language]:
    """Read all translations, by their tags; once, for they do not change while a server runs."""
    found = {SOURCE: ENGLISH}
    for file in sorted(_LOCALE.glob("*.po")):
        with file.open("rb") as stream:
            entries = {_key(each.id): _said(each.string) for each in read_po(stream, locale=file.stem) if each.id}
        tag = file.stem.replace("_", "-")
        found[tag.lower()] = Language(tag, {key: said for key, said in entries.items() if said})
    return found


def language_of(accepted: str, known: Mapping[str, Language]) -> Language:
    """Choose by the header Accept-Language (RFC 9110, section 12.5.4); English where nothing fits."""
    for tag in _wanted(accepted):
        for each in (tag, tag.partition("-")[0]):
            if each in known:
                return known[each]
    return known.get(SOURCE, ENGLISH)


def _wanted(accepted: str) -> Sequence[str]:
    weighed: list[tuple[float, str]] = []
    for part in accepted[:256].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.strip().lower()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0]


def _said(text: Any) -> str | tuple[str, ...]:
    """Return a translation, with all its forms where it depends on a number; nothing where there is none yet."""
    if isinstance(text, str):
        return text
    forms = tuple(text or ())
    return forms if all(forms) else ()


def _key(identity: Any) -> str:
    return str(identity if isinstance(identity, str) else identity[0])
