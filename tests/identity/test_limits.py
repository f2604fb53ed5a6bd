"""What bounds a token: its API, its key, how often a secret may be tried; and what a step-up asks for."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import KeySet
from tests.support.admin import PUBLIC_URL, AdminWorld
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import TOKEN, code_for, exchange, public_app
from tests.support.samples import TENANT_ID, HandClock

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import apps
from shieldwall.server.directory.verification_keys import VerificationKeys

MACHINES = "/api/machines"
DEFENDER = "https://api.securitycenter.microsoft.com"


def form_of(world: AdminWorld, scope: str, *permissions: str) -> dict[str, str]:
    with world.writing() as connection:
        app, secret = apps.create_app(
            connection, world.services.acting("console"), display_name="CI", permissions=permissions
        )
    return {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": f"{scope}/.default",
    }


@pytest.mark.parametrize(
    ("resource", "graph", "defender"),
    [
        ("https://graph.microsoft.com", 200, 401),
        (DEFENDER, 401, 200),
        ("https://api.security.microsoft.com", 401, 200),
        (PUBLIC_URL, 200, 200),
    ],
)
def test_a_token_is_for_the_api_that_was_asked_for(
    embedded: AdminWorld, resource: str, graph: int, defender: int
) -> None:
    client = embedded.client()
    token = client.post(TOKEN, data=form_of(embedded, resource, "Group.Read.All", "Machine.Read.All")).json()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}

    assert client.get(GROUPS, headers=bearer).status_code == graph
    assert client.get(MACHINES, headers=bearer).status_code == defender


def test_a_secret_is_not_tried_for_ever_and_its_owner_is_not_locked_out(world: AdminWorld) -> None:
    form = form_of(world, "https://graph.microsoft.com", "Group.Read.All")
    client = world.client()
    answers = [client.post(TOKEN, data=form | {"client_secret": f"guess {number}"}) for number in range(11)]
    assert [each.status_code for each in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json()["error"] == "temporarily_unavailable"
    other = form_of(world, "https://graph.microsoft.com", "Group.Read.All")
    assert [client.post(TOKEN, data=other).status_code for _ in range(20)] == [200] * 20


def test_a_sensitive_act_asks_for_a_newer_proof_in_words_that_a_sign_in_understands(world: AdminWorld) -> None:
    app = public_app(world, "Application.ReadWrite.All")
    scope = "https://graph.microsoft.com/.default openid"
    body = world.client().post(TOKEN, data=exchange(app, code_for(world, app, scope=scope))).json()
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    client = world.client()
    assert client.post("/v1.0/applications", json={"displayName": "x"}, headers=bearer).status_code == 201
    world.clock.advance(minutes=11)

    answer = client.post("/v1.0/applications", json={"displayName": "y"}, headers=bearer)

    assert answer.status_code == 401
    found = re.search(
        r'error="insufficient_claims", claims="([^"]+)", max_age="600"', answer.headers["www-authenticate"]
    )
    assert found, answer.headers["www-authenticate"]
    assert json.loads(base64.b64decode(found[1])) == {"access_token": {"acrs": {"essential": True, "value": "c1"}}}


class _Signer:
    """Counts how often its keys are asked for."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self.keys, self.asked = keys, 0

    def for_tenant(self, _tenant_id: TenantId) -> _Signer:
        return self

    def jwks(self) -> dict[str, Any]:
        self.asked += 1
        return self.keys


def test_invented_names_of_keys_cause_no_work_and_new_keys_are_known_soon(embedded: AdminWorld) -> None:
    clock, known = HandClock(), embedded.signer.jwks()
    signer = _Signer(known)
    keys = VerificationKeys(signer, clock)  # type: ignore[arg-type]  # all that is asked of it
    tenant, (kid,) = TenantId(TENANT_ID), [each["kid"] for each in known["keys"]]
    for number in range(100):
        assert isinstance(keys.of(tenant, f"invented {number}"), KeySet)
        keys.of(tenant, kid)
    assert signer.asked == 1

    clock.advance(seconds=2)
    keys.of(tenant, "new")
    assert signer.asked == 2
    clock.at += timedelta(seconds=31)
    keys.of(tenant, kid)
    assert signer.asked == 3


def test_a_key_is_known_with_its_first_token_however_short_ago_all_keys_were_asked_for(embedded: AdminWorld) -> None:
    clock, known = HandClock(), embedded.signer.jwks()
    signer = _Signer(known)
    keys = VerificationKeys(signer, clock)  # type: ignore[arg-type]  # as above
    tenant, (old,) = TenantId(TENANT_ID), known["keys"]
    keys.of(tenant, old["kid"])

    signer.keys = {"keys": [{**old, "kid": "another"}]}

    assert [each.kid for each in keys.of(tenant, "another").keys] == ["another"]


def test_keys_are_asked_for_again_where_the_clock_was_set_back(embedded: AdminWorld) -> None:
    """Else a key that was taken out of use would count for as long as the clock had been ahead."""
    clock, known = HandClock(), embedded.signer.jwks()
    signer = _Signer(known)
    keys = VerificationKeys(signer, clock)  # type: ignore[arg-type]  # all that is asked of it
    tenant, (kid,) = TenantId(TENANT_ID), [each["kid"] for each in known["keys"]]
    keys.of(tenant, kid)
    clock.at -= timedelta(days=3)
    keys.of(tenant, kid)

    assert signer.asked == 2
