"""``configurationPolicies/import``, and exports of other people that lie beside the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.admin import Client
from tests.support.graph_bodies import POLICIES, SAMPLES, a_policy, chosen, sample, secrets_in, without_secrets
from tests.support.samples import counted_id

from shieldwall.cli.exports import document_in, policies_in
from shieldwall.cli.fragments import merged

IMPORT: Final = f"{POLICIES}/import"
CHECK: Final = f"{IMPORT}/check"
REAL: Final = Path(__file__).parents[3] / "shared" / "design" / "catalog" / "real-policies"
FRAGMENTS: Final = "-exclusions.json"
FILES: Final = sorted(file for file in REAL.glob("*.json") if not file.name.endswith(FRAGMENTS))
UNSUPPORTED: Final = "unsupportedSetting"
EXPECTED: Final[dict[str, list[tuple[str, str]]]] = {
    "mac-nontemplate--oib-mde-NEGATIVE-no-template.json": [("templateReference", "noTemplate")],
    "win-devicecontrol--baseline-NEGATIVE-unsupported-channel.json": [
        ("templateReference.templateId", "unsupportedTemplate")
    ],
    "win-edr--sjkanon-edr-configuration.json": [
        ("settings[0].children[0].value", "unknownSecret"),
        ("settings[2].definition", UNSUPPORTED),
        ("settings[0]", "missingSetting"),
    ],
    "win-firewall--oib-firewall-configuration.json": [("settings[5].children[1].definition", UNSUPPORTED)],
}
"""What is left out of which file; every other file is taken whole."""


@pytest.mark.parametrize("name", [file.stem for file in SAMPLES])
def test_an_export_comes_in_and_goes_out_as_it_was(graph: Client, name: str) -> None:
    exported = sample(name)

    answer = graph.post(IMPORT, json=exported)

    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["leftOut"] == []
    assert without_secrets(found["policy"]["settings"]) == without_secrets(exported["settings"])
    again = graph.post(IMPORT, json=found["policy"]).json()
    assert again["leftOut"] == []
    assert again["policy"]["id"] != found["policy"]["id"]
    assert again["policy"]["settings"] == found["policy"]["settings"]


def test_a_check_says_the_same_and_makes_nothing(graph: Client) -> None:
    exported = a_policy(description="For servers", surprise=1)
    exported["settings"].append(chosen("nothing_of_this_catalog", "x"))

    checked = graph.post(CHECK, json=exported).json()
    assert graph.get(POLICIES).json()["value"] == []
    made = graph.post(IMPORT, json=exported).json()

    assert checked["leftOut"] == made["leftOut"]
    assert [(each["path"], each["code"]) for each in made["leftOut"]] == [
        ("surprise", "unknownMember"),
        ("settings[1].definition", "unknownSetting"),
    ]
    assert {name: made["policy"][name] for name in checked["policy"]} == checked["policy"]
    assert graph.get(f"{POLICIES}/{made['policy']['id']}").json()["settingCount"] == 1


def test_neither_a_check_nor_an_import_tells_a_secret(graph: Client) -> None:
    exported = sample("windows-edr")
    for secret in secrets_in(exported):
        secret |= {"value": "open sesame", "valueState": "notEncrypted"}

    checked, made = graph.post(CHECK, json=exported), graph.post(IMPORT, json=exported)

    assert checked.json()["policy"]["settingCount"] == made.json()["policy"]["settingCount"] == 2
    assert "sesame" not in checked.text + made.text
    assert graph.post(POLICIES, json=checked.json()["policy"]).status_code == 400


def test_where_no_policy_is_possible_none_is_made(graph: Client) -> None:
    found = graph.post(IMPORT, json=a_policy(templateReference={"templateId": ""})).json()

    assert found["policy"] is None
    assert [each["code"] for each in found["leftOut"]] == ["noTemplate"]
    assert graph.get(POLICIES).json()["value"] == []


@pytest.mark.parametrize("body", [b"[]", b"7", b"{", b"\xef\xbb\xbf{}"])
def test_what_is_no_document_is_refused(embedded_graph: Client, body: bytes) -> None:
    for path in (IMPORT, CHECK):
        answer = embedded_graph.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400


@pytest.mark.parametrize("body", [{}, {"settings": 7}, {"name": ["x"], "templateReference": [], "assignments": 7}])
def test_what_is_no_policy_becomes_none(embedded_graph: Client, body: dict[str, Any]) -> None:
    found = embedded_graph.post(IMPORT, json=body).json()

    assert found["policy"] is None
    assert found["leftOut"]


def test_a_secret_known_elsewhere_is_left_out(embedded_graph: Client) -> None:
    exported = sample("windows-edr")
    text = "encryptedValueToken"
    for value in secrets_in(exported["settings"]):
        value |= {"value": counted_id("c", 1), "valueState": text}

    found = embedded_graph.post(CHECK, json=exported).json()

    assert "unknownSecret" in {each["code"] for each in found["leftOut"]}
    assert text not in str(found["policy"])


@pytest.mark.skipif(not FILES, reason="the exports of other people are not beside the project")
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_what_others_exported_is_taken_whole_or_said_to_be_left_out(embedded_graph: Client, file: Path) -> None:
    (exported,) = policies_in(file.read_bytes())
    documents = [exported.document]
    fragments = file.with_name(file.name.replace("-base.json", FRAGMENTS))
    if fragments != file:
        documents.append(merged(exported.document, document_in(fragments.read_bytes())))
    for document in documents:
        answer = embedded_graph.post(IMPORT, json=document)

        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert [(each["path"], each["code"]) for each in found["leftOut"]] == EXPECTED.get(file.name, [])
        if file.name not in EXPECTED:
            assert found["policy"]["settingCount"] == len(document["settings"])
            assert embedded_graph.post(IMPORT, json=found["policy"]).json()["leftOut"] == []
