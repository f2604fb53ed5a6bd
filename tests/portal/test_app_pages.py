"""Apps in the admin center: registered, given secrets that are shown once, switched off, never beyond their maker."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace

from tests.portal.test_role_pages import seen_on, send
from tests.support.admin import AdminWorld, Client
from tests.support.people import a_person, browser

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import HELP_DESK_OPERATOR
from shieldwall.server.directory import apps
from shieldwall.server.storage.records import Page

READ = "Device.Read.All"


def token(world: AdminWorld, client_id: str, secret: str) -> int:
    with world.client() as program:
        return program.post(
            f"/{world.services.tenant.id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": secret,
                "scope": f"{world.services.settings.public_url}/.default",
            },
        ).status_code


def test_an_app_is_registered_and_its_secret_shown_once(world: AdminWorld, ada: Client) -> None:
    status, path = send(ada, "/apps", display_name="Pipeline <1>", **{f"permission_{READ}": "on"})
    assert status == 303, path
    client_id = path.rpartition("/")[2]
    _, page = send(ada, f"{path}/secrets", name="First", days="90")
    found = re.search(r"<pre>([A-Za-z0-9_-]{43})</pre>", page)
    assert found is not None
    shown = ada.get(path).text

    assert token(world, client_id, found[1]) == 200
    assert found[1] not in shown
    assert f"{found[1][:3]}…" in shown
    assert "Pipeline &lt;1&gt;" in shown
    assert "Read devices of the directory." in shown
    _, _ = send(ada, f"{path}/switch", enabled="no")
    assert token(world, client_id, found[1]) == 401
    _, _ = send(ada, f"{path}/switch", enabled="yes")
    assert token(world, client_id, found[1]) == 200
    credential = re.search(rf'href="({path}/credentials/[^/]+/remove)"', shown)
    assert credential is not None
    assert "First" in ada.get(credential[1]).text
    assert send(ada, credential[1])[0] == 303
    assert token(world, client_id, found[1]) == 401
    assert send(ada, f"{path}/delete") == (303, "/apps")
    assert ada.get(path).status_code == 404


def test_what_was_typed_comes_back_with_the_fault(ada: Client) -> None:
    status, page = send(ada, "/apps", display_name="Web", redirect_uris="ftp://x.test", **{f"delegated_{READ}": "on"})

    assert status == 400
    assert "is no address to return to" in page
    assert 'value="Web"' in page
    assert f'name="delegated_{READ}" checked' in page


def test_rights_are_changed_and_listed(ada: Client) -> None:
    _, path = send(ada, "/apps", display_name="Web", redirect_uris="https://x.test/back", is_public="on")
    fields = {"display_name": "Web two", "redirect_uris": "https://x.test/back", f"delegated_{READ}": "on"}
    seen = seen_on(ada, f"{path}/edit")
    assert send(ada, f"{path}/edit", seen=seen, **fields)[0] == 303
    overtaken, again = send(ada, f"{path}/edit", seen=seen, **fields, is_public="on")
    assert overtaken == 409
    assert 'value="Web two"' in again
    page, listed = ada.get(path).text, ada.get("/apps?search=two").text

    assert "Web two" in listed
    assert "Shieldwall CLI" not in listed
    assert f"<code>{READ}</code>" in page
    assert "A program with secrets of its own" in page
    assert send(ada, f"{path}/certificates", name="", certificate="nonsense")[0] == 400


def test_who_may_not_do_everything_gives_no_permissions(world: AdminWorld, ada: Client) -> None:
    _, strong = send(ada, "/apps", display_name="Strong", **{f"permission_{READ}": "on"})
    keeper = replace(
        HELP_DESK_OPERATOR,
        id=world.services.new_id(),
        display_name="Keeper of apps",
        is_built_in=False,
        actions=frozenset({ResourceAction.READ_APPLICATIONS, ResourceAction.UPDATE_APPLICATIONS}),
    )
    with closing(browser(world, a_person(world, keeper))) as client:
        plain, _ = send(client, "/apps", display_name="Plain")
        given, answer = send(client, "/apps", display_name="Sly", **{f"permission_{READ}": "on"})
        secret, refused = send(client, f"{strong}/secrets", name="Mine", days="1")
        form = client.get("/apps/new").text

    assert plain == 303
    assert given == 400
    assert "You do not hold" in answer
    assert secret == 400
    assert "You do not hold" in refused
    assert f'name="permission_{READ}" disabled' in form
    with world.services.database.read() as connection:
        found = apps.list_apps(connection, world.services.tenant.id, Page())
    assert "Sly" not in {each.display_name for each in found}
