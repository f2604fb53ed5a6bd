"""The preferences of Defender as a document: differences become calls, one property each."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.host import preferences as pref
from shieldwall.agent.host.cim import CimError, LanguageModeError
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.defender import PretendDefender
from shieldwall.testing.windows.registry import PretendRegistry

NAMES = ("DisableHttpParsing", "EngineUpdatesChannel", "ExclusionPath")
DOCUMENT = PurePosixPath("MSFT_MpPreference")
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=3)
VALUES = st.booleans() | st.integers(0, 9) | st.lists(TEXTS, unique=True).map(tuple)


class Machine:
    def __init__(self) -> None:
        self.defender = PretendDefender(PretendRegistry())
        self.cim = PretendCim([self.defender])
        self.store = pref.PreferenceStore(self.cim, NAMES)


def test_a_document_holds_what_is_set_as_a_preference_and_nothing_else() -> None:
    content = Machine().store.read(DOCUMENT)

    assert content == b'{\n"DisableHttpParsing": false,\n"EngineUpdatesChannel": 0,\n"ExclusionPath": []\n}\n'


def test_differences_become_calls_and_equal_values_none() -> None:
    machine = Machine()
    machine.defender.local["ExclusionPath"] = (r"C:\kept", r"C:\gone")

    wanted: pref.Preferences = {
        "DisableHttpParsing": True,
        "EngineUpdatesChannel": 0,
        "ExclusionPath": (r"C:\kept", r"C:\new"),
    }
    machine.store.write(DOCUMENT, pref.encode(wanted))

    assert [(method, arguments) for _, method, arguments in machine.cim.calls] == [
        ("Set", {"DisableHttpParsing": True}),
        ("Remove", {"ExclusionPath": [r"C:\gone"]}),
        ("Add", {"ExclusionPath": [r"C:\new"]}),
    ]
    assert machine.store.read(DOCUMENT) == pref.encode(wanted)


def test_what_left_the_document_goes_back_to_its_default() -> None:
    machine = Machine()
    machine.store.write(DOCUMENT, pref.encode({"DisableHttpParsing": True, "EngineUpdatesChannel": 4}))

    machine.store.write(DOCUMENT, None)

    assert machine.defender.preferences() == Machine().defender.preferences()


def test_one_refused_property_is_noted_until_it_is_taken() -> None:
    machine = Machine()
    machine.defender.invalid = {"DisableHttpParsing"}
    wanted = pref.encode({"DisableHttpParsing": True, "EngineUpdatesChannel": 4, "ExclusionPath": ()})

    machine.store.write(DOCUMENT, wanted)

    assert machine.store.refusals["DisableHttpParsing"].status == pref.INVALID_ARGUMENT
    assert machine.defender.local == {"EngineUpdatesChannel": 4}
    machine.defender.invalid = set()
    machine.store.write(DOCUMENT, wanted)
    assert machine.store.refusals == {}


def test_of_a_service_that_is_gone_nothing_is_known_and_nothing_set() -> None:
    machine = Machine()
    machine.defender.stopped = True

    assert machine.store.read(DOCUMENT) == pref.UNKNOWN
    assert pref.effective(machine.store.read(PurePosixPath("effective"))) == ({}, {})
    with pytest.raises(pref.EngineNotAnsweringError, match="0x800106ba"):
        machine.store.write(DOCUMENT, pref.encode({"DisableHttpParsing": True}))


def test_where_there_is_no_defender_there_is_no_document() -> None:
    store = pref.PreferenceStore(PretendCim(), NAMES)

    assert store.read(DOCUMENT) is None
    store.write(DOCUMENT, None)
    with pytest.raises(pref.EngineNotAnsweringError):
        store.write(DOCUMENT, pref.encode({"DisableHttpParsing": True}))


@pytest.mark.parametrize("failure", [LanguageModeError("constrained"), CimError("denied", status=0x80041003)])
def test_other_failures_are_what_they_are(failure: CimError) -> None:
    machine = Machine()
    machine.cim.failure = failure

    with pytest.raises(type(failure)) as caught:
        machine.store.read(DOCUMENT)
    assert caught.value is failure


def test_what_defender_says_is_read_alone() -> None:
    machine = Machine()
    machine.defender.tamper_protected = True
    content = machine.store.read(PurePosixPath("effective"))

    preferences, status = pref.effective(content)

    assert preferences["DisableRealtimeMonitoring"] is False
    assert status["IsTamperProtected"] is True
    with pytest.raises(pref.PreferenceDocumentError):
        machine.store.write(PurePosixPath("effective"), content)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": null}', b'{"a": 1.5}', b'{"a": {"b": 1}}', b'{"a": [1]}'])
def test_what_are_no_preferences_is_refused(content: bytes) -> None:
    with pytest.raises(pref.PreferenceDocumentError):
        pref.decode(content)


def test_a_property_that_is_not_ours_is_never_set() -> None:
    machine = Machine()

    with pytest.raises(pref.PreferenceDocumentError, match="DisableRealtimeMonitoring"):
        machine.store.write(DOCUMENT, pref.encode({"DisableRealtimeMonitoring": True}))
    assert machine.cim.calls == []


@given(document=st.dictionaries(TEXTS, VALUES))
def test_a_document_is_read_as_it_was_written(document: dict[str, pref.Preference]) -> None:
    assert pref.decode(pref.encode(document)) == document


@given(before=st.dictionaries(st.sampled_from("ab"), VALUES), after=st.dictionaries(st.sampled_from("ab"), VALUES))
def test_calls_lead_from_one_state_to_the_other(
    before: dict[str, pref.Preference], after: dict[str, pref.Preference]
) -> None:
    state = dict(before)
    for method, name, value in pref.operations(before, after):
        present = state.get(name)
        had = present if isinstance(present, tuple) else ()
        if method == "Set":
            state[name] = value
        elif not isinstance(value, tuple):
            state.pop(name)
        elif method == "Add":
            state[name] = (*had, *value)
        else:
            state[name] = tuple(item for item in had if item not in value)

    for name in before.keys() | after.keys():
        wanted, found = after.get(name), state.get(name)
        if isinstance(wanted, tuple) or isinstance(found, tuple):
            assert set(as_items(found)) == set(as_items(wanted))
        else:
            assert (type(found), found) == (type(wanted), wanted)


def as_items(value: pref.Preference | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
