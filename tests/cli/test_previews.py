"""Previews as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from shieldwall.cli.previews import facts_of, sections_of, show_preview


def change(name: str = "Real-time protection", **members: Any) -> dict[str, Any]:
    return {
        "settingDefinitionId": "x",
        "displayName": name,
        "subject": None,
        "before": "on",
        "after": "off",
        "class": "weaken",
        "devices": 2,
        "examples": ["web-01", "web-02"],
    } | members


RISKY = change("Rules", subject="ssh", before=None, after="block", **{"class": "connectivityRisk"})


def preview(**members: Any) -> dict[str, Any]:
    empty = ("changes", "conflictsMade", "conflictsSolved", "notApplicable", "protectionLowered")
    lists: dict[str, Any] = {name: [] for name in (*empty, "connectivityRisk", "restart")}
    return {"devices": 7, "devicesTargeted": 3, "devicesChanged": 2} | lists | members


CONFLICT = {"displayName": "Cloud", "devices": 1, "policies": [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}]}


def test_lowered_protection_comes_first_and_every_part_has_its_table() -> None:
    found = sections_of(
        preview(
            changes=[change(), RISKY, change(before="off", after="on", **{"class": "strengthen"})],
            protectionLowered=[change()],
            connectivityRisk=[RISKY],
            conflictsMade=[CONFLICT],
            conflictsSolved=[CONFLICT],
            notApplicable=[{"displayName": "Cloud", "devices": 4, "reason": "agent too old"}],
            restart=[{"displayName": "Cloud", "devices": 4}],
            irreversible=[{"displayName": "Modules", "devices": 3}],
        )
    )

    assert [section.title for section in found] == [
        "PROTECTION LOWERED",
        "CONNECTIVITY AT RISK",
        "Conflicts made",
        "Conflicts solved",
        "Other changes",
        "Not applicable there",
        "CANNOT BE TAKEN BACK BEFORE A RESTART",
        "Restart needed for",
    ]
    assert found[0].rows == (("Real-time protection", "on", "off", "2", "web-01, web-02"),)
    assert found[2].rows == (("Cloud", "1", "A, B"),)
    assert found[1].rows[0][:3] == ("Rules (ssh)", "-", "block")
    assert found[4].rows == (("stronger", "Real-time protection", "off", "on", "2", "web-01, web-02"),)
    assert found[5].rows == (("Cloud", "4", "agent too old"),)
    assert found[6].rows == (("Modules", "3"),)
    assert all(len(row) == len(section.columns) for section in found for row in section.rows)


def test_changes_without_a_grave_one_are_all_the_changes() -> None:
    (found,) = sections_of(preview(changes=[change(**{"class": "neutral"})]))

    assert found.title == "Changes"
    assert [row[0] for row in found.rows] == ["neutral"]


def test_a_change_without_effect_is_said_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = preview(devicesTargeted=0, devicesChanged=0)

    assert sections_of(nothing) == []
    assert dict(facts_of(nothing))["Protection lowered"] == "no"
    assert dict(facts_of(preview(protectionLowered=[change()])))["Protection lowered"] == "1 setting"
    show_preview(nothing)
    assert "Devices in scope:                7" in capsys.readouterr().out


def test_what_others_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    show_preview(preview(changes=[change("\x1b[2J", examples=["\u202eweb"])]))

    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
