"""Exported policies are found in whatever encoding and wrapping they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.graph_bodies import SAMPLES, a_policy, retention, sample

from shieldwall.cli.exports import InvalidExportError, is_fragments, policies_in
from shieldwall.cli.fragments import merged

REAL: Final = Path(__file__).parents[3] / "shared" / "design" / "catalog" / "real-policies"
"""Exports of others. They stand beside the project where they stand at all: their licences keep them out of it."""

_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_LEAVES: Final = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT
_ANYTHING: Final = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=6
)

_ENCODINGS: Final[dict[str, Callable[[str], bytes]]] = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16 LE": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
}
_WRAPPINGS: Final[dict[str, Callable[[Any], Any]]] = {
    "a text": json.dumps,
    "a list": lambda inner: [inner],
    "a collection": lambda inner: {"@odata.context": "https://x/$metadata", "value": [inner]},
    "a template": lambda inner: {"Displayname": "[Base] {x}", "Description": "", "RAWJson": json.dumps(inner)},
    "a table row": lambda inner: {"PartitionKey": "T", "RowKey": "1", "JSON": json.dumps(inner), "Package": "[]"},
}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what only just is an exported policy."""
    name = draw(_TEXT.filter(lambda text: text.strip() != ""))
    members = draw(st.dictionaries(_TEXT, _ANYTHING, max_size=4))
    return members | {"name": name, "settings": draw(st.lists(_ANYTHING, max_size=3))}


@given(policies(), st.sampled_from(sorted(_ENCODINGS)), st.lists(st.sampled_from(sorted(_WRAPPINGS)), max_size=4))
def test_a_policy_survives_every_encoding_and_wrapping(
    policy: dict[str, Any], encoding: str, wrappings: list[str]
) -> None:
    wrapped = reduce(lambda inner, wrapping: _WRAPPINGS[wrapping](inner), wrappings, policy)
    content = _ENCODINGS[encoding](json.dumps(wrapped, ensure_ascii=False))

    (found,) = policies_in(content)

    assert found.document == policy
    assert found.name == policy["name"]


@given(st.lists(policies(), min_size=1, max_size=4), st.sampled_from(["a list", "a collection"]))
def test_every_policy_of_a_list_is_found_in_its_order(listed: list[dict[str, Any]], wrapping: str) -> None:
    wrapped = listed if wrapping == "a list" else {"value": listed}

    found = policies_in(json.dumps(wrapped).encode())

    assert [each.document for each in found] == listed
    assert len({each.place for each in found}) == len(listed)


@given(_ANYTHING)
def test_whatever_is_no_policy_is_refused_in_plain_words(value: Any) -> None:
    with pytest.raises(InvalidExportError) as refused:
        policies_in(json.dumps(value).encode())

    assert refused.value.cause.endswith(".")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\xff\xfe\x00", "marked as UTF-16"),
        ("{}".encode("utf-16-le"), "without a byte order mark"),
        (b"\xff", "not UTF-8"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b"[]", "not an exported policy"),
        (b'"words"', "not an exported policy"),
        (b'"{"', "text in it is not JSON"),
        (b'{"name":"x"}', "it has no settings"),
        (b'{"settings":[]}', "it has no name"),
        (b'{"value":[{"name":"x","settings":[]},{"name":"y"}]}', "value[1]: this is not an exported policy"),
        (b'{"RowKey":"1","JSON":"{\\"RAWJson\\":\\"{\\"}"}', "JSON.RAWJson: the text in it is not JSON"),
        (
            b'{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","displayName":"x"}',
            "not a policy of the settings catalog but '#microsoft.graph.windows10CustomConfiguration'",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(content: bytes, cause: str) -> None:
    with pytest.raises(InvalidExportError) as refused:
        policies_in(content)

    assert cause in refused.value.cause


def test_a_wrapper_around_too_many_wrappers_is_refused() -> None:
    wrapped: Any = a_policy()
    for _ in range(10):
        wrapped = json.dumps(wrapped)

    with pytest.raises(InvalidExportError, match="wrapped more than 8 times"):
        policies_in(wrapped.encode())


def item(name: str) -> dict[str, Any]:
    """An item of the sample's group setting, as tools keep it apart."""
    definition = "linux_mdatp_managed_antivirusengine_exclusions_item_name"
    return {"children": [{"settingDefinitionId": definition, "simpleSettingValue": {"value": name}}]}


def test_fragments_alone_are_named_as_what_they_are() -> None:
    fragments = {"Process": item("cat"), "Level": retention(3)}

    with pytest.raises(InvalidExportError, match=r"2 fragments of one \(Process, Level\)\. .* --fragments FILE"):
        policies_in(json.dumps(fragments).encode())


def test_an_item_goes_into_the_group_it_belongs_to_and_the_base_stays_as_it_is() -> None:
    base = sample("linux-exclusions")
    before = json.dumps(base)

    whole = merged(base, {"Process": item("cat"), "Other": item("dog")})

    (group,) = [each for each in whole["settings"] if "groupSettingCollectionValue" in each["settingInstance"]]
    assert group["settingInstance"]["groupSettingCollectionValue"][-2:] == [item("cat"), item("dog")]
    assert json.dumps(base) == before


def collection(*values: str) -> dict[str, Any]:
    """A setting with a list of values."""
    items = [{"value": value} for value in values]
    return {"settingInstance": {"settingDefinitionId": "paths", "simpleSettingCollectionValue": items}}


def test_a_whole_setting_is_added_or_its_values_join_those_there_are() -> None:
    whole = merged(a_policy(settings=[]), {"A": collection("/a"), "B": collection("/b", "/a"), "C": retention(3)})

    assert whole["settings"] == [collection("/a", "/b"), retention(3)]


@pytest.mark.parametrize(
    ("fragments", "cause"),
    [
        ({"Days": retention(4)}, "'Days' sets linux_mdatp_managed_antivirusengine_scanresultsretentiondays, which"),
        ({"Process": item("cat")}, "the policy has 0 group settings for it"),
        ({"Process": {}}, "no fragments"),
        ([], "no fragments"),
    ],
)
def test_a_fragment_without_a_place_is_refused(fragments: object, cause: str) -> None:
    with pytest.raises(InvalidExportError) as refused:
        merged(a_policy(settings=[retention(3)]), fragments)

    assert cause in refused.value.cause


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_the_samples_are_exports(file: Path) -> None:
    (found,) = policies_in(file.read_bytes())

    assert found.place == ""


@pytest.mark.skipif(not REAL.is_dir(), reason="no exports of others beside the project")
def test_the_exports_of_others_are_found_or_named_as_fragments() -> None:
    files = sorted(REAL.glob("*.json"))
    alone = [file for file in files if not file.stem.endswith("-exclusions")]

    assert files
    for file in alone:
        (found,) = policies_in(file.read_bytes())
        assert found.name
    for file in set(files) - set(alone):
        base = file.with_name(file.name.replace("-exclusions.json", "-base.json"))
        fragments = json.loads(file.read_text("utf-8-sig"))
        assert is_fragments(fragments)
        (policy,) = policies_in(base.read_bytes())
        assert len(json.dumps(merged(policy.document, fragments))) > len(json.dumps(policy.document))
        with pytest.raises(InvalidExportError, match="4 fragments of one"):
            policies_in(file.read_bytes())
