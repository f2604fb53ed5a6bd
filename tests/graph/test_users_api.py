"""People over Graph, and what they sign in with."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.authenticators import Authenticator
from tests.support.browsing import ORIGIN, add_passkey
from tests.support.graph_bodies import GROUPS, a_group

from shieldwall.server.storage.events import alerts

USERS = "/v1.0/users"


def made(graph: Client, name: str = "grace") -> str:
    body = {"userPrincipalName": f"{name}@contoso.example", "displayName": name.title(), "accountEnabled": True}
    answer = graph.post(USERS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def code_of(answer: str) -> str:
    return f"{USERS}/{answer}/authentication/temporaryAccessPassMethods"


def test_a_person_is_made_read_changed_and_removed(graph: Client) -> None:
    person = made(graph)

    shown = graph.get(f"{USERS}/{person}").json()
    assert shown["userPrincipalName"] == "grace@contoso.example"
    assert shown["signInActivity"] == {"lastSignInDateTime": None}
    assert graph.get(f"{USERS}/Grace@Contoso.example").json()["id"] == person
    assert graph.patch(f"{USERS}/{person}", json={"displayName": "Grace H."}).status_code == 204
    assert graph.get(f"{USERS}/{person}?$select=displayName").json()["displayName"] == "Grace H."
    assert graph.delete(f"{USERS}/{person}").status_code == 204
    assert graph.get(f"{USERS}/{person}").status_code == 404


def test_people_are_listed_filtered_and_ordered(world: AdminWorld, graph: Client) -> None:
    for name in ("cleo", "bea"):
        made(graph, name)
    world.invite("Ada")

    ordered = graph.get(f"{USERS}?$orderby=displayName&$top=2").json()
    assert [each["displayName"] for each in ordered["value"]] == ["Ada", "Bea"]
    assert [each["displayName"] for each in graph.get(ordered["@odata.nextLink"]).json()["value"]] == ["Cleo"]
    for name, found in (("ada@contoso.example", ["Ada"]), ("BEA@contoso.example", ["Bea"]), ("x@y", [])):
        answer = graph.get(USERS, params={"$filter": f"userPrincipalName eq '{name}'"})
        assert [each["displayName"] for each in answer.json()["value"]] == found, name


@pytest.mark.parametrize(
    "change",
    [
        {"userPrincipalName": "grace"},
        {"userPrincipalName": "a b@contoso.example"},
        {"userPrincipalName": "@contoso.example"},
        {"userPrincipalName": "a\x00@contoso.example"},
        {"displayName": " "},
        {"displayName": "x" * 257},
        {"passwordProfile": {"password": "x"}},
        {"id": "00000000-0000-4000-8000-000000000001"},
        {"createdDateTime": "2020-01-01T00:00:00Z"},
        {"accountEnabled": "yes"},
        {"sees_tenants": True},
    ],
)
def test_who_cannot_be_is_not_made(graph: Client, change: dict[str, object]) -> None:
    body = {"userPrincipalName": "grace@contoso.example", "displayName": "Grace"} | change

    assert graph.post(USERS, json=body).status_code == 400
    assert graph.get(USERS).json()["value"] == []


def test_a_name_is_one_persons(graph: Client) -> None:
    made(graph)
    answer = graph.post(USERS, json={"userPrincipalName": "GRACE@contoso.example", "displayName": "Other"})

    assert answer.status_code == 409


def test_a_one_time_code_lets_a_person_in_once(world: AdminWorld, graph: Client) -> None:
    person = made(graph)
    answer = graph.post(code_of(person), json={})
    assert answer.status_code == 201
    code = answer.json()["temporaryAccessPass"]
    (listed,) = graph.get(code_of(person)).json()["value"]
    assert listed["temporaryAccessPass"] is None
    assert code not in graph.get(code_of(person)).text

    with world.client() as grace:
        assert grace.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 303
        assert "Grace" in grace.get("/account").text
        assert grace.get("/people").status_code == 403, "no role yet"
        assert grace.get("/devices").status_code == 403
    assert graph.get(code_of(person)).json()["value"] == []


def test_a_new_code_takes_the_place_of_the_one_before_and_can_be_withdrawn(world: AdminWorld, graph: Client) -> None:
    person = made(graph)
    first = graph.post(code_of(person), json={}).json()["temporaryAccessPass"]
    second = graph.post(code_of(person), json={}).json()
    with world.client() as grace:
        assert grace.post("/sign-in", data={"code": first}, headers=ORIGIN).status_code == 403
        assert graph.delete(f"{code_of(person)}/{second['id']}").status_code == 204
        fields = {"code": second["temporaryAccessPass"]}
        assert grace.post("/sign-in", data=fields, headers=ORIGIN).status_code == 403


@pytest.mark.parametrize("body", [{"lifetimeInMinutes": 43_200}, {"isUsableOnce": False}, {"x": 1}])
def test_a_code_is_for_one_use_within_a_quarter_of_an_hour(graph: Client, body: dict[str, object]) -> None:
    assert graph.post(code_of(made(graph)), json=body).status_code == 400


def test_a_code_for_somebody_with_a_passkey_is_told_to_all(world: AdminWorld, graph: Client, ada: Client) -> None:
    add_passkey(ada, Authenticator())
    person = graph.get(f"{USERS}/ada@contoso.example").json()["id"]
    graph.post(code_of(person), json={})

    with world.services.database.read() as connection:
        (alert,) = alerts.newest_open(connection, world.services.tenant.id, 5)
    assert (alert.kind, "Ada" in alert.title) == ("recoveryCode", True)


def test_passkeys_are_listed_and_removed(graph: Client, ada: Client) -> None:
    add_passkey(ada, Authenticator())
    person = graph.get(f"{USERS}/ada@contoso.example").json()["id"]
    methods = f"{USERS}/{person}/authentication/fido2Methods"

    (passkey,) = graph.get(methods).json()["value"]
    assert (passkey["displayName"], passkey["passkeyType"]) == ("Laptop", "deviceBound")
    assert graph.delete(f"{methods}/{passkey['id']}").status_code == 204
    assert graph.delete(f"{methods}/{passkey['id']}").status_code == 404
    assert graph.get(methods).json()["value"] == []


def test_the_last_administrator_stays(graph: Client, ada: Client) -> None:
    person = graph.get(f"{USERS}/ada@contoso.example").json()["id"]

    assert graph.patch(f"{USERS}/{person}", json={"accountEnabled": False}).status_code == 409
    assert graph.delete(f"{USERS}/{person}").status_code == 409
    assert ada.get("/account").status_code == 200


def test_whoever_is_switched_off_is_signed_out_and_stays_out(world: AdminWorld, graph: Client, ada: Client) -> None:
    world.invite("Bea")
    person = graph.get(f"{USERS}/ada@contoso.example").json()["id"]
    code = world.invite()
    assert graph.patch(f"{USERS}/{person}", json={"accountEnabled": False}).status_code == 204

    assert ada.get("/account").status_code == 303
    assert ada.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 403
    assert graph.patch(f"{USERS}/{person}", json={"accountEnabled": True}).status_code == 204
    assert ada.get("/account").status_code == 303, "the session from before is over"


def test_an_application_is_nobody(graph: Client) -> None:
    assert graph.get("/v1.0/me").status_code == 400


def test_to_write_people_is_not_to_make_codes(world: AdminWorld, graph: Client) -> None:
    person = made(graph)
    client = world.application_client("User.ReadWrite.All")

    assert client.get(f"{USERS}/{person}").status_code == 200
    assert client.post(code_of(person), json={}).status_code == 403
    client.close()


def test_people_belong_to_groups_beside_devices(world: AdminWorld, graph: Client) -> None:
    person, other = made(graph), made(graph, "bea")
    with world.writing() as connection:
        world.manager.join(connection, 1)
    device = graph.get("/v1.0/devices").json()["value"][0]["id"]
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    path = f"{GROUPS}/{group}/members"
    for kind, member in (("users", person), ("directoryObjects", other), ("devices", device)):
        answer = graph.post(f"{path}/$ref", json={"@odata.id": f"https://x/v1.0/{kind}/{member}"})
        assert answer.status_code == 204, answer.text
    again = graph.post(f"{path}/$ref", json={"@odata.id": f"https://x/v1.0/users/{person}"})
    assert again.status_code == 400

    found = graph.get(path).json()["value"]
    assert {(each["@odata.type"].rpartition(".")[2], each["id"]) for each in found} == {
        ("user", person),
        ("user", other),
        ("device", device),
    }
    walked, link = [], f"{path}?$top=1&$count=true"
    while link:
        page = graph.get(link, headers={"ConsistencyLevel": "eventual"}).json()
        assert page["@odata.count"] == 3
        walked += [each["id"] for each in page["value"]]
        link = page.get("@odata.nextLink", "")
    assert walked == [each["id"] for each in found]
    users = graph.get(f"{path}/microsoft.graph.user").json()["value"]
    assert {each["id"] for each in users} == {person, other}
    assert [each["id"] for each in graph.get(f"{path}/microsoft.graph.device").json()["value"]] == [device]
    assert [each["id"] for each in graph.get(f"{USERS}/{person}/memberOf").json()["value"]] == [group]

    assert graph.delete(f"{path}/{person}/$ref").status_code == 204
    assert graph.delete(f"{path}/{person}/$ref").status_code == 404
    assert graph.get(f"{USERS}/{person}/memberOf").json()["value"] == []


def test_an_identity_provider_is_kept_and_its_secret_never_shown(world: AdminWorld, graph: Client) -> None:
    providers = "/beta/identity/identityProviders"
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    body = {
        "displayName": "Contoso",
        "issuer": "https://login.example/tenant/v2.0",
        "clientId": "client",
        "clientSecret": "very-secret",
        "settings": {"admission": "mapped", "groupMappings": {"there": group}},
    }
    answer = graph.post(providers, json=body)
    assert answer.status_code == 201, answer.text
    path = f"{providers}/{answer.json()['id']}"
    assert (answer.json()["hasClientSecret"], answer.json()["clientSecret"]) == (True, None)
    assert "very-secret" not in answer.text + graph.get(providers).text + graph.get(path).text
    with world.client() as client:
        assert "Contoso" in client.get("/sign-in").text
        assert graph.patch(path, json={"isEnabled": False}).status_code == 200
        assert "Contoso" not in client.get("/sign-in").text
    assert graph.patch(path, json={"issuer": "https://evil.example"}).status_code == 400
    assert graph.delete(path).status_code == 204
    assert graph.get(path).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://login.example"},
        {"issuer": "https://user:pass@login.example"},
        {"issuer": "https://login.example?x=y"},
        {"clientId": ""},
        {"displayName": ""},
        {"settings": {"scope": "profile"}},
        {"settings": {"groupMappings": {"x": "fab00000-0000-4000-8000-000000000002"}}},
        {"settings": {"surprise": 1}},
        {"id": "00000000-0000-4000-8000-000000000001"},
    ],
)
def test_a_provider_that_cannot_be_is_not_kept(graph: Client, change: dict[str, object]) -> None:
    body = {"displayName": "Contoso", "issuer": "https://login.example", "clientId": "client"} | change

    assert graph.post("/beta/identity/identityProviders", json=body).status_code == 400
