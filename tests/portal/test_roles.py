"""The whole table of roles and pages, asked of the real application as the person that a session belongs to."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

import pytest
from litestar.routes import HTTPRoute
from tests.graph.test_roles import EVERY_ACTION, ROLES
from tests.support.admin import AdminWorld, Client
from tests.support.authorization_oracle import Outcome, Somebody, expected
from tests.support.databases import on_sqlite_alone
from tests.support.graph_routes import SOMETHING
from tests.support.people import a_person, browser

from shieldwall.server.access.authorization import Authorization, authorization_of
from shieldwall.server.access.roles import ADMINISTRATOR, HELP_DESK_OPERATOR, Role
from shieldwall.server.portal.sessions import ADMINISTRATOR as SESSION

_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_UNANSWERED: Final = ("/sign-out", "/account/sessions/end-all", "/account/sessions/end")
"""Pages that end the session they are asked with."""


def pages_of(world: AdminWorld) -> list[tuple[str, str, Authorization]]:
    found = []
    for route in world.framework.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method == "OPTIONS":
                continue
            declared = authorization_of(handler.opt)
            if SESSION in declared.permissions and route.path_format not in _UNANSWERED:
                found.append((str(method), route.path_format, declared))
    return found


def form_token(client: Client) -> str:
    found = _CSRF.search(client.get("/").text)
    assert found is not None
    return found[1]


@on_sqlite_alone
@pytest.mark.parametrize("narrowed", [False, True], ids=["whole", "narrowed"])
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.display_name)
def test_every_page_answers_a_role_as_it_declares(world: AdminWorld, role: Role, narrowed: bool) -> None:
    caller = Somebody(role.actions, is_narrowed=narrowed, permissions=frozenset({SESSION}))
    person = a_person(world, role, tags=["7"] if narrowed else [])
    wrong = []
    with closing(browser(world, person)) as client:
        token = form_token(client)
        for method, path, declared in pages_of(world):
            url = re.sub(r"\{\w+\}", SOMETHING, path)
            answer = client.request(method, url, data={"csrf": token} if method == "POST" else None)
            wanted, status = expected(path, declared, caller), answer.status_code
            refused = status == 403 and "No role of" in answer.text
            fits = refused if wanted is Outcome.REFUSED else not refused and status != 500
            if not fits or (wanted is Outcome.ABSENT and status != 404):
                wrong.append((method, path, wanted, status))
    assert not wrong, "\n".join(map(str, wrong))


def test_links_lead_only_where_somebody_may_go(world: AdminWorld) -> None:
    for role in (HELP_DESK_OPERATOR, ADMINISTRATOR, EVERY_ACTION):
        with closing(browser(world, a_person(world, role))) as client:
            for path in ("/", "/devices", "/groups", "/alerts"):
                for link in set(re.findall(r'href="(/[a-z-]*)"', client.get(path).text)):
                    assert client.get(link).status_code == 200, (role.display_name, path, link)


def test_a_person_without_a_role_sees_an_empty_overview(world: AdminWorld) -> None:
    with closing(browser(world, a_person(world, None))) as client:
        page = client.get("/")

    assert page.status_code == 200
    assert 'href="/devices"' not in page.text
    assert "Policies" not in page.text
