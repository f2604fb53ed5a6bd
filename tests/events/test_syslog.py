from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.rfc5424 import NotSyslogError, parse, split_counted
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.contract import strict_json
from shieldwall.server.events.payloads import MOST_BYTES as MOST_BODY_BYTES
from shieldwall.server.events.payloads import body_of, payload
from shieldwall.server.events.streams.syslog import (
    MOST_DATAGRAM_BYTES,
    SD_ID,
    octet_counted,
    shown,
    syslog_message,
)
from shieldwall.server.storage.engine.outbox import Event, told

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
"""What an event can hold: strict JSON and PostgreSQL have no NUL."""
TEXT = st.text(CHARACTERS, max_size=256)
HOSTILE = st.one_of(
    TEXT,
    st.text(st.sampled_from('"\\]\n\r [=<>\x1b\u2028é😀'), max_size=256),
    st.sampled_from(['"] <13>1 - - - - - - forged', "\\", '\\"]', "]", "\n<0>1 - h a - - - x", "12 <13>1 - - - - - -"]),
)


def an_event(*, actor: str = "person:Ada", object_id: str = "x", kind: str = "policy.created", **details: Any) -> Event:
    return Event(
        id=counted_id("7", 1),
        tenant_id=TENANT_ID,
        at=NOON,
        kind=kind,
        details=told(actor=actor, kind="policy", object_id=object_id, details=details),
        sequence=1,
    )


@given(actor=HOSTILE, object_id=HOSTILE, name=HOSTILE)
def test_a_conforming_reader_reads_back_what_was_written_for_any_text(actor: str, object_id: str, name: str) -> None:
    event = an_event(actor=actor, object_id=object_id, name=name)
    message = parse(syslog_message(event, "sdm.contoso.example"))

    assert message.text is not None
    assert json.loads(message.text) == payload(event), "the whole event, exactly"
    values = message.data[SD_ID]
    assert values.get("actor", "") == shown(actor)
    assert values.get("objectId", "") == shown(object_id)
    assert (values["tenant"], values["id"], values["objectKind"]) == (TENANT_ID, event.id, "policy")
    assert (message.facility, message.msgid, message.hostname) == (13, "policy.created", "sdm.contoso.example")
    assert message.timestamp == NOON
    assert not any(octet < 0x20 for octet in syslog_message(event, "h")), "nothing ends a line"


@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_messages_in_a_stream_come_apart_again(names: list[str]) -> None:
    messages = [syslog_message(an_event(actor=name, name=name), "h") for name in names]
    assert split_counted(b"".join(map(octet_counted, messages))) == messages


@given(actor=HOSTILE, object_id=HOSTILE, name=st.text(CHARACTERS, max_size=3_000))
def test_what_is_too_long_for_a_datagram_is_left_out_and_what_is_left_still_reads(
    actor: str, object_id: str, name: str
) -> None:
    written = syslog_message(an_event(actor=actor, object_id=object_id[:128], name=name), "h", MOST_DATAGRAM_BYTES)
    assert len(written) <= MOST_DATAGRAM_BYTES
    message = parse(written)
    assert message.data[SD_ID]["id"] == counted_id("7", 1)
    assert message.text is None or json.loads(message.text)["type"] == "policy.created"


@given(HOSTILE, HOSTILE)
def test_header_fields_are_visible_ascii_whatever_they_are_made_of(kind: str, host: str) -> None:
    message = parse(syslog_message(an_event(kind=kind), host))
    assert message.msgid
    assert message.hostname


@pytest.mark.parametrize(
    ("kind", "details", "severity"),
    [
        ("policy.created", {}, 5),
        ("policy.deleted", {}, 4),
        ("device.quarantined", {}, 4),
        ("webhook.switchedOff", {}, 4),
        ("events.missed", {}, 3),
        ("alert.raised", {"severity": "high"}, 2),
        ("alert.raised", {"severity": "medium"}, 4),
        ("alert.raised", {"severity": "low"}, 5),
        ("alert.raised", {}, 4),
    ],
)
def test_severity_follows_the_event(kind: str, details: dict[str, str], severity: int) -> None:
    assert parse(syslog_message(an_event(kind=kind, **details), "h")).severity == severity


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<192>1 - h a - m -",
        b"<110>2 - h a - m -",
        b"<110>1 - h a - m",
        b'<110>1 - h a - m [x a="]"]',
        b'<110>1 - h a - m [x a="b]',
        b"<110>1 2026-11-23 h a - m -",
    ],
)
def test_the_reader_itself_is_strict(octets: bytes) -> None:
    with pytest.raises(NotSyslogError):
        parse(octets)


@given(HOSTILE)
def test_a_body_for_a_webhook_is_the_event(name: str) -> None:
    event = an_event(actor=name, name=name)
    assert json.loads(body_of(event)) == payload(event)


def test_a_body_has_an_end() -> None:
    body = body_of(an_event(name="x" * MOST_BODY_BYTES))
    assert len(body) < MOST_BODY_BYTES
    data = strict_json.decode_any(body)["data"]
    assert (data["details"], data["detailsOmitted"], data["actor"]) == (None, True, "person:Ada")
