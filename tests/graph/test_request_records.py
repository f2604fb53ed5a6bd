from __future__ import annotations

import json
import re

import pytest
import structlog
from structlog.testing import capture_logs
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, POLICIES, a_policy

from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.in_process import InProcessSigner

SECRETS = re.compile(r"eyJ|topsecret")


@pytest.fixture(autouse=True)
def unconfigured() -> None:
    structlog.reset_defaults()


def test_every_answer_carries_the_names_of_its_request(embedded: AdminWorld) -> None:
    client = embedded.application_client("Group.Read.All")
    for path in (GROUPS, POLICIES, "/v1.0/nothing", "/healthz", "/nothing"):
        answer = client.get(path, headers={"client-request-id": "my-own.name_7"})
        assert answer.headers["client-request-id"] == "my-own.name_7"
        assert answer.headers["request-id"] not in {"", "my-own.name_7"}


@pytest.mark.parametrize("name", [b"", b"x" * 65, b"a b", b"<script>", b"\xc3\xa4"])
def test_a_name_that_could_harm_a_log_is_replaced(embedded: AdminWorld, name: bytes) -> None:
    answer = embedded.client().get("/healthz", headers={b"client-request-id": name})

    assert answer.headers["client-request-id"] == answer.headers["request-id"]


def test_a_request_leaves_one_line_without_secrets(embedded: AdminWorld) -> None:
    client = embedded.application_client("Group.Read.All")
    with capture_logs() as lines:
        answer = client.get(GROUPS, params={"$top": 3, "code": "topsecret"})
        client.get("/sign-in", params={"code": "topsecret"})
        client.get("/nothing", headers={"Accept": "application/json"})

    request, sign_in, nothing = (line for line in lines if line["event"] == "request")
    assert request["request_id"] == answer.headers["request-id"]
    assert (request["method"], request["route"], request["status"]) == ("GET", "/v1.0/groups", 400)
    assert (request["error"], request["caller"]) == ("invalidQuery", "app:Automation")
    assert (sign_in["route"], sign_in["path"], sign_in["status"]) == ("/sign-in", "/sign-in", 200)
    assert (nothing["route"], repr(nothing["status"])) == ("none", "404")  # a number, and not a name for it
    assert not SECRETS.search(json.dumps(lines))


def test_requests_are_counted_by_route_and_status(world: AdminWorld) -> None:
    client = world.client()
    client.get(GROUPS)
    client.get("/v1.0/nothing/at/all")
    client.request("BREW", "/v1.0/groups")

    numbers = client.get("/metrics").text

    for labels in (
        'method="GET",route="/v1.0/groups",status="401"',
        'method="GET",route="none",status="404"',
        'method="other",route="none",status="405"',
    ):
        assert f"shieldwall_admin_requests_total{{{labels}}} 1.0" in numbers


def test_what_cannot_serve_now_says_when_to_come_back(
    world: AdminWorld, graph: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> object:
        raise SignerUnavailableError("No answer.")

    monkeypatch.setattr(InProcessSigner, "sign_policy", unavailable)

    answer = graph.post(POLICIES, json=a_policy())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert world.client().get("/healthz").status_code == 200


def test_a_mistake_of_ours_says_nothing_of_itself(graph: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("topsecret")

    monkeypatch.setattr(InProcessSigner, "sign_policy", broken)
    with capture_logs() as lines:
        answer = graph.post(POLICIES, json=a_policy())

    assert answer.status_code == 500
    assert answer.json()["error"]["innerError"]["code"] == "failed"
    assert "topsecret" not in answer.text
    assert {line["event"]: line["request_id"] for line in lines}["request_failed"] == answer.headers["request-id"]
