"""Groups on the command line: members, rules tried and paused, history, and faults with a mark below them."""

from __future__ import annotations

import pytest
from tests.support.command_line import CommandLine, add_devices

from shieldwall.cli.rule_errors import marked

WEB = '(device.displayName -startsWith "web")'


@pytest.fixture(scope="module", autouse=True)
def fleet(shieldwall: CommandLine) -> None:
    add_devices(shieldwall, 2)


@pytest.mark.parametrize(
    ("rule", "position", "shown"),
    [
        ("device.x -eq 1", 0, ("device.x -eq 1", "^")),
        ("device.x -eq 1", 9, ("device.x -eq 1", "         ^")),
        ("device.x -eq 1", 14, ("device.x -eq 1", "              ^")),
        ("a" * 80 + "!" + "b" * 80, 80, ("\u2026" + "a" * 60 + "!" + "b" * 59 + "\u2026", " " * 61 + "^")),
        ("a\n!", 2, ("a\\n!", "   ^")),
    ],
)
def test_a_fault_is_marked_below_its_character(rule: str, position: int, shown: tuple[str, str]) -> None:
    assert marked(rule, position) == shown


def test_a_rule_that_cannot_be_read_is_shown_with_its_fault(shieldwall: CommandLine) -> None:
    for words in (
        ("group", "create", "Faulty"),
        ("group", "validate", "web-01"),
    ):
        refused = shieldwall(*words, "--rule", 'device.displayName -like "web"', status=1)
        lines = refused.stderr.splitlines()
        place = lines.index('  device.displayName -like "web"')
        assert lines[place + 1] == "  " + " " * len("device.displayName ") + "^"


def test_a_rule_is_tried_on_devices_and_explained(shieldwall: CommandLine) -> None:
    shown = shieldwall("group", "validate", "web-01", "web-02", "--rule", 'device.displayName -eq "web-01"').stdout

    assert shown.splitlines() == [
        "web-01 belongs:",
        '  yes device.displayName -eq "web-01"   found: web-01',
        "web-02 does not belong:",
        '  no  device.displayName -eq "web-01"   found: web-02',
    ]
    shieldwall("group", "validate", "web-01", status=1)


def test_a_group_is_shown_changed_paused_resumed_and_deleted(shieldwall: CommandLine) -> None:
    shieldwall("group", "create", "Web", "--rule", 'device.displayName -eq "nobody"')
    assert "No device belongs" in shieldwall("group", "members", "Web").stdout
    shieldwall("group", "pause", "Web")
    assert "(paused)" in shieldwall("group", "show", "Web").stdout
    shieldwall("group", "change", "Web", "--rule", WEB, "--yes")
    assert shieldwall.json("group", "members", "Web", "--json") == []
    shieldwall("group", "resume", "Web")

    assert {each["displayName"] for each in shieldwall.json("group", "members", "Web", "--json")} == {
        "web-01",
        "web-02",
    }
    (verdict,) = shieldwall.json("group", "validate", "web-01", "--group", "Web", "--json")
    assert verdict["membershipRuleEvaluationResult"] is True
    kept = shieldwall("group", "change", "Web", "--rule", 'device.displayName -eq "nobody"', status=1, stdin="n\n")
    assert "Change the rule?" in kept.stdout
    history = shieldwall.json("group", "history", "Web", "--json")
    assert [(each["activity"], each["cause"]) for each in history] == [("joined", "processingResumed")] * 2

    shieldwall("group", "delete", "Web", "--yes")
    left = shieldwall("group", "history", "web-01", "--device").stdout
    assert "groupDeleted" in left


def test_members_are_named_and_taken_away(shieldwall: CommandLine) -> None:
    shieldwall("group", "create", "Named")
    shieldwall("group", "add", "Named", "web-01")
    assert "web-01" in shieldwall("group", "members", "Named").stdout
    shieldwall("group", "remove", "Named", "web-01")
    assert "No device belongs" in shieldwall("group", "members", "Named").stdout
    refused = shieldwall("group", "pause", "Named", status=1)
    assert "Only a rule can be paused" in refused.stderr
