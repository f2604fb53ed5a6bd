"""Policies change in sight: previewed before, with a history after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.manager.test_references import address_group, refer
from tests.support.command_line import CommandLine, add_devices, written
from tests.support.graph_bodies import a_policy
from tests.support.policies import FIREWALL_RULES, RULES, firewall_rule, items

from shieldwall.server.graph.setting_writing import write_instance

REAL_TIME, PASSIVE = "0", "1"
"""Options of the enforcement level, from the strongest on."""


@pytest.fixture(scope="module", autouse=True)
def _devices(shieldwall: CommandLine) -> None:
    add_devices(shieldwall, 2)


def test_a_policy_has_a_history_that_can_be_compared_and_gone_back_in(shieldwall: CommandLine, tmp_path: Path) -> None:
    (made,) = shieldwall.json("policy", "import", written(tmp_path / "p.json", a_policy("Kept", REAL_TIME)), "--json")
    change = written(tmp_path / "change.json", {"settings": a_policy("Kept", PASSIVE)["settings"]})
    assert "one revision" in shieldwall("policy", "diff", "Kept", status=1).stderr

    shieldwall("api", "PATCH", f"/beta/deviceManagement/configurationPolicies/{made['id']}", "--body", change)
    assert "WEAKER" in shieldwall("policy", "diff", "Kept").stdout
    (change_made,) = shieldwall.json("policy", "diff", "Kept", "--from", "1", "--to", "2", "--json")
    assert change_made["class"] == "weaken"
    done = shieldwall("policy", "rollback", "Kept", "--to", "1", "--reason", "Größe: zu schwach").stdout

    assert "as in revision 1 again; that is revision 3" in done
    newest, _, oldest = shieldwall.json("policy", "history", "Kept", "--json")
    assert (newest["revision"], newest["class"], newest["reason"]) == (3, "strengthen", "Größe: zu schwach")
    assert oldest["class"] is None
    assert "stronger" in shieldwall("policy", "history", "Kept").stdout
    assert shieldwall.json("policy", "diff", "Kept", "--from", "1", "--to", "3", "--json") == []
    assert "No setting differs." in shieldwall("policy", "diff", "Kept", "--from", "1", "--to", "3").stdout
    assert "notFound" in shieldwall("policy", "rollback", "Kept", "--to", "9", status=1).stderr


def test_a_reason_travels_with_every_change_whatever_it_is_written_in(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("policy", "import", written(tmp_path / "p.json", a_policy("Reasoned")))

    shieldwall("policy", "reorder", "Reasoned", "10", "--reason", "Änderung 4711 % ✓")

    assert shieldwall.json("policy", "history", "Reasoned", "--json")[0]["reason"] == "Änderung 4711 % ✓"
    assert shieldwall.json("policy", "show", "Reasoned", "--json")["priorityMetaData"] == {"priority": 10}
    assert shieldwall("policy", "reorder", "Reasoned", "501", status=None).returncode == 2


def test_a_copy_has_the_settings_and_nobody_gets_it(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("policy", "import", written(tmp_path / "p.json", a_policy("Original")))
    shieldwall("policy", "assign", "Original", "--all-devices")

    copied = shieldwall.json("policy", "copy", "Original", "Copied", "--description", "Why", "--json")
    kept = shieldwall.json("policy", "copy", "Copied", "Copied again", "--json")

    assert kept["description"] == "Why"
    assert copied["settings"] == shieldwall.json("policy", "show", "Original", "--json")["settings"]
    assert (copied["name"], copied["description"], copied["isAssigned"]) == ("Copied", "Why", False)
    shieldwall("policy", "delete", "Original", "--yes")


def test_a_preview_says_what_would_happen_and_nothing_does(shieldwall: CommandLine, tmp_path: Path) -> None:
    strong = written(tmp_path / "strong.json", a_policy("Previewed", REAL_TIME))
    weak = written(tmp_path / "weak.json", a_policy("Previewed", PASSIVE))

    new = shieldwall.json("policy", "preview", "Previewed", strong, "--new", "--all-devices", "--json")
    assert new["devicesChanged"] == 2
    assert "Previewed" not in shieldwall("policy", "list").stdout

    shieldwall("policy", "import", strong)
    shieldwall("policy", "assign", "Previewed", "--all-devices")
    lowered = shieldwall("policy", "preview", "Previewed", weak).stdout
    assert "PROTECTION LOWERED" in lowered
    assert "web-01, web-02" in lowered
    for options in (("--delete",), ("--unassign",)):
        assert shieldwall.json("policy", "preview", "Previewed", *options, "--json")["devicesChanged"] == 2
    assert len(shieldwall.json("policy", "history", "Previewed", "--json")) == 1
    assert "Nothing would change" in shieldwall("policy", "preview", "Previewed", status=1).stderr
    assert "There is no policy" in shieldwall("policy", "preview", "Other", weak, status=1).stderr
    shieldwall("policy", "delete", "Previewed", "--yes")


def test_who_decides_on_a_device_and_who_wanted_otherwise_is_shown(shieldwall: CommandLine, tmp_path: Path) -> None:
    for name, option in (("Stricter", REAL_TIME), ("Looser", PASSIVE)):
        shieldwall("policy", "import", written(tmp_path / f"{name}.json", a_policy(name, option)))
        shieldwall("policy", "assign", name, "--all-devices")

    shown = " ".join(shieldwall("device", "effective", "web-01").stdout.split())

    assert "Stricter 1 (all devices)" in shown
    assert "Looser: " in shown
    for name in ("Stricter", "Looser"):
        shieldwall("policy", "delete", name, "--yes")


def test_a_filter_narrows_an_assignment(shieldwall: CommandLine, tmp_path: Path) -> None:
    rule = '(device.displayName -eq "web-01")'
    shieldwall("policy", "import", written(tmp_path / "p.json", a_policy("Narrowed")))
    made = shieldwall.json("filter", "create", "Edge", "--platform", "linux", "--rule", rule, "--json")

    def reached(*options: str) -> list[Any]:
        preview = shieldwall.json("policy", "preview", "Narrowed", "--all-devices", *options, "--json")
        return [change["examples"] for change in preview["changes"]]

    assert reached("--filter", "Edge") == [["web-01"]]
    assert reached("--exclude-filter", made["id"]) == [["web-02"]]
    assert (
        "one filter"
        in shieldwall("policy", "assign", "Narrowed", "--filter", "a", "--exclude-filter", "b", status=1).stderr
    )
    shieldwall("policy", "assign", "Narrowed", "--all-devices", "--filter", "Edge")
    assert "all devices (only filter Edge)" in shieldwall("policy", "show", "Narrowed").stdout

    other = '(device.displayName -startsWith "web")'
    assert shieldwall.json("filter", "preview", "Edge", "--rule", other, "--json")["devicesChanged"] == 1
    shieldwall("filter", "change", "Edge", "--rule", other)
    assert other in shieldwall("filter", "show", "Edge").stdout
    assert [each["rule"] for each in shieldwall.json("filter", "list", "--json")] == [other]
    assert "Nothing would change" in shieldwall("filter", "change", "Edge", status=1).stderr
    assert "stillReferenced" in shieldwall("filter", "delete", "Edge", "--yes", status=1).stderr
    shieldwall("policy", "delete", "Narrowed", "--yes")
    shieldwall("filter", "delete", "Edge", "--yes")


def test_members_of_a_group_are_tried_before_they_are_in_it(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("policy", "import", written(tmp_path / "p.json", a_policy("Grouped")))
    shieldwall("group", "create", "Chosen")
    shieldwall("policy", "assign", "Grouped", "--group", "Chosen")

    assert shieldwall.json("group", "preview", "Chosen", "--add", "web-01", "--json")["devicesChanged"] == 1
    assert "Nothing would change" in shieldwall("group", "preview", "Chosen", status=1).stderr
    shieldwall("policy", "delete", "Grouped", "--yes")


def test_conflict_rules_are_set_one_by_one_after_a_look(shieldwall: CommandLine, tmp_path: Path) -> None:
    for name, option in (("Strong", REAL_TIME), ("Weak", PASSIVE)):
        shieldwall("policy", "import", written(tmp_path / f"{name}.json", a_policy(name, option)))
        shieldwall("policy", "assign", name, "--all-devices")
    before = shieldwall.json("conflict-rules", "show", "--json")

    tried = shieldwall("conflict-rules", "set", "antivirus=nothing", "--dry-run").stdout
    assert "Conflicts made" in tried
    assert shieldwall.json("conflict-rules", "show", "--json") == before
    assert shieldwall("conflict-rules", "set", "antivirus=nothing", stdin="n\n", status=None).returncode != 0
    shieldwall("conflict-rules", "set", "antivirus=nothing", "--yes")

    assert shieldwall.json("conflict-rules", "show", "--json") == before | {"antivirus": "nothing"}
    assert "FAMILY=RULE" in shieldwall("conflict-rules", "set", "antivirus", status=1).stderr
    shieldwall("conflict-rules", "set", "antivirus=published", "--yes")
    for name in ("Strong", "Weak"):
        shieldwall("policy", "delete", name, "--yes")


def rules(reference: str) -> dict[str, Any]:
    """A policy with a firewall rule that refers to a reusable setting."""
    rule = firewall_rule("ssh", "allow", refer(f"{RULES}_item_remoteaddressgroups", reference))
    setting = {"id": "0", "settingInstance": write_instance(items(RULES, rule))}
    return a_policy("Rules", templateReference={"templateId": FIREWALL_RULES}, settings=[setting])


def test_policies_follow_a_reusable_setting(shieldwall: CommandLine, tmp_path: Path) -> None:
    def offices(*addresses: str) -> str:
        document = {"displayName": "Offices", "settingInstance": write_instance(address_group(*addresses))}
        return written(tmp_path / "offices.json", document)

    made = shieldwall.json("reusable", "create", offices("192.0.2.0/24"), "--json")
    shieldwall("policy", "import", written(tmp_path / "rules.json", rules(made["id"])))

    shieldwall("reusable", "change", "Offices", offices("192.0.2.0/24", "198.51.100.0/24"), "--reason", "Umzug")

    shown = shieldwall("reusable", "show", "Offices").stdout
    assert "Rules" in shown
    assert shieldwall.json("policy", "history", "Rules", "--json")[0]["reason"].endswith("Umzug")
    (listed,) = shieldwall.json("reusable", "list", "--json")
    assert (listed["version"], listed["referencingConfigurationPolicyCount"]) == (2, 1)
    assert "Offices" in shieldwall("reusable", "list").stdout
    assert "stillReferenced" in shieldwall("reusable", "delete", "Offices", "--yes", status=1).stderr
    out = tmp_path / "git"
    shieldwall("policy", "export", "--all", "--out", str(out))
    assert shieldwall.json("diff", "-f", str(out), "--json")["changes"] == []
    shieldwall("policy", "delete", "Rules", "--yes")
    shieldwall("reusable", "delete", "Offices", "--yes")

    shieldwall("apply", "-f", str(out), "--yes")
    (remade,) = shieldwall.json("reusable", "list", "--json")
    assert remade["id"] != made["id"]
    assert remade["referencingConfigurationPolicyCount"] == 1
    assert "The server is as" in shieldwall("diff", "-f", str(out)).stdout
    assert "needs the member" in shieldwall("reusable", "create", written(tmp_path / "no.json", {}), status=1).stderr
