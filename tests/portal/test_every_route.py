"""What holds for every route of the admin center, whoever wrote it: laws over the whole table of a furnished tenant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import httpx
import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.browsing import token_of
from tests.support.databases import on_sqlite_alone
from tests.support.people import a_person, browser
from tests.support.portal_scene import Scene, furnish
from tests.support.whole_database import everything

from shieldwall.server.access.authorization import authorization_of
from shieldwall.server.admin.declared_routes import handlers_of
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.sessions import ADMINISTRATOR

_OFF: Final = "/device"
"""It is not there as long as nobody is offered codes for devices without a browser; its own tests try its form."""
_NAME: Final = re.compile(r'name="([a-zA-Z_]+)"')
pytestmark = on_sqlite_alone

FOREIGN: Final = (None, "null", "https://evil.example", f"{PUBLIC_URL}.evil.example", PUBLIC_URL.upper())
"""Origins of forms that no page of ours sends."""
ODD: Final = ("\x00", "9" * 30, "\u00b2'%_\\<b>\u202e")
"""Values that nothing asks for: no character of any text, a number beyond every other, a digit that is none."""


@pytest.fixture
def scene(world: AdminWorld) -> Scene:
    return furnish(world.services, small=True)


def forms(world: AdminWorld, scene: Scene) -> Iterator[str]:
    """Every address that a form of somebody who is signed in may be sent to, about what is really there."""
    for method, route, handler in handlers_of(world.framework):
        if method != "GET" and route.path != _OFF and ADMINISTRATOR in authorization_of(handler.opt).permissions:
            named = {"work_id": "x", "kind": "csv", "revision": "1", "part": "x", "passkey_digest": "x", **scene.named}
            yield re.sub(r"\{(\w+)\}", lambda found: named[found[1]], route.path_format)  # noqa: B023 - used at once


def test_no_form_does_anything_that_is_not_from_a_page_of_the_same_session(
    world: AdminWorld, ada: Client, scene: Scene
) -> None:
    own = token_of(ada)
    with closing(browser(world, a_person(world, name="Eve"))) as eve:
        other = token_of(eve)
    before, wrong = everything(world.services.database), []
    for path in forms(world, scene):
        for origin, token in (*((each, own) for each in FOREIGN), (PUBLIC_URL, other), (PUBLIC_URL, "")):
            headers = {"Origin": origin} if origin else {}
            answer = ada.post(path, data={"csrf": token}, headers=headers)
            if answer.status_code != 403:
                wrong.append(f"{path} from {origin} with {token[:4]!r}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert everything(world.services.database) == before


def test_no_page_changes_anything_by_being_looked_at_and_every_answer_carries_the_headers(
    world: AdminWorld, ada: Client, scene: Scene
) -> None:
    ada.get("/")
    before, wrong = everything(world.services.database), []
    for path, url in scene.pages(world.framework):
        if path == "/live":
            continue
        wrong += _lacking(path, ada.get(url))
    for path in forms(world, scene):
        wrong += _lacking(path, ada.post(path, data={}))
    after = everything(world.services.database)
    wrong += [f"The table {name} was changed." for name, rows in after.items() if rows != before[name]]
    assert not wrong, "\n".join(wrong)


def _lacking(path: str, answer: httpx.Response) -> list[str]:
    found = [name for name, value in HEADERS.items() if answer.headers.get(name) != value]
    return [f"{path}, answered with {answer.status_code}, lacks {', '.join(found)}."] if found else []


def test_every_form_is_read_however_odd_it_is(world: AdminWorld, ada: Client, scene: Scene) -> None:
    """Values that nothing expects are refused or taken, and never a failure inside."""
    token, wrong = token_of(ada), []
    odd = dict.fromkeys(("name", "search", "query", "rule", "device"), "\x00\ud7ff'\"<%(x)s{{7*7}}9999999999999")
    for path in forms(world, scene):
        if path.startswith("/sign-out") or path.endswith(("end-all", "/end")):
            continue
        answer = ada.post(path, data={"csrf": token, **odd}, headers={"Origin": PUBLIC_URL})
        if answer.status_code >= 500:
            wrong.append((path, answer.status_code))
    assert not wrong, "\n".join(map(str, wrong))


def test_every_page_is_shown_or_refused_whatever_its_address_asks(world: AdminWorld, ada: Client, scene: Scene) -> None:
    wrong = []
    for path, url in scene.pages(world.framework):
        if path == "/live":
            continue
        page = ada.get(url).text
        searches = "".join(
            form for form in re.findall(r"<form.*?</form>", page, re.DOTALL) if 'method="post"' not in form
        )
        asked = {*re.findall(r'name="([a-zA-Z_]+)"', searches), "after", "page", "before", "like", "former"}
        for place, name in enumerate(sorted(asked)):
            value = ODD[place % len(ODD)]
            answer = ada.get(url, params={name: value})
            if answer.status_code >= 500:
                wrong.append((path, name, value[:10], answer.status_code))
    assert not wrong, "\n".join(map(str, wrong))
