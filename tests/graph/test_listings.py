"""Every listing under Graph's versions takes the query options of OData, and refuses what it cannot follow.

The table of routes is walked, so a listing that is added is asked the same; what a path names is there in this office.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import pytest
from litestar.routes import HTTPRoute
from tests.support.admin import PUBLIC_URL, AdminWorld, Client, create_admin_world
from tests.support.graph_bodies import FILTERS, GROUPS, POLICIES, a_filter, a_group, a_policy, to_group
from tests.support.samples import a_device, a_package, device_id, package_id
from tests.support.second_tenant import with_second_tenant

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.access.throttling import Limits
from shieldwall.server.graph.absent_collections import ABSENT
from shieldwall.server.graph.odata.places import Place, token_of
from shieldwall.server.graph.query import parse_query
from shieldwall.server.openapi.description import DESCRIPTION, JSON, Description
from shieldwall.server.openapi.shapes import Component
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.tables.schema import metadata

MOST: Final = 1_000_000
"""Requests that nobody asks to wait for; thousands are made here."""
MANY: Final = 60
"""So many resources are not followed one by one."""
NOT_OF_ODATA: Final = ("/delta", "/machines", "/$ref")
"""Listings of their own: deltas are followed, machines asked for as people ask, references are addresses alone."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AdminWorld, Client, dict[str, str]]]:
    """A tenant with some of everything, a program that may do everything, and what parameters of paths name."""
    folder = tmp_path_factory.mktemp("office")
    opened = Database.at(folder / "shieldwall.db")
    with opened.write() as connection:
        metadata.create_all(connection)
    with with_second_tenant(opened):
        world = create_admin_world(opened, folder / "data")
        unhurried = replace(world.services.settings, limits=Limits(app_requests=MOST, tenant_requests=MOST))
        world = replace(world, services=replace(world.services, settings=unhurried))
        with closing(world.application_client(*PERMISSIONS, name="Backup")) as graph:
            yield world, graph, furnish(world, graph)
    opened.close()


def furnish(world: AdminWorld, graph: Client) -> dict[str, str]:
    made: dict[str, str] = {}
    for name in ("Alpha", "beta", "Gamma"):
        made["policy_id"] = posted(graph, POLICIES, a_policy(name=name))
        made["group_id"] = posted(graph, GROUPS, a_group(name))
        made["filter_id"] = posted(graph, FILTERS, a_filter(name))
    graph.post(f"{POLICIES}/{made['policy_id']}/assign", json={"assignments": [to_group(made["group_id"])]})
    graph.patch(f"{POLICIES}/{made['policy_id']}", json={"name": "Omega"})
    with world.writing() as connection:
        packages.add(connection, a_package(1))
        for number in range(1, 5):
            devices.add(connection, a_device(number, package_id=package_id(1)))
            check_ins.add(connection, device_id(number))
    for number in range(1, 4):
        reference = {"@odata.id": f"{PUBLIC_URL}/v1.0/devices/{device_id(number)}"}
        graph.post(f"{GROUPS}/{made['group_id']}/members/$ref", json=reference)
    template = graph.get("/beta/deviceManagement/configurationPolicyTemplates").json()["value"][0]["id"]
    named = {"device_id": device_id(1), "named": device_id(1), "package_id": package_id(1), "template_id": template}
    return made | named | {"revision": "2", "tag_id": "0", "role_id": built_in_role(graph)}


def posted(graph: Client, path: str, body: dict[str, Any]) -> str:
    answer = graph.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def built_in_role(graph: Client) -> str:
    return str(graph.get("/beta/deviceManagement/roleDefinitions").json()["value"][0]["id"])


def listings(world: AdminWorld) -> Iterator[tuple[str, Component]]:
    """Every path that lists resources, with what it lists; both versions have the same handlers."""
    for route in world.framework.routes:
        assert isinstance(route, HTTPRoute)
        if not route.path.startswith("/beta/") or "GET" not in route.route_handler_map:
            continue
        handler = route.route_handler_map["GET"][0]
        description = handler.opt.get(DESCRIPTION)
        found: Any = description.answers[0].content.get(JSON) if isinstance(description, Description) else None
        value = found.schema.get("properties", {}).get("value") if isinstance(found, Component) else None
        if value is None or any(part in route.path_format for part in NOT_OF_ODATA):
            continue
        if route.path_format.removeprefix("/beta") in ABSENT:
            continue
        if isinstance(value.get("items"), Component) and "@odata.context" in found.schema["properties"]:
            yield route.path_format, value["items"]


def asked(office: tuple[AdminWorld, Client, dict[str, str]]) -> Iterator[tuple[str, str, list[Any]]]:
    """Every listing that has something to list or may have: its path, the name of its key, and what it lists."""
    world, graph, named = office
    for template, item in listings(world):
        missing = set(re.findall(r"\{(\w+)\}", template)) - named.keys()
        if missing:
            continue  # this office has none of them
        path = re.sub(r"\{(\w+)\}", lambda found: named[found[1]], template)
        answer = graph.get(path)
        assert answer.status_code == 200, (path, answer.text)
        key = next((name for name in KEYS if name in item.schema.get("properties", KEYS)), None)
        assert key is not None, (path, item.schema)
        yield path, key, answer.json()["value"]


KEYS: Final = ("id", "settingDefinitionId", "deviceId")
"""What tells the resources of a listing apart."""


Holds = Callable[[dict[str, Any]], bool]


def expectations(key: str, names: list[str]) -> list[tuple[str, Holds]]:
    """What a listing is asked, and what its answer has to be; ``names`` are the keys of all it has, in order."""

    def keys(body: dict[str, Any]) -> list[str]:
        return [str(each[key]) for each in body["value"]]

    return [
        (f"$filter={key} ne 'x'&$top=1000", lambda body: sorted(keys(body)) == names),
        (f"$filter=not ({key} ne 'x') or startswith({key},'\u00a4')", lambda body: keys(body) == []),
        (f"$orderby={key} desc&$top=1000", lambda body: keys(body) == names[::-1]),
        (f"%24orderby={key}&$top=1000", lambda body: keys(body) == names),
        (f"$select={key.upper()}", lambda body: all(set(each) <= {key, "id", "@odata.type"} for each in body["value"])),
        ("$count=true&$top=1", lambda body: body.get("@odata.count") == len(names)),
        (f"$count=true&$filter={key} eq 'x'", lambda body: body.get("@odata.count") == 0),
        ("$skip=1&$top=1000", lambda body: len(body["value"]) == max(len(names) - 1, 0)),
        ("$format=json&$top=1000", lambda body: sorted(keys(body)) == names),
    ]


def test_every_listing_takes_every_option(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, _ = office
    wrong: list[tuple[object, ...]] = []
    walked = 0
    for path, key, _ in asked(office):
        walked += 1
        names = sorted(str(each[key]) for each in collected(graph, path))
        before = len(wrong)
        for options, holds in expectations(key, names):
            answer = graph.get(f"{path}?{options}")
            if answer.status_code != 200 or not holds(answer.json()):
                wrong.append((path, options, answer.status_code, answer.text[:300]))
        if len(wrong) > before:
            continue
        pages = [str(each[key]) for each in islice(followed(graph, f"{path}?$top=1&$orderby={key} desc"), MANY)]
        if len(names) < MANY and pages != names[::-1]:
            wrong.append((path, "pages", pages, names))
    assert not wrong, "\n".join(map(str, wrong))
    assert walked > 30


def test_no_listing_follows_what_it_does_not_know(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, _ = office
    followed_all_the_same = []
    for path, key, _ in asked(office):
        question = parse_query({}, path=path).question
        for options in (
            "$filter=surprise eq 1",
            "$filter=publicKey ne null",
            f"$filter={key} eq 5",
            f"$filter={key} has 'x'",
            f"$filter={key} eq 'x' or 1=1",
            f"$filter={key} eq 'x'&$filter={key} eq 'y'",
            "$filter=(((",
            "$orderby=surprise",
            f"$orderby={key} sideways",
            f"$orderby={key},{key}",
            "$select=surprise",
            "$select=secretHash,publicKey",
            "$expand=surprise",
            "$expand=*",
            "$top=0",
            "$top=-1",
            "$top=1000000000",
            "$skip=-1",
            "$skip=1000000000",
            "$count=maybe",
            "$format=xml",
            "$skiptoken=AAAA",
            f"$skiptoken={token_of(Place('x'), 'another listing')}",
            f"$skiptoken={token_of(Place('x', (1,)), question)}",
            f"$skiptoken={token_of(Place('x'), question)[:-1]}",
            "$apply=aggregate(x)",
            "filter=x",
        ):
            answer = graph.get(f"{path}?{options}")
            if answer.status_code != 400:
                followed_all_the_same.append((path, options, answer.status_code, answer.text[:200]))
    assert not followed_all_the_same, "\n".join(map(str, followed_all_the_same))


def test_a_token_that_somebody_wrote_breaks_nothing(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, _ = office
    for path, key, _ in asked(office):
        for name in ("x", "'; DROP TABLE devices; --", "9" * 20, "%", "\u00e9"):
            for order, values in ((key, (None,)), (key, (5,)), (key, ("x",)), (key, (True,)), ("", ())):
                options = {"$orderby": [order]} if order else {}
                token = token_of(Place(name, values), parse_query(options, path=path).question)
                answer = graph.get(path, params={"$skiptoken": token} | ({"$orderby": order} if order else {}))

                assert answer.status_code in {200, 400}, (path, order, values, answer.text)


def test_the_next_page_is_asked_for_as_the_first_was(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, _ = office
    options = ["$top=1", "$orderby=displayName", "$count=true", "$select=id", "$format=json"]

    for order in (options, options[::-1]):
        asked = f"/v1.0/groups?{'&'.join(order)}"
        following = graph.get(asked).json()["@odata.nextLink"]
        assert following.partition("&$skiptoken=")[0] == f"{PUBLIC_URL}{asked}"


@pytest.mark.parametrize("path", ["/v1.0/groups", "/beta/devices", "/v1.0/deviceManagement/managedDevices"])
def test_a_count_is_a_number_alone(office: tuple[AdminWorld, Client, dict[str, str]], path: str) -> None:
    _, graph, _ = office
    everything = len(collected(graph, path))

    counted = graph.get(f"{path}/$count", headers={"ConsistencyLevel": "eventual"})
    none = graph.get(f"{path}/$count?$filter=id eq 'x'")

    assert (counted.text, none.text) == (str(everything), "0")
    assert counted.headers["content-type"].startswith("text/plain")
    assert graph.get(f"{path}/$count?$top=1").status_code == 400
    assert graph.get(f"{path}/$count?$filter=surprise eq 1").status_code == 400


def test_one_resource_takes_no_options_of_listings(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, named = office
    path = f"{POLICIES}/{named['policy_id']}"

    assert graph.get(f"{path}?$select=name&$expand=settings").status_code == 200
    for options in ("$filter=name eq 'x'", "$orderby=name", "$top=1", "$count=true", "$select=surprise", "$skip=1"):
        assert graph.get(f"{path}?{options}").status_code == 400


def test_what_is_expanded_can_be_selected_from_and_expanded_below(
    office: tuple[AdminWorld, Client, dict[str, str]],
) -> None:
    _, graph, _ = office
    expand = "settings($select=id;$expand=settingDefinitions($select=displayName)),assignments"

    found = graph.get(POLICIES, params={"$select": "name", "$expand": expand}).json()["value"][0]

    assert set(found) == {"id", "name", "settings", "assignments"}
    assert set(found["settings"][0]) == {"id", "settingDefinitions"}
    assert set(found["settings"][0]["settingDefinitions"][0]) == {"@odata.type", "id", "displayName"}
    for bomb in (
        "settings($expand=settings)",
        "settings($expand=settingDefinitions($expand=settingDefinitions))",
        "settings,settings",
        "settings(",
        "settings)",
        "settings($top=1)",
        "settings($select=id;$select=id)",
        "(" * 500,
        ",".join(["settings"] * 100),
        "settings(" + "$expand=settings(" * 100 + ")" * 101,
    ):
        assert graph.get(POLICIES, params={"$expand": bomb}).status_code == 400


def test_a_search_finds_what_contains_a_text(office: tuple[AdminWorld, Client, dict[str, str]]) -> None:
    _, graph, _ = office

    def names(search: str) -> list[str]:
        answer = graph.get("/v1.0/groups", params={"$search": search, "$orderby": "displayName"})
        assert answer.status_code == 200, answer.text
        return [each["displayName"] for each in answer.json()["value"]]

    assert names('"displayName:ALP"') == ["Alpha"]
    assert names('"displayName:alp" OR "displayName:gam"') == ["Alpha", "Gamma"]
    assert names('"displayName:a" AND "bet"') == ["beta"]
    for wrong in ("", '"surprise:x"', '"displayName:"', '"a" "b"', "AND", '"a', " OR ".join(['"a"'] * 11), '"\x01"'):
        assert graph.get("/v1.0/groups", params={"$search": wrong}).status_code == 400


def test_the_list_that_people_look_in_takes_filters_beside_its_own_parameters(
    office: tuple[AdminWorld, Client, dict[str, str]],
) -> None:
    _, graph, _ = office
    machines = "/beta/deviceManagement/machines"
    filtered = graph.get(f"{machines}?search=device&$filter=deviceName in ('DEVICE-1','device-3')&$count=true").json()

    assert [each["deviceName"] for each in filtered["value"]] == ["device-1", "device-3"]
    assert filtered["@odata.count"] == 2
    for options in ("$orderby=deviceName", "$skip=1", "$filter=manufacturer eq 'x'", "$select=surprise"):
        assert graph.get(f"{machines}?{options}").status_code == 400


def collected(graph: Client, path: str) -> list[dict[str, Any]]:
    return list(followed(graph, path))


def followed(graph: Client, path: str) -> Iterator[dict[str, Any]]:
    following: str | None = path
    while following is not None:
        answer = graph.get(following.removeprefix(PUBLIC_URL))
        assert answer.status_code == 200, (following, answer.text)
        body = answer.json()
        yield from body["value"]
        following = body.get("@odata.nextLink")
