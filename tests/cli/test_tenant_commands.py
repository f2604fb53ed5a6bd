"""``shieldwall tenant`` as those use it who run a server for several organisations."""

from __future__ import annotations

from tests.support.command_line import CommandLine


def test_all_tenants_are_listed_for_people_and_for_programs(shieldwall: CommandLine) -> None:
    added = shieldwall(
        "server", "tenant", "add", "Fabrikam", "--data", str(shieldwall.data), "--domain", "fabrikam.test"
    )
    assert "Fabrikam" in added.stdout

    listed = shieldwall.json("tenant", "list", "--json")
    shown = shieldwall("tenant", "list").stdout

    assert {each["contract"]["defaultDomainName"] for each in listed} == {"shieldwall.localhost", "fabrikam.test"}
    fabrikam = next(each for each in listed if each["displayName"] == "Fabrikam")
    assert (fabrikam["devices"]["count"], fabrikam["devices"]["lastCheckInDateTime"]) == (0, None)
    assert "fabrikam.test" in shown
    assert fabrikam["id"] in shown
