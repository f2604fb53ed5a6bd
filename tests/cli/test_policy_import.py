"""Exports go in and come out again, and whatever has no place here is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.command_line import CommandLine, written
from tests.support.graph_bodies import SAMPLES, a_policy, retention, sample

REAL: Final = Path(__file__).parents[3] / "shared" / "design" / "catalog" / "real-policies"
"""Exports of others. They stand beside the project where they stand at all: their licences keep them out of it."""


def test_exports_can_be_imported_again_with_the_same_settings(shieldwall: CommandLine, tmp_path: Path) -> None:
    first = shieldwall.json("policy", "import", *map(str, SAMPLES), "--json")
    exported = [tmp_path / f"{number}.json" for number in range(len(first))]
    for policy, out in zip(first, exported, strict=True):
        shieldwall("policy", "export", policy["id"], "--out", str(out))
    second = shieldwall.json("policy", "import", *map(str, exported), "--json")

    for sample_file, one, other in zip(SAMPLES, first, second, strict=True):
        text = sample_file.read_text()
        assert one["leftOut"] == other["leftOut"] == []
        assert one["settings"] == other["settings"]
        assert one["settings"] == json.loads(text)["settings"] or "SecretSettingValue" in text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_an_export_of_another_tool_is_read_in_its_encoding(
    shieldwall: CommandLine, tmp_path: Path, encoding: str
) -> None:
    file = written(tmp_path / "policy.json", a_policy(f"Größe in {encoding}"), encoding)

    (made,) = shieldwall.json("policy", "import", file, "--json")

    assert made["name"] == f"Größe in {encoding}"


def test_policies_within_wrappers_are_all_made(shieldwall: CommandLine, tmp_path: Path) -> None:
    inner = {"Displayname": "[x]", "RAWJson": json.dumps(a_policy("Wrapped"))}
    row = {"RowKey": "1", "JSON": json.dumps(inner)}
    file = written(tmp_path / "rows.json", {"value": [row, a_policy("Beside it")]})

    made = shieldwall.json("policy", "import", file, "--json")

    assert [(each["name"], each["file"]) for each in made] == [
        ("Wrapped", f"{file}:value[0].JSON.RAWJson"),
        ("Beside it", f"{file}:value[1]"),
    ]


def test_one_bad_file_keeps_all_from_being_made_and_every_finding_has_its_line(
    shieldwall: CommandLine, tmp_path: Path
) -> None:
    good = written(tmp_path / "good.json", a_policy("Never made"))
    bad = written(tmp_path / "bad.json", a_policy(settings=[retention(-1)]))
    worse = written(tmp_path / "worse.json", a_policy(templateReference={"templateId": ""}))

    refused = shieldwall("policy", "import", good, bad, worse, status=1)

    lines = refused.stderr.splitlines()
    assert lines[0] == "Could not import the policies."
    assert lines[1] == "Why: 2 of 3 exports yield no policy here. [invalidExport]"
    assert [line.split()[0] for line in lines[2:-1]] == [f"{bad}:", f"{worse}:"]
    assert "settings[0]" in lines[2]
    assert "[outOfRange]" in lines[2]
    assert "[noTemplate]" in lines[3]
    assert lines[-1] == "What to do: Correct or leave out those named, or say --partial; nothing was made."
    assert "Never made" not in shieldwall("policy", "list").stdout

    made = shieldwall("policy", "import", good, bad, worse, "--partial", status=3)
    assert "Never made" in made.stdout
    assert [line.partition(": ")[0] for line in made.stderr.splitlines()] == ["Left out"] * 2
    assert shieldwall("policy", "import", bad, worse, "--partial", status=1).stdout == ""


def test_parts_without_a_place_are_left_out_and_named(shieldwall: CommandLine, tmp_path: Path) -> None:
    settings = [retention(-1), *a_policy()["settings"]]
    document = a_policy("Half", settings=settings, novelty=1)
    file = written(tmp_path / "half.json", document)

    tried = shieldwall("policy", "import", file, "--dry-run", status=3)
    assert "would be made" in tried.stdout
    assert "Half" not in shieldwall("policy", "list").stdout
    assert "[outOfRange]" in shieldwall("policy", "import", file, "--whole", status=1).stderr
    assert "Half" not in shieldwall("policy", "list").stdout

    done = shieldwall("policy", "import", file, "--json", status=3)

    (made,) = json.loads(done.stdout)
    assert made["settingCount"] == 1
    assert {part["code"] for part in made["leftOut"]} == {"outOfRange", "unknownMember"}
    assert all(line.startswith(f"Left out: {file}: ") for line in done.stderr.splitlines())
    assert any("novelty" in line and "[unknownMember]" in line for line in done.stderr.splitlines())


def test_assignments_of_another_place_are_said_to_be_left_and_cost_nothing(
    shieldwall: CommandLine, tmp_path: Path
) -> None:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "of another place"}
    file = written(tmp_path / "assigned.json", a_policy("Assigned", assignments=[{"target": target}]))

    done = shieldwall("policy", "import", file, "--whole")

    assert "[assignmentsNotImported]" in done.stderr


def test_fragments_join_the_policy_they_belong_to(shieldwall: CommandLine, tmp_path: Path) -> None:
    base = sample("linux-exclusions")
    group = base["settings"][0]["settingInstance"]
    items = group["groupSettingCollectionValue"]
    group["groupSettingCollectionValue"] = []
    policy = written(tmp_path / "base.json", base)
    fragments = written(tmp_path / "fragments.json", {str(number): item for number, item in enumerate(items)})

    alone = shieldwall("policy", "import", fragments, status=1)
    assert f"{len(items)} fragments of one" in alone.stderr
    (made,) = shieldwall.json("policy", "import", policy, "--fragments", fragments, "--json")

    (setting,) = made["settings"]
    assert setting["settingInstance"]["groupSettingCollectionValue"] == items
    both = shieldwall("policy", "import", policy, policy, "--fragments", fragments, status=1)
    assert "belong to one policy; 2 were given" in both.stderr


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name":"x"}', b"\xff\xfe\x00", b'{"a":1,"a":2}', b"\xff"])
def test_a_file_that_is_no_export_is_refused_by_name(shieldwall: CommandLine, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(content)

    refused = shieldwall("policy", "import", str(file), status=1)

    assert "odd.json" in refused.stderr
    assert "[invalidExport]" in refused.stderr


NEGATIVE: Final = {
    "mac-nontemplate--oib-mde-NEGATIVE-no-template": "noTemplate",
    "win-devicecontrol--baseline-NEGATIVE-unsupported-channel": "unsupportedTemplate",
}
IN_PART: Final = {
    "win-edr--sjkanon-edr-configuration": {"unknownSecret", "unsupportedSetting", "missingSetting"},
    "win-firewall--oib-firewall-configuration": {"unsupportedSetting"},
}


@pytest.mark.skipif(not REAL.is_dir(), reason="no exports of others beside the project")
def test_all_exports_of_others_go_in_or_say_precisely_why_a_part_cannot(shieldwall: CommandLine) -> None:
    files = [file for file in sorted(REAL.glob("*.json")) if not file.stem.endswith("-exclusions")]
    done = shieldwall("policy", "import", *map(str, files), "--partial", "--json", status=3)

    by_name: dict[str, Any] = {Path(each["file"].partition(":")[0]).stem: each for each in json.loads(done.stdout)}
    codes = {name: {part["code"] for part in each["leftOut"]} for name, each in by_name.items()}
    assert {name for name, each in by_name.items() if each["id"] is None} == set(NEGATIVE)
    assert {name: found - {"assignmentsNotImported"} for name, found in codes.items()} == {
        **{file.stem: set() for file in files},
        **{name: {code} for name, code in NEGATIVE.items()},
        **IN_PART,
    }


@pytest.mark.skipif(not REAL.is_dir(), reason="no exports of others beside the project")
@pytest.mark.parametrize("platform", ["linux", "mac", "win"])
def test_fragments_of_others_go_in_with_their_base(shieldwall: CommandLine, platform: str) -> None:
    base, fragments = (str(REAL / f"{platform}-avexclusions--dmcwee-{part}.json") for part in ("base", "exclusions"))

    (made,) = shieldwall.json("policy", "import", base, "--fragments", fragments, "--json")

    written_in_it = json.dumps(made["settings"])
    for fragment in json.loads(Path(fragments).read_text("utf-8-sig")).values():
        for value in _texts(fragment):
            assert json.dumps(value) in written_in_it


def _texts(value: Any) -> list[str]:
    """The values that somebody typed."""
    match value:
        case {"value": str(text)} if "children" not in value:
            return [text]
        case dict():
            return [text for member in value.values() for text in _texts(member)]
        case list():
            return [text for item in value for text in _texts(item)]
        case _:
            return []
