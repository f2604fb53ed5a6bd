"""A reader of syslog messages, written from the grammar of RFC 5424 section 6 alone: strict, and knowing no writer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_HEADER: Final = re.compile(
    rb"<(?P<pri>0|[1-9][0-9]{0,2})>(?P<version>[1-9][0-9]{0,2}) "
    rb"(?P<timestamp>-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    rb"(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"(?P<hostname>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48}) (?P<procid>[\x21-\x7e]{1,128}) "
    rb"(?P<msgid>[\x21-\x7e]{1,32}) "
)
_NAME: Final = re.compile(rb"[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}")


class NotSyslogError(Exception):
    """The bytes are no message of RFC 5424."""


@dataclass(frozen=True)
class Message:
    facility: int
    severity: int
    timestamp: datetime | None
    hostname: str
    app: str
    procid: str
    msgid: str
    data: dict[str, dict[str, str]]
    text: str | None


def parse(octets: bytes) -> Message:
    """Read one message. Raises: NotSyslogError."""
    header = _HEADER.match(octets)
    if header is None or int(header["pri"]) > 191 or header["version"] != b"1":
        raise NotSyslogError(octets[:100])
    data, end = _structured_data(octets, header.end())
    text = None
    if end < len(octets):
        if octets[end : end + 1] != b" ":
            raise NotSyslogError(octets[end : end + 20])
        text = octets[end + 1 :].decode()
    stamp = header["timestamp"].decode()
    return Message(
        facility=int(header["pri"]) // 8,
        severity=int(header["pri"]) % 8,
        timestamp=None if stamp == "-" else datetime.fromisoformat(stamp),
        hostname=header["hostname"].decode(),
        app=header["app"].decode(),
        procid=header["procid"].decode(),
        msgid=header["msgid"].decode(),
        data=data,
        text=text,
    )


def _structured_data(octets: bytes, at: int) -> tuple[dict[str, dict[str, str]], int]:
    if octets[at : at + 1] == b"-":
        return {}, at + 1
    found: dict[str, dict[str, str]] = {}
    while octets[at : at + 1] == b"[":
        name, at = _name(octets, at + 1)
        values: dict[str, str] = {}
        while octets[at : at + 1] == b" ":
            parameter, at = _name(octets, at + 1)
            if octets[at : at + 2] != b'="':
                raise NotSyslogError("no value")
            value, at = _value(octets, at + 2)
            values[parameter] = value
        if octets[at : at + 1] != b"]" or name in found:
            raise NotSyslogError("an element without an end, or twice")
        found[name], at = values, at + 1
    if not found:
        raise NotSyslogError("no structured data")
    return found, at


def _name(octets: bytes, at: int) -> tuple[str, int]:
    match = _NAME.match(octets, at)
    if match is None:
        raise NotSyslogError("no name")
    return match[0].decode(), match.end()


def _value(octets: bytes, at: int) -> tuple[str, int]:
    value = bytearray()
    while True:
        octet = octets[at : at + 1]
        if octet == b'"':
            return value.decode(), at + 1
        if octet in {b"", b"]"}:
            raise NotSyslogError("a value without an end, or with a bare bracket")
        if octet == b"\\" and octets[at + 1 : at + 2] in {b'"', b"\\", b"]"}:
            at, octet = at + 1, octets[at + 1 : at + 2]
        value += octet
        at += 1


def split_counted(stream: bytes) -> list[bytes]:
    """Cut a stream framed by octet counting (RFC 6587) into messages. Raises: NotSyslogError."""
    found = []
    while stream:
        count = re.match(rb"([1-9][0-9]{0,9}) ", stream)
        if count is None or len(stream) < count.end() + int(count[1]):
            raise NotSyslogError(stream[:20])
        found.append(stream[count.end() : count.end() + int(count[1])])
        stream = stream[count.end() + int(count[1]) :]
    return found
