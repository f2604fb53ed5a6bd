"""``shieldwall scope`` against a real server."""

from __future__ import annotations

import json

from tests.support.command_line import CommandLine

RULE = 'device.displayName -eq "nobody"'


def test_the_scope_is_shown_previewed_asked_about_and_set(shieldwall: CommandLine) -> None:
    before = shieldwall.json("scope", "show", "--json")
    assert (before["isAllowed"], before["linux"]) == (True, "all")
    assert "configuration-manager: on" in " ".join(shieldwall("scope", "show").stdout.split())

    effect = shieldwall.json("scope", "preview", "linux=off", "--json")
    assert effect["managedAfter"] == 0
    assert effect["released"]["count"] == effect["managedBefore"]

    declined = shieldwall("scope", "set", "linux=tagged", status=None, stdin="n\n")
    assert declined.returncode != 0
    assert "Take 0 devices and release" in declined.stdout
    assert shieldwall.json("scope", "show", "--json") == before

    done = shieldwall("scope", "set", "linux=tagged", "domain-controllers=on", "--dynamic-tag", f"Web={RULE}", "--yes")
    assert done.stdout.startswith("Saved: ")
    shown = shieldwall("scope", "show").stdout
    assert RULE in shown
    assert "tagged" in shown

    restored = shieldwall(
        "scope", "set", "linux=all", "domain-controllers=off", "--remove-dynamic-tag", "Web", "--yes", "--json"
    )
    after = json.loads(restored.stdout)
    assert after["effect"]["released"]["count"] == 0
    assert shieldwall.json("scope", "show", "--json") == before


def test_what_is_no_part_of_a_scope_is_explained(shieldwall: CommandLine) -> None:
    for words in (("linux=sometimes",), ("surprise=on",), ("linux",), (), ("--remove-dynamic-tag", "Nobody")):
        refused = shieldwall("scope", "set", *words, "--yes", status=1)

        assert "What to do: " in refused.stderr, words
