from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.fields import EMPTY
from shieldwall.server.graph.odata.places import Place, token_of
from shieldwall.server.graph.paths import names_in, normal_path
from shieldwall.server.graph.query import parse_query

NAMES = names_in(
    ["/v1.0/groups/{group_id}/members/device", "/v1.0/groups/delta", "/v1.0/devices", "/api/machines/{id}"]
)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("/beta/devices('abc')", "/beta/devices/abc"),
        ("/v1.0/groups/abc/", "/v1.0/groups/abc"),
        ("/beta/x/abc/microsoft.graph.assign", "/beta/x/abc/assign"),
        ("/beta/x/abc", "/beta/x/abc"),
        ("/beta/devices(deviceId='abc')/memberOf", "/beta/devices/deviceId=abc/memberOf"),
        ("/v1.0/devices(3F2B8C1E-6F0A-4F7E-9D0C-0A1B2C3D4E5F)", "/v1.0/devices/3F2B8C1E-6F0A-4F7E-9D0C-0A1B2C3D4E5F"),
        (
            "/beta/x(deviceId=3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f)",
            "/beta/x/deviceId=3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f",
        ),
        ("/beta/roleScopeTags(7)", "/beta/roleScopeTags/7"),
        ("/beta/groups('o''brien')", "/beta/groups/o'brien"),
        ("/beta/groups(abc)", "/beta/groups(abc)"),
        ("/v1.0/groups/delta()", "/v1.0/groups/delta"),
        ("/v1.0/groups/microsoft.graph.delta()", "/v1.0/groups/delta"),
        ("/v1.0/groups/Microsoft.Graph.Delta()", "/v1.0/groups/delta"),
        ("/V1.0/groups", "/V1.0/groups"),
        ("/v1.0/GROUPS/ABC/Members", "/v1.0/groups/ABC/members"),
        ("/v1.0/groups/abc/members/microsoft.graph.device/", "/v1.0/groups/abc/members/device"),
        ("/api/machines('abc')", "/api/machines/abc"),
        ("/api/Machines/abc/", "/api/machines/abc"),
        ("/sign-in/", "/sign-in/"),
    ],
)
def test_the_ways_to_write_a_path_are_one(written: str, normal: str) -> None:
    assert normal_path(written, NAMES) == normal


@pytest.mark.parametrize(
    "path",
    [
        "/v1.0//groups",
        "/v1.0/groups//",
        "/v1.0/groups/../devices",
        "/v1.0/groups/./x",
        "/v1.0/groups/..",
        "/v1.0/groups;x=1",
        "/v1.0/groups/a;b",
        "/v1.0/groups\\devices",
        "/v1.0/groups/\0",
        "/v1.0/groups/\x7f",
        "/v1.0/groups/\n",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_leads_nowhere(path: str) -> None:
    assert normal_path(path, NAMES) == "/v1.0/-"


@pytest.mark.parametrize(
    "path", ["//v1.0/groups", "//sign-in", "/../sign-in", "/static/..", "/sign-in;x", "/\\sign-in"]
)
def test_neither_does_one_of_another_door(path: str) -> None:
    assert normal_path(path) == "/-"


@given(st.text(max_size=60).map(lambda text: "/beta/" + text))
def test_a_normal_path_stays_as_it_is(path: str) -> None:
    assert normal_path(normal_path(path)) == normal_path(path)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100))
def test_a_skip_token_leads_back_to_its_row(row: str) -> None:
    token = token_of(Place(row), parse_query({}, path="/v1.0/x").question)

    assert parse_query({"$skiptoken": [token]}, path="/v1.0/x").after == row


@pytest.mark.parametrize("row", ["", "a\0b", "line\n", "\x1b[2J", "x" * 513])
def test_a_row_that_no_listing_has_is_refused(row: str) -> None:
    with pytest.raises(InvalidQueryError):
        parse_query({"$skiptoken": [token_of(Place(row), parse_query({}).question)]})


def test_a_page_reads_one_row_more_than_it_shows() -> None:
    query = parse_query({"$top": ["2"]})

    assert (query.size, query.page_of(EMPTY).size) == (2, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"$filter": ["name eq"]},
        {"$top": ["0"]},
        {"$top": ["-1"]},
        {"$top": ["1000000000"]},
        {"$top": ["٣"]},
        {"$top": ["1", "2"]},
        {"$skiptoken": ["%%%"]},
        {"$skiptoken": [""]},
        {"$expand": ["secrets"]},
        {"$count": ["yes"]},
        {"$skip": ["10001"]},
        {"$format": ["xml"]},
        {"$top": ["1"], "$TOP": ["2"]},
        {"surprise": ["1"]},
    ],
)
def test_an_option_that_cannot_be_followed_is_refused(options: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidQueryError):
        parse_query(options, expandable=frozenset({"settings"}))


def test_a_selection_keeps_the_id() -> None:
    query = parse_query({"$select": ["Name"]})

    assert query.shape({"id": "1", "name": "x", "other": 2}) == {"id": "1", "name": "x"}
