"""Who decided what is in effect, in one cell."""

from __future__ import annotations

from typing import Any

import pytest

from shieldwall.cli.device_commands import deciding, outvoted


def policy(*brought_by: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Baseline", "revision": 3, "value": "On", "won": True, "broughtBy": list(brought_by)}


@pytest.mark.parametrize(
    ("brought_by", "words"),
    [
        (({"groupId": "1", "displayName": "Web"},), "Baseline 3 (Web)"),
        (({"groupId": "1", "displayName": "Web"}, {"allDevices": True}), "Baseline 3 (Web, all devices)"),
        ((), "Baseline 3 (assigned no more)"),
    ],
)
def test_a_policy_that_decides_is_named_with_revision_and_groups(
    brought_by: tuple[dict[str, Any], ...], words: str
) -> None:
    assert deciding(policy(*brought_by)) == words


def test_a_policy_that_does_not_decide_is_named_with_what_it_wanted() -> None:
    assert outvoted(policy()) == "Baseline: On"
