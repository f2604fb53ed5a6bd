"""``shieldwall person`` as an administrator uses it."""

from __future__ import annotations

from tests.support.command_line import CommandLine


def test_a_person_is_invited_switched_off_and_let_in_again(shieldwall: CommandLine) -> None:
    link = shieldwall("person", "invite", "grace@example.test", "--name", "Grace").stdout.strip()
    assert "/sign-in?code=" in link
    assert "Grace" in shieldwall("person", "list").stdout
    (grace,) = shieldwall.json("person", "list", "--json")
    assert grace["userPrincipalName"] == "grace@example.test"

    shieldwall("person", "disable", "Grace")
    assert shieldwall.json("person", "show", "Grace@example.test", "--json")["accountEnabled"] is False
    shieldwall("person", "enable", grace["id"])
    shown = shieldwall.json("person", "show", "Grace", "--json")
    assert (shown["accountEnabled"], shown["fido2Methods"]) == (True, [])
    assert "No passkeys." in shieldwall("person", "show", "Grace").stdout

    again = shieldwall("person", "invite", "Grace").stdout.strip()
    assert "/sign-in?code=" in again
    assert again != link
    assert "everywhere" in shieldwall("person", "end-sessions", "Grace").stdout
