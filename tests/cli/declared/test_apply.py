"""A directory in git against a real server: plan, look, confirm, apply, and nothing differs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import CommandLine, add_devices, running_server, written
from tests.support.declared_world import a_declared_filter, a_declared_group, to
from tests.support.graph_bodies import a_policy, sample

STRONG, WEAK = "0", "1"
"""Options of the enforcement level."""


@pytest.fixture(scope="module")
def shieldwall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A server with more devices than are asked about by default."""
    with running_server(tmp_path_factory.mktemp("cli")) as line:
        add_devices(line, 11)
        yield line


@pytest.fixture(autouse=True)
def _nothing_there(shieldwall: CommandLine, tmp_path: Path) -> None:
    for folder in ("policies", "groups", "filters", "reusable-settings"):
        (tmp_path / "empty" / folder).mkdir(parents=True)
    shieldwall("apply", "-f", str(tmp_path / "empty"), "--prune", "--allow-empty", "--yes")


def declare(directory: Path, option: str = STRONG, **policy: Any) -> str:
    """Write a small directory: a policy for some web servers, a group and a filter."""
    shutil.rmtree(directory, ignore_errors=True)
    written(directory / "groups" / "web.json", a_declared_group("Web", '(device.displayName -startsWith "web")'))
    written(directory / "filters" / "first.json", a_declared_filter("First", '(device.displayName -eq "web-01")'))
    assigned = {"assignments": [to("Web", only="First")]}
    written(directory / "policies" / "av.json", a_policy("Antivirus", option) | assigned | policy)
    return str(directory)


def names(shieldwall: CommandLine, *noun: str) -> list[str]:
    return sorted(each.get("name") or each["displayName"] for each in shieldwall.json(*noun, "list", "--json"))


def test_what_is_declared_is_made_and_then_nothing_differs(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git")

    planned = shieldwall("diff", "-f", directory, status=2).stdout
    assert "3 to create, 0 to change, 0 to delete." in planned
    assert "'Antivirus' is assigned with 'First', which is new." in planned
    assert names(shieldwall, "policy") == names(shieldwall, "filter") == []
    shieldwall("apply", "-f", directory, "--yes", "--reason", "Größe")

    assert "The server is as the directory says." in shieldwall("diff", "-f", directory).stdout
    assert "is as the directory says" in shieldwall("apply", "-f", directory).stdout
    (revision,) = shieldwall.json("policy", "history", "Antivirus", "--json")
    assert revision["reason"] == "Größe"
    shown = shieldwall("policy", "show", "Antivirus").stdout
    assert "group Web (only filter First)" in shown


def test_everything_that_is_exported_declares_just_what_is_there(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("apply", "-f", declare(tmp_path / "git", priorityMetaData={"priority": 7}), "--yes")
    out = tmp_path / "out"

    shieldwall("policy", "export", "--all", "--out", str(out))

    assert {str(file.relative_to(out)) for file in out.rglob("*.json")} == {
        "policies/Antivirus.json",
        "groups/Web.json",
        "filters/First.json",
    }
    assert shieldwall.json("diff", "-f", str(out), "--prune", "--json")["changes"] == []
    assert "3 files already" in shieldwall("policy", "export", "--all", "--out", str(out), status=1).stderr
    written(out / "policies" / "stale.json", {})
    shieldwall("policy", "export", "--all", "--out", str(out), "--overwrite")
    assert not (out / "policies" / "stale.json").exists()
    (made,) = shieldwall.json("policy", "import", str(out / "policies" / "Antivirus.json"), "--json")
    assert made["name"] == "Antivirus"


def test_lowered_protection_and_many_devices_are_asked_about(shieldwall: CommandLine, tmp_path: Path) -> None:
    everyone = [{"target": {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}}]
    directory = declare(tmp_path / "git", assignments=everyone)

    asked = shieldwall("apply", "-f", directory, status=1, stdin="n\n")
    assert "Something changes on 11 devices" in asked.stderr
    assert names(shieldwall, "policy") == names(shieldwall, "group") == []
    shieldwall("apply", "-f", directory, "--confirm-above", "11")

    declare(tmp_path / "git", WEAK, assignments=everyone)
    refused = shieldwall("apply", "-f", directory, "--confirm-above", "11", status=1, stdin="n\n")
    assert "It lowers protection in 1 setting." in refused.stderr
    assert "PROTECTION LOWERED" in refused.stdout
    shieldwall("apply", "-f", directory, "--confirm-above", "11", stdin="y\n")
    assert [each["revision"] for each in shieldwall.json("policy", "history", "Antivirus", "--json")] == [2, 1]


def test_what_was_unknown_is_asked_about_once_it_is_known(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git", assignments=[to("Web")])

    stopped = shieldwall("apply", "-f", directory, status=1, stdin="y\nn\n")

    assert "Not all of its effect can be known beforehand." in stopped.stderr
    assert "no policy is changed yet" in stopped.stdout
    assert "Something changes on 11 devices" in stopped.stderr
    assert names(shieldwall, "policy") == []
    assert names(shieldwall, "group") == ["Web"]
    shieldwall("apply", "-f", directory, stdin="y\n")
    assert names(shieldwall, "policy") == ["Antivirus"]


def test_programs_get_json_alone_also_when_it_is_asked_twice(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git", assignments=[to("Web")])

    applied = shieldwall("apply", "-f", directory, "--json", stdin="y\ny\n")

    record = json.loads(applied.stdout)
    assert record["applied"]
    assert {each["name"] for each in record["changes"]} == {"Web", "First", "Antivirus"}
    assert "Something changes on 11 devices" in applied.stderr


def test_another_server_becomes_the_same_by_what_one_exported(
    shieldwall: CommandLine, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assigned = [to("Web", only="First"), to("Laboratory", excluded=True)]
    directory = declare(tmp_path / "git", assignments=assigned, priorityMetaData={"priority": 7})
    written(tmp_path / "git" / "groups" / "lab.json", a_declared_group("Laboratory"))
    written(tmp_path / "git" / "policies" / "firewall.json", sample("linux-firewall"))
    shieldwall("apply", "-f", directory, "--yes")
    first, second = tmp_path / "first", tmp_path / "second"
    shieldwall("policy", "export", "--all", "--out", str(first))

    with running_server(tmp_path_factory.mktemp("other")) as other:
        other("apply", "-f", str(first), "--yes")
        assert other.json("diff", "-f", str(first), "--prune", "--json")["changes"] == []
        other("policy", "export", "--all", "--out", str(second))

    files = {file.relative_to(first): file.read_bytes() for file in first.rglob("*.json")}
    assert len(files) == 5
    assert files == {file.relative_to(second): file.read_bytes() for file in second.rglob("*.json")}


def test_an_export_that_cannot_be_written_says_so(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("apply", "-f", declare(tmp_path / "git"), "--yes")
    (tmp_path / "file").write_text("in the way")

    refused = shieldwall("policy", "export", "--all", "--out", str(tmp_path / "file"), status=1)

    assert "cannot be written" in refused.stderr


def test_only_pruning_deletes_and_it_says_how_many(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git")
    shieldwall("apply", "-f", directory, "--yes")
    shieldwall("policy", "import", written(tmp_path / "surplus.json", a_policy("Surplus")))
    shieldwall("group", "create", "Elsewhere")

    assert shieldwall.json("diff", "-f", directory, "--json")["changes"] == []
    shutil.rmtree(tmp_path / "git" / "groups")
    planned = json.loads(shieldwall("diff", "-f", directory, "--prune", "--json", status=2).stdout)
    assert planned["changes"] == [{"action": "delete", "kind": "policy", "name": "Surplus", "members": []}]
    assert "1 to delete" in shieldwall("apply", "-f", directory, "--prune").stdout

    assert names(shieldwall, "policy") == ["Antivirus"]
    assert names(shieldwall, "group") == ["Elsewhere", "Web"]
    shutil.rmtree(tmp_path / "git" / "policies")
    emptied = shieldwall("apply", "-f", directory, "--prune", "--yes", status=1)
    assert "[emptyDeclaration]" in emptied.stderr
    assert "delete every policy there is (1)" in emptied.stderr
    wrong = shieldwall("apply", "-f", str(tmp_path / "git" / "filters"), "--yes", status=1)
    assert "in no folder of" in wrong.stderr


def test_all_policies_are_saved_or_none_and_the_one_at_fault_is_named(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git")
    written(tmp_path / "git" / "policies" / "bad.json", a_policy("Bad", option="seldom"))

    refused = shieldwall("apply", "-f", directory, "--yes", status=1)

    assert "policy 'Bad'" in refused.stderr
    assert "[unknownOption]" in refused.stderr
    failed = json.loads(shieldwall("apply", "-f", directory, "--yes", "--json", status=1).stderr)["error"]
    assert failed["code"] == "refused"
    assert any("policy 'Bad'" in detail for detail in failed["details"])
    assert names(shieldwall, "policy") == names(shieldwall, "group") == []


def test_a_file_whose_name_is_no_text_can_be_named_to_programs(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git")
    odd = tmp_path / "git" / "policies" / os.fsdecode(b"\xff\x1b[2J.json")
    odd.write_text("{")

    refused = shieldwall("apply", "-f", directory, "--json", status=1)
    odd.write_text(json.dumps(a_policy("Odd")))
    imported = shieldwall.json("policy", "import", str(odd), "--json")

    (detail,) = json.loads(refused.stderr)["error"]["details"]
    assert detail.startswith("policies/\\udcff\\x1b[2J.json: ")
    assert imported[0]["file"].endswith("policies/\\udcff\\x1b[2J.json")


def test_every_file_that_cannot_be_taken_is_named(shieldwall: CommandLine, tmp_path: Path) -> None:
    directory = declare(tmp_path / "git", assignments=[to("Nobody")])
    (tmp_path / "git" / "policies" / "more.yaml").write_text("name: x")

    refused = shieldwall("diff", "-f", directory, status=1)
    assert "policies/more.yaml: YAML is not read" in refused.stderr
    (tmp_path / "git" / "policies" / "more.yaml").unlink()

    assert "the group 'Nobody', which is neither declared" in shieldwall("diff", "-f", directory, status=1).stderr
    assert "is not a directory" in shieldwall("diff", "-f", str(tmp_path / "none"), status=1).stderr
