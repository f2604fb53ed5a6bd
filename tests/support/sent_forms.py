"""Forms as a browser reads them out of a page and sends them: every control with its value, and what was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
from tests.support.admin import PUBLIC_URL, Client


@dataclass
class SentForm:
    """A form of a page: where it goes, and the name and value of everything in it, in order."""

    action: str
    pairs: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def changed(self, changes: Mapping[str, str | Sequence[str] | None]) -> list[tuple[str, str]]:
        """What is sent after somebody changed controls; ``None`` empties a box."""
        kept = [(name, value) for name, value in self.pairs if name not in changes]
        for name, wanted in changes.items():
            values = [] if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
            kept += [(name, value) for value in values]
        return kept

    def values(self, name: str) -> list[str]:
        """The values of one name."""
        return [value for each, value in self.pairs if each == name]


def forms_of(page: str) -> list[SentForm]:
    """Read all forms of a page."""
    reader = _Reader()
    reader.feed(page)
    return reader.forms


def form_to(page: str, action: str) -> SentForm:
    """Read the form that goes there."""
    return next(each for each in forms_of(page) if each.action == action)


def send(
    client: Client, form: SentForm, changes: Mapping[str, str | Sequence[str] | None], **headers: str
) -> httpx.Response:
    """Send a form as the browser does, ends of lines included."""
    body = urlencode([(name, value.replace("\n", "\r\n")) for name, value in form.changed(changes)])
    sent = {"Origin": PUBLIC_URL, "Content-Type": "application/x-www-form-urlencoded", **headers}
    return client.post(form.action, content=body, headers=sent)


class _Reader(HTMLParser):
    """Reads controls as HTML says: boxes that are ticked, options that are chosen, the text of text areas."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[SentForm] = []
        self._form: SentForm | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._area: tuple[str, list[str]] | None = None
        self._disabled = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "form":
            self._form = SentForm(said.get("action") or "")
            self.forms.append(self._form)
        if self._form is None:
            return
        name = said.get("name") or ""
        match tag:
            case "input" if name and (said.get("type") not in {"checkbox", "radio"} or "checked" in said):
                ticked = said.get("type") in {"checkbox", "radio"} and said.get("value") is None
                self._form.pairs.append((name, "on" if ticked else said.get("value") or ""))
            case "button" if name:
                self._form.buttons.append((name, said.get("value") or ""))
            case "select":
                self._select = (name, [])
            case "option" if self._select is not None:
                self._select[1].append((said.get("value") or "", "selected" in said))
            case "textarea":
                self._area = (name, [])

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "select" and self._select is not None and self._form is not None:
            name, options = self._select
            chosen = [value for value, is_chosen in options if is_chosen] or [value for value, _ in options[:1]]
            self._form.pairs += [(name, value) for value in chosen]
            self._select = None
        if tag == "textarea" and self._area is not None and self._form is not None:
            name, parts = self._area
            self._form.pairs.append((name, "".join(parts).removeprefix("\n")))
            self._area = None
