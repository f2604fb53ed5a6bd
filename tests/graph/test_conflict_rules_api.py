"""The tenant's rules for policies that want different values."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.admin import Client
from tests.support.graph_bodies import CONFLICT_RULES

from shieldwall.contract.conflicts import ConflictFamily


def test_every_family_is_decided_as_published_until_somebody_says_otherwise(graph: Client) -> None:
    before = graph.get(CONFLICT_RULES).json()
    assert before == dict.fromkeys(ConflictFamily, "published")

    answer = graph.put(CONFLICT_RULES, json={"antivirus": "priority", "firewall": "published"})

    assert answer.status_code == 200, answer.text
    assert answer.json() == before | {"antivirus": "priority"}
    assert graph.get(CONFLICT_RULES).json() == before | {"antivirus": "priority"}
    assert graph.put(CONFLICT_RULES, json=before).json() == before


@pytest.mark.parametrize(
    "body", [{"surprise": "priority"}, {"antivirus": "strict"}, {"antivirus": None}, {"antivirus": []}]
)
def test_a_rule_that_cannot_be_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    before = embedded_graph.get(CONFLICT_RULES).json()

    for answer in (
        embedded_graph.put(CONFLICT_RULES, json=body),
        embedded_graph.post(f"{CONFLICT_RULES}/preview", json=body),
    ):
        assert answer.status_code == 400
    assert embedded_graph.get(CONFLICT_RULES).json() == before
