"""Whose TPMs a tenant trusts, by the API."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.samples import NOON

from shieldwall.contract.ids import TenantId
from shieldwall.trust.certificates import DeviceAuthority

ENDORSEMENTS = "/v1.0/deviceManagement/endorsements"
MAKER = DeviceAuthority.create(TenantId("00000000-0000-4000-8000-00000000000c"), NOON).certificate_pem
HASH = "ab" * 32


def test_makers_and_single_tpms_are_trusted_listed_and_distrusted(graph: Client) -> None:
    maker = graph.post(ENDORSEMENTS, json={"displayName": "Maker", "certificate": MAKER})
    tpm = graph.post(ENDORSEMENTS, json={"displayName": "web-01", "endorsementKeyHash": HASH.upper()})

    assert (maker.status_code, tpm.status_code) == (201, 201)
    assert maker.json()["kind"] == "authority"
    assert maker.json()["certificate"] == MAKER
    assert maker.json()["subject"].startswith("CN=Shieldwall devices")
    assert maker.json()["expirationDateTime"]
    assert (tpm.json()["kind"], tpm.json()["endorsementKeyHash"]) == ("endorsementKey", HASH)
    listed = graph.get(ENDORSEMENTS).json()["value"]
    assert {each["id"] for each in listed} == {maker.json()["id"], tpm.json()["id"]}
    for each in listed:
        assert graph.delete(f"{ENDORSEMENTS}/{each['id']}").status_code == 204
    assert graph.get(ENDORSEMENTS).json()["value"] == []
    assert graph.delete(f"{ENDORSEMENTS}/{maker.json()['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"displayName": "x"},
        {"displayName": "x", "certificate": MAKER, "endorsementKeyHash": HASH},
        {"displayName": "x", "certificate": "not a certificate"},
        {"displayName": "x", "certificate": MAKER + MAKER},
        {"displayName": "x", "certificate": MAKER[:-60]},
        {"displayName": "x", "certificate": 1},
        {"displayName": "x", "endorsementKeyHash": "zz" * 32},
        {"displayName": "x", "endorsementKeyHash": HASH + "\n"},
        {"displayName": "", "endorsementKeyHash": HASH},
        {"displayName": "x" * 257, "endorsementKeyHash": HASH},
        {"displayName": "a\u0000b", "endorsementKeyHash": HASH},
        {"displayName": "x", "endorsementKeyHash": HASH, "surprise": 1},
    ],
    ids=lambda body: ", ".join(body) or "nothing",
)
def test_what_cannot_be_trusted_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    answer = embedded_graph.post(ENDORSEMENTS, json=body)

    assert answer.status_code == 400, answer.text
    assert embedded_graph.get(ENDORSEMENTS).json()["value"] == []


@pytest.mark.parametrize("name", ["x", "%27", "00000000-0000-4000-8000-000000000001", "a" * 300])
def test_nothing_else_is_there_to_be_distrusted(embedded_graph: Client, name: str) -> None:
    assert embedded_graph.delete(f"{ENDORSEMENTS}/{name}").status_code == 404


def test_the_same_is_not_trusted_twice(graph: Client) -> None:
    body = {"displayName": "web-01", "endorsementKeyHash": HASH}
    assert graph.post(ENDORSEMENTS, json=body).status_code == 201
    assert graph.post(ENDORSEMENTS, json=body).status_code == 409


def test_who_only_reads_devices_trusts_nobody(embedded: AdminWorld) -> None:
    with closing(embedded.application_client("DeviceManagementManagedDevices.ReadWrite.All")) as reader:
        assert reader.get(ENDORSEMENTS).status_code == 200
        body = {"displayName": "web-01", "endorsementKeyHash": HASH}
        assert reader.post(ENDORSEMENTS, json=body).status_code == 403
    with closing(embedded.application_client("Device.Read.All")) as stranger:
        assert stranger.get(ENDORSEMENTS).status_code == 403
