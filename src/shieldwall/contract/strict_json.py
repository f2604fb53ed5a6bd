"""Strict JSON, the only JSON we read or write.

RFC 8259 leaves room for documents that two parsers understand differently; an attacker lives in that room. We accept
I-JSON (RFC 7493) and a little less: UTF-8 without a byte order mark, no duplicate member names, no ``NaN`` or infinite
numbers, no lone surrogates, no NUL, integers within ±(2⁵³-1), bounded depth. Types are checked without coercion and
unknown members of our own messages are refused by the message types themselves.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Final, Generic, TypeVar

import msgspec
import msgspec.inspect

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import Digest
from shieldwall.contract.kinds import learned

T = TypeVar("T")

MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**53 - 1
_MAX_INTEGER_DIGITS: Final = 16
_LONGEST_MESSAGE: Final = 256

# Possessive and taking an unfinished string to the end: hostile quotes must not make this search start over and over.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")

_canonical: Final = msgspec.json.Encoder(order="sorted")


def decode(data: bytes, kind: type[T], *, max_depth: int = MAX_DEPTH) -> T:
    """Read ``data`` as one value of the type ``kind``.

    Raises:
        InvalidJsonError: The bytes are not strict JSON or not of that shape; the cause names the place.
    """
    return convert(decode_any(data, max_depth=max_depth), kind)


class Canonical(Generic[T]):
    """Reads what is written exactly as ``encode`` writes it, much quicker than ``decode``.

    If the bytes are those that ``encode`` makes of the value that was read from them, two parsers cannot understand
    them differently: no name stands twice, nothing is left over, nothing is spelled in another way. What is left to the
    kind is to bound its numbers; strings with escapes, which may hide what no string may hold, are not read here.
    """

    def __init__(self, kind: type[T]) -> None:
        """Prepare. Raises: TypeError where the kind has a number without bounds, or a part of any kind."""
        _refuse_unbounded(msgspec.inspect.type_info(kind))
        self._decoder = msgspec.json.Decoder(learned(kind), strict=True)

    def read(self, data: bytes) -> T | None:
        """Return the value, or ``None`` where ``decode`` has to find out what it is and what is wrong with it."""
        if b"\\" in data:
            return None
        try:
            value = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return value if encode(value) == data else None


def convert(value: Any, kind: type[T]) -> T:
    """Give an already parsed JSON value its type, without coercion. Raises: InvalidJsonError."""
    try:
        return msgspec.convert(value, learned(kind), strict=True)
    except msgspec.ValidationError as error:
        raise InvalidJsonError(_readable(str(error))) from None


def decode_any(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read ``data`` as plain dictionaries, lists, strings, numbers, booleans and ``None``. Raises: InvalidJsonError."""
    _refuse_deep(data, max_depth)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"The document is not UTF-8 (byte {error.start}).") from None
    if text.startswith("\ufeff"):
        raise InvalidJsonError("The document starts with a byte order mark.")
    try:
        value = _plain.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"{error.msg} (line {error.lineno}, column {error.colno}).") from None
    if "\\u" in text or "\x00" in text:
        _refuse_bad_strings(value)
    return value


def encode(value: Any) -> bytes:
    """Write canonical JSON: members sorted, no white space, UTF-8; equal values give equal bytes."""
    return _canonical.encode(value)


def digest_of(value: Any) -> Digest:
    """Name a value by the SHA-256 of its canonical bytes."""
    return digest_of_bytes(encode(value))


def digest_of_bytes(data: bytes) -> Digest:
    """Name bytes by their SHA-256."""
    return Digest(hashlib.sha256(data).hexdigest())


def _readable(message: str) -> str:
    """Bound what a stranger's member name puts into answers, logs and terminals; the place is named at the end."""
    if len(message) > _LONGEST_MESSAGE:
        half = _LONGEST_MESSAGE // 2
        message = f"{message[:half]} … {message[-half:]}"
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in message)


def _refuse_unbounded(kind: msgspec.inspect.Type) -> None:
    match kind:
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                _refuse_unbounded(field.type)
        case msgspec.inspect.UnionType(types=kinds):
            for each in kinds:
                _refuse_unbounded(each)
        case msgspec.inspect.IntType(ge=int(least), le=int(most)) if least >= -MAX_INTEGER and most <= MAX_INTEGER:
            pass
        case msgspec.inspect.StrType() | msgspec.inspect.NoneType() | msgspec.inspect.BoolType():
            pass
        case _:
            raise TypeError(f"{kind} is not bounded")


def _refuse_deep(data: bytes, max_depth: int) -> None:
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return  # the common, shallow document costs two counts
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise InvalidJsonError(f"The document nests deeper than {max_depth} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidJsonError(f"The member {name[:64]!r} stands twice in one object.")
            seen.add(name)
    return members


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_INTEGER_DIGITS or abs(value := int(text)) > MAX_INTEGER:
        raise InvalidJsonError(f"The number {text[:20]} is outside ±(2^53-1).")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidJsonError(f"The number {text[:20]} is not finite.")
    return value


def _constant(text: str) -> float:
    raise InvalidJsonError(f"{text} is not JSON.")


_plain: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
"""Made once: making it takes as long as reading a small document does."""


def _refuse_bad_strings(value: Any) -> None:
    match value:
        case str():
            if "\x00" in value:
                raise InvalidJsonError("A string holds the character NUL.")
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise InvalidJsonError("A string holds half of a surrogate pair.")
        case dict():
            for name, member in value.items():
                _refuse_bad_strings(name)
                _refuse_bad_strings(member)
        case list():
            for item in value:
                _refuse_bad_strings(item)
        case _:
            pass
