"""What a person does in the admin center, over the wire: forms with their tokens, and passkeys without a browser."""

from __future__ import annotations

import re
from typing import Any

import httpx
from tests.support.admin import PUBLIC_URL, Client
from tests.support.authenticators import HONEST, Authenticator, Lie

ORIGIN = {"Origin": PUBLIC_URL}


def token_of(client: Client, path: str = "/account") -> str:
    """The token that the forms of this session carry."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).text)
    assert found
    return found[1]


def sent(client: Client, path: str, **fields: str) -> httpx.Response:
    """Send a form of a page."""
    return client.post(path, data={"csrf": token_of(client), **fields}, headers=ORIGIN)


def asked(client: Client, path: str, **fields: str) -> Any:
    """What the server asks the browser."""
    answer = client.post(path, data=fields, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def add_passkey(client: Client, key: Authenticator, name: str = "Laptop") -> httpx.Response:
    """Make a passkey for whoever is signed in."""
    csrf = token_of(client)
    options = asked(client, "/account/passkeys/options", csrf=csrf)
    fields = {"csrf": csrf, "credential": key.make(options), "name": name}
    return client.post("/account/passkeys", data=fields, headers=ORIGIN)


def sign_in(
    client: Client, key: Authenticator, lie: Lie = HONEST, *, wanted: str = "", **fields: str
) -> httpx.Response:
    """Sign in with a passkey, to go to the page that is ``wanted`` afterwards."""
    options = asked(client, "/sign-in/options", **fields)
    said = {"credential": key.answer(options, lie), "return": wanted, **fields}
    return client.post("/sign-in/passkey", data=said, headers=ORIGIN)


def confirm(client: Client, key: Authenticator, *, wanted: str = "", again: str = "") -> httpx.Response:
    """Prove again who one is, to go to the page that is ``wanted`` or to send a form ``again``."""
    csrf = token_of(client)
    options = asked(client, "/sign-in/confirm/options", csrf=csrf)
    fields = {"csrf": csrf, "credential": key.answer(options), "return": wanted, "again": again}
    return client.post("/sign-in/confirm", data=fields, headers=ORIGIN)
