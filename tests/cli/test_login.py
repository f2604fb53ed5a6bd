"""People sign in to the command line: the real program and server, and a browser that does what a person would."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import PROGRAM, CommandLine, running_server
from tests.support.person_at_browser import browser_for

ADA = "ada@shieldwall.localhost"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running_server(tmp_path_factory.mktemp("login")) as line:
        yield line


class Person:
    """Somebody at a terminal with a configuration of their own."""

    def __init__(self, server: CommandLine, home: Path, name: str = "Ada") -> None:
        self.server = server
        self.home = home
        self.name = name

    @property
    def authority(self) -> Path:
        return self.server.data / "tls" / "ca.pem"

    @property
    def kept(self) -> Any:
        return json.loads((self.home / "login.json").read_text())

    def __call__(self, *words: str, status: int = 0) -> str:
        link = self.server("server", "admin", "invite", "--data", str(self.server.data), "--name", self.name).stdout
        told = {"SHIELDWALL_CONFIG": str(self.home), "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(
            [*PROGRAM, *words],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env={**os.environ, **told, **browser_for(link.strip(), self.authority)},
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def login(self) -> str:
        return self("login", "--server", self.server.public_url, "--certificate-authority", str(self.authority))


@pytest.fixture
def person(server: CommandLine, tmp_path: Path) -> Person:
    return Person(server, tmp_path / "person")


def test_a_person_signs_in_works_and_signs_out(person: Person) -> None:
    assert f"Logged in to {person.server.public_url} as {ADA}" in person.login()

    assert stat.S_IMODE((person.home / "login.json").stat().st_mode) == 0o600
    assert person.kept["refreshToken"]
    who = json.loads(person("whoami", "--json"))
    assert (who["kind"], who["name"], who["server"]) == ("person", ADA, person.server.public_url)
    made = json.loads(person("api", "POST", "/v1.0/groups", "--data", json.dumps(_group())))
    assert person("api", "GET", f"/v1.0/groups/{made['id']}").count("Made by a person") == 1
    listed = json.loads(person("api", "GET", "/v1.0/groups?$top=1", "--all"))
    assert made["id"] in [each["id"] for each in listed]

    assert "Logged out." in person("logout")
    assert "Nobody was logged in." in person("logout")
    assert "[notLoggedIn]" in person("whoami", status=1)


def test_what_a_person_did_stands_under_their_name(person: Person) -> None:
    person.login()
    person("api", "POST", "/v1.0/groups", "--data", json.dumps(_group() | {"mailNickname": "other"}))

    events = json.loads(
        person("api", "GET", "/v1.0/deviceManagement/auditEvents?$orderby=activityDateTime desc&$top=5")
    )
    made = next(each for each in events["value"] if "roup" in each["activityType"])
    assert (made["actor"]["auditActorType"], made["actor"]["userPrincipalName"]) == ("ItPro", ADA)


def test_many_commands_at_once_share_one_login(person: Person) -> None:
    person.login()
    file = person.home / "login.json"
    file.write_text(json.dumps(person.kept | {"expiresAt": 0}))  # every command finds its token too old

    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda _: person("api", "GET", "/v1.0/organization"), range(4)))

    assert all("verifiedDomains" in each for each in answers)
    assert "verifiedDomains" in person("api", "GET", "/v1.0/organization"), "no token was used twice"


def test_a_login_that_was_ended_says_how_to_begin_again(person: Person) -> None:
    person.login()
    stolen = person.kept
    person("logout")
    (person.home / "login.json").write_text(json.dumps(stolen | {"expiresAt": 0}))

    said = person("api", "GET", "/v1.0/organization", status=1)

    assert "[signInAgain]" in said
    assert "shieldwall login" in said


def test_sign_ins_that_are_revoked_end_tokens_at_once(person: Person) -> None:
    person.login()
    person("api", "GET", "/v1.0/organization")
    person("api", "POST", "/v1.0/me/revokeSignInSessions")

    said = person("api", "GET", "/v1.0/organization", status=1)

    assert "[signInAgain]" in said


def test_options_that_do_not_fit_are_named(person: Person) -> None:
    assert "[loginOptions]" in person("login", status=1)
    assert "[loginOptions]" in person("login", "--server", "http://plain.example", status=1)
    assert "[loginOptions]" in person("login", "--server", "https://x.example", "--app", "app.json", status=1)


def _group() -> dict[str, Any]:
    return {
        "displayName": "Made by a person",
        "mailEnabled": False,
        "mailNickname": "person",
        "securityEnabled": True,
    }
