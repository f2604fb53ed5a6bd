from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON, a_device

from shieldwall.contract.status import SettingState
from shieldwall.policy.enrollment import Enrollment, Reason
from shieldwall.policy.resolve import Rule
from shieldwall.server.directory.names import visible
from shieldwall.server.portal.language import ENGLISH
from shieldwall.server.portal.words import (
    CONFLICTS,
    RULES,
    STATES,
    ago,
    enrollment,
    managed_by,
    plain,
    product_state,
    registration,
    who,
    yes_no,
)
from shieldwall.server.storage.device_records import DeviceState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def said(at: datetime, now: datetime) -> str:
    one, many, count = ago(at, now)
    return ENGLISH.counted(one, many, count) % {"num": count}


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=4), "just now"),
        (timedelta(seconds=5), "5 seconds ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_time_that_passed_is_told_in_its_largest_whole_unit(passed: timedelta, words: str) -> None:
    assert said(NOON - passed, NOON) == words


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_any_moment_can_be_told_even_one_from_a_clock_that_is_ahead(at: datetime, now: datetime) -> None:
    assert said(at, now).endswith("ago" if now - at >= timedelta(seconds=5) else "just now")


@given(st.text())
def test_nothing_that_steers_a_display_survives(text: str) -> None:
    shown = visible(text)

    assert not any(unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"} for each in shown)
    assert not any(unicodedata.category(each) == "Cf" for each in shown if each not in "\u200c\u200d")


@given(st.text())
def test_showing_once_is_enough(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_plain_characters_of_every_script_stay(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web\u202e10-", "web⟨U+202E⟩10-"),
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("one\ntwo", "one⟨U+000A⟩two"),
        ("family 👨\u200d👩", "family 👨\u200d👩"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_characters_that_steer_are_shown_by_their_number(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(JSON)
def test_any_json_can_be_written(value: object) -> None:
    assert isinstance(plain(value), str)


def test_not_known_is_neither_yes_nor_no() -> None:
    assert [yes_no(value) for value in (True, False, None)] == ["yes", "no", ""]


def test_every_state_and_rule_has_words() -> None:
    assert set(STATES) == set(SettingState)
    assert set(RULES) | set(CONFLICTS) == set(Rule)


def test_a_state_of_a_product_reads_as_words_and_a_version_as_it_is() -> None:
    assert product_state("programMissing") == "program not installed"
    assert product_state("101.24082.0004") == "101.24082.0004"


def test_a_managed_device_is_managed_by_mde() -> None:
    device = a_device()

    assert managed_by(device) == "MDE"
    assert enrollment(device, Enrollment(Reason.MANAGED), checked_in=True) == "1: Enrolled"
    assert enrollment(device, Enrollment(Reason.MANAGED), checked_in=False) == (
        "1: Enrolled; the device has not checked in yet"
    )
    assert registration(device) == "Synthetic registration"


def test_a_device_with_another_manager_is_not_enrolled() -> None:
    device = a_device(managed_elsewhere="Intune", enrollment_code=3)

    assert managed_by(device) == "Intune"
    assert enrollment(device, Enrollment(Reason.MDM), checked_in=True).startswith("3: Managed by Intune. An MDM")


def test_a_device_that_nobody_manages_says_so() -> None:
    device = a_device(enrollment_code=2)

    assert managed_by(device) == "Nobody"
    assert enrollment(device, Enrollment(Reason.TAG_MISSING), checked_in=True).startswith("2: Never enrolled. ")


@pytest.mark.parametrize("state", [DeviceState.DISABLED, DeviceState.RETIRED])
def test_nobody_manages_a_device_that_left(state: DeviceState) -> None:
    device = a_device(state=state, managed_elsewhere="Intune")

    assert managed_by(device).startswith("Nobody")
    assert enrollment(device, Enrollment(Reason.MDM), checked_in=True) == "Not enrolled any more"


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("person:ada@contoso.example", "ada@contoso.example"),
        ("app:Ticket system", "Ticket system"),
        ("console", "console"),
        ("person:", "person:"),
        ("device:x", "device:x"),
    ],
)
def test_whoever_acted_is_called_by_name(actor: str, said: str) -> None:
    assert who(actor) == said
