"""A server with several addresses: whoever asks is answered with links on the address they used, and on no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS, a_group

from shieldwall.server.access.permissions import PERMISSIONS

ALIAS = "https://graph.example"


@pytest.fixture
def aliased(world: AdminWorld) -> AdminWorld:
    settings = replace(world.services.settings, public_aliases=(ALIAS,))
    return replace(world, services=replace(world.services, settings=settings))


@pytest.fixture
def client(aliased: AdminWorld) -> Iterator[Client]:
    with closing(aliased.application_client(*PERMISSIONS)) as client:
        for name in ("first", "second"):
            assert client.post(GROUPS, json=a_group(name)).status_code == 201
        yield client


@pytest.mark.parametrize("address", [PUBLIC_URL, ALIAS])
def test_links_are_on_the_address_that_was_asked(client: Client, address: str) -> None:
    found = client.get(f"{address}{GROUPS}?$top=1").json()

    assert found["@odata.context"].startswith(f"{address}/v1.0/$metadata#groups")
    assert found["@odata.nextLink"].startswith(f"{address}/v1.0/groups?")
    assert len(client.get(found["@odata.nextLink"]).json()["value"]) == 1


@pytest.mark.parametrize("address", [PUBLIC_URL, ALIAS])
def test_discovery_names_the_address_that_was_asked(aliased: AdminWorld, address: str) -> None:
    tenant = aliased.services.tenant.id
    found = aliased.client().get(f"{address}/{tenant}/v2.0/.well-known/openid-configuration").json()

    assert found["issuer"] == f"{address}/{tenant}/v2.0"
    assert found["token_endpoint"].startswith(f"{address}/{tenant}/")


def test_an_address_that_is_not_ours_is_refused(client: Client) -> None:
    refused = client.get(f"https://evil.example{GROUPS}")

    assert refused.status_code == 421
    assert "evil.example" not in refused.text
