"""An event as a syslog message by RFC 5424: pure, and safe for whatever stands in names.

Facility 13 is the audit log. MSGID is the kind of event. The structured data holds what one filters by, the message the
whole event as JSON in ASCII, so that no text can end a message or begin another one; control characters in the
structured data are shown as U+FFFD for the same reason. The enterprise number in the SD-ID is the one that RFC 5612
reserves for examples, because we have none of our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from shieldwall.server.events.kinds import MISSED
from shieldwall.server.events.payloads import payload
from shieldwall.server.storage.engine.outbox import Event

FACILITY: Final = 13
SD_ID: Final = "shieldwall@32473"
APP_NAME: Final = "shieldwall"
MOST_BYTES: Final = 64 * 1024
MOST_DATAGRAM_BYTES: Final = 2_048
"""What every receiver of RFC 5426 should take in one datagram."""
_LONGEST_MSGID: Final = 32
_LONGEST_HOST: Final = 255
_LONGEST_SHORTENED: Final = 64
_ERROR, _WARNING, _NOTICE = 3, 4, 5
_OF_ALERTS: Final[Mapping[str, int]] = {"high": 2, "medium": _WARNING, "low": _NOTICE}
_WORTH_A_LOOK: Final = (".deleted", ".quarantined", ".switchedOff", ".revoked", ".distrusted", "Failed", "Refused")


def syslog_message(event: Event, host: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Write an event as one message, without any framing, within ``most_bytes``.

    What does not fit is left out from the end: first the details of the event, then its JSON, then long values.
    """
    told = payload(event)
    data = told["data"]
    head = f"<{FACILITY * 8 + severity(event.kind, data)}>1 {_moment(event)} {_name(host, _LONGEST_HOST)} {APP_NAME} - "
    head += f"{_name(event.kind, _LONGEST_MSGID)} "
    without = told | {"data": data | {"details": None, "detailsOmitted": True}}
    for message in (told, without, None):
        text = "" if message is None else " " + json.dumps(message, ensure_ascii=True, separators=(",", ":"))
        written = (head + _structured(event, data, None) + text).encode()
        if len(written) <= most_bytes:
            return written
    return (head + _structured(event, data, _LONGEST_SHORTENED)).encode()


def severity(kind: str, data: Mapping[str, Any]) -> int:
    """Return the severity of RFC 5424 for an event: notice, unless it asks for more."""
    if kind == MISSED:
        return _ERROR
    if kind == "alert.raised":
        details = data.get("details")
        return _OF_ALERTS.get(details.get("severity", "") if isinstance(details, dict) else "", _WARNING)
    return _WARNING if kind.endswith(_WORTH_A_LOOK) else _NOTICE


def octet_counted(message: bytes) -> bytes:
    """Frame a message for TCP and TLS by its length (RFC 6587 section 3.4.1, RFC 5425 section 4.3)."""
    return b"%d %s" % (len(message), message)


def shown(value: str) -> str:
    """Replace control characters, which have no business in what one filters by."""
    return "".join(
        "\ufffd" if ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 or each in "\u2028\u2029" else each for each in value
    )


def _structured(event: Event, data: Mapping[str, Any], longest: int | None) -> str:
    about = data.get("object") or {}
    values = {
        "id": event.id,
        "tenant": event.tenant_id,
        "actor": data.get("actor"),
        "ip": data.get("ipAddress"),
        "objectKind": about.get("kind"),
        "objectId": about.get("id"),
    }
    written = "".join(f' {name}="{_escaped(str(value)[:longest])}"' for name, value in values.items() if value)
    return f"[{SD_ID}{written}]"


def _escaped(value: str) -> str:
    return shown(value).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _name(text: str, longest: int) -> str:
    """Write a field of the header: visible ASCII, or the sign for nothing."""
    return "".join(each if "!" <= each <= "~" else "_" for each in text)[:longest] or "-"


def _moment(event: Event) -> str:
    return event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
