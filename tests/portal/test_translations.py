"""Every text of the admin center can be translated: all are collected, and none is cut into pieces that cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.translations import TEMPLATE, collected, written

from shieldwall.server.portal import language
from shieldwall.server.portal.language import Language, language_of, languages
from shieldwall.server.portal.rendering import load_templates

_NAMED = re.compile(r"%\((\w+)\)s")


def test_the_collection_is_what_the_pages_say() -> None:
    assert TEMPLATE.read_text() == written(collected()), "run scripts/translations"


def test_every_text_can_be_filled() -> None:
    wrong = []
    for message in collected():
        for text in [message.id] if isinstance(message.id, str) else message.id:
            names = dict.fromkeys(_NAMED.findall(text), "x")
            try:
                text % names
            except (TypeError, ValueError, KeyError) as error:
                wrong.append(f"{message.locations}: {text!r}: {error}")
    assert wrong == []


def test_every_translation_fills_in_what_the_text_does() -> None:
    named = {}
    for message in collected():
        forms = [message.id] if isinstance(message.id, str) else list(message.id)
        named[forms[0]] = {name for form in forms for name in _NAMED.findall(form)}
    for known in languages().values():
        for text, said in known.words.items():
            for form in [said] if isinstance(said, str) else said:
                assert set(_NAMED.findall(form)) <= named.get(text, set()), (known.tag, text)


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Language:
    """A translation of two texts, read as those are that come along."""
    (tmp_path / "de.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
        'msgid "Devices"\nmsgstr "Geräte"\n\nmsgid "Groups"\nmsgstr ""\n\n'
        'msgid "%(num)s day ago"\nmsgid_plural "%(num)s days ago"\n'
        'msgstr[0] "vor %(num)s Tag"\nmsgstr[1] "vor %(num)s Tagen"\n'
    )
    monkeypatch.setattr(language, "_LOCALE", tmp_path)
    return languages.__wrapped__()["de"]


def test_a_translation_says_what_it_knows_and_english_otherwise(german: Language) -> None:
    assert german.text("Devices") == "Geräte"
    assert german.text("Groups") == "Groups"
    assert german.counted("%(num)s day ago", "%(num)s days ago", 1) == "vor %(num)s Tag"
    assert german.counted("%(num)s day ago", "%(num)s days ago", 3) == "vor %(num)s Tagen"
    assert german.counted("one", "many", 3) == "many"


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,en;q=0.5", "de"),
        ("fr, de;q=0.3", "de"),
        ("en;q=0.9, de;q=0.1", "en"),
        ("de;q=0", "en"),
        ("de;q=x, *", "en"),
    ],
)
def test_the_language_is_the_best_that_the_browser_asks_for(german: Language, accepted: str, chosen: str) -> None:
    assert language_of(accepted, {"en": language.ENGLISH, "de": german}).tag == chosen


def test_numbers_and_what_is_filled_in_are_written_for_the_reader(german: Language) -> None:
    page = load_templates().from_string('{{ 1234567 | number }} {{ _("Devices") }} {{ _("of %(who)s", who=name) }}')

    assert page.render(language=german, name="<b>\u202e") == "1.234.567 Geräte of &lt;b&gt;⟨U+202E⟩"
