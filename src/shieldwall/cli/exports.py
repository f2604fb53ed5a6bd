"""Exported policies, as Microsoft Graph and backup tools write them: bytes → documents.

What occurs in the wild: UTF-8 with and without a byte order mark, UTF-16 with one, one policy, a list of them, an OData
collection, and JSON inside JSON, where a member of a wrapper is a text that is a document again. This module only finds
the policies; what each of their members means is the server's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode_any

Json: TypeAlias = dict[str, Any]

MAX_WRAPPINGS: Final = 8
"""How often a document may be wrapped: lists, collections, texts within texts. Two or three occur."""

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_TEXT_MARK: Final = "\ufeff"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_SETTINGS_CATALOG: Final = "#microsoft.graph.deviceManagementConfigurationPolicy"


class InvalidExportError(ShieldwallError):
    """A file that is no exported policy, or one of which the server could make none."""

    code = "invalidExport"
    remedy = "Correct the files at the places named; nothing was made."


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A policy found in a document. ``place`` is the way to it, empty when the document is the policy."""

    place: str
    document: Json

    @property
    def name(self) -> str:
        """What the policy is called."""
        return str(self.document["name"])


def policies_in(content: bytes) -> list[Exported]:
    """Find every policy in the content of a file.

    Raises:
        InvalidExportError: The content cannot be read, holds no policy, or holds something else beside policies.
    """
    return _found(document_in(content), "", MAX_WRAPPINGS)


def document_in(content: bytes) -> Any:
    """Read the content of a file as one document, in any encoding that occurs. Raises: InvalidExportError."""
    try:
        return decode_any(_as_utf8(content))
    except InvalidJsonError as error:
        raise InvalidExportError(error.cause) from None


def is_fragments(document: object) -> bool:
    """Tell whether a document is a collection of named fragments: settings, or items of a group, without a policy."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(
            isinstance(each, dict)
            and (isinstance(each.get("settingInstance"), dict) or isinstance(each.get("children"), list))
            for each in document.values()
        )
    )


def _as_utf8(content: bytes) -> bytes:
    if content.startswith(_UTF16_MARKS):
        try:
            return content.decode("utf-16").encode()
        except UnicodeError:
            raise InvalidExportError("The document is marked as UTF-16 and is not.") from None
    if b"\x00" in content[:4]:
        raise InvalidExportError("The document is UTF-16 or UTF-32 without a byte order mark; save it as UTF-8.")
    return content.removeprefix(_UTF8_MARK)


def _found(value: object, place: str, wrappings: int) -> list[Exported]:
    if _is_policy(value):
        assert isinstance(value, dict)
        return [Exported(place=place, document=value)]
    if wrappings == 0:
        raise _refusal(place, f"it is wrapped more than {MAX_WRAPPINGS} times.")
    match value:
        case str() if _looks_like_json(value):
            return _found(_inner_document(value, place), place, wrappings - 1)
        case list() if value:
            return [
                policy
                for index, item in enumerate(value)
                for policy in _found(item, f"{place}[{index}]", wrappings - 1)
            ]
        case dict() if isinstance(value.get("value"), list):
            return _found(value["value"], f"{place}.value", wrappings - 1)
        case dict() if found := _found_in_texts(value, place, wrappings):
            return found
        case _:
            raise _refusal(place, _what_it_is(value))


def _found_in_texts(wrapper: Json, place: str, wrappings: int) -> list[Exported]:
    """Look into the texts of a wrapper: one of them is a document again, the others speak about other things."""
    found: list[Exported] = []
    closest: InvalidExportError | None = None
    for name, text in wrapper.items():
        if _looks_like_json(text):
            try:
                found += _found(text, f"{place}.{name}", wrappings)
            except InvalidExportError as error:
                closest = error if text.lstrip().startswith("{") or closest is None else closest
    if not found and closest is not None and not is_fragments(wrapper):
        raise closest
    return found


def _inner_document(text: str, place: str) -> object:
    try:
        return decode_any(text.lstrip(_TEXT_MARK).encode())
    except InvalidJsonError as error:
        raise _refusal(place, f"the text in it is not JSON: {error.cause}") from None


def _looks_like_json(value: object) -> bool:
    return isinstance(value, str) and value.lstrip(f"{_TEXT_MARK} \t\r\n")[:1] in {"{", "[", '"'}


def _is_policy(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("settings"), list)
        and not value["name"].isspace()
        and value["name"] != ""
    )


def _what_it_is(value: object) -> str:
    if is_fragments(value):
        assert isinstance(value, dict)
        names = ", ".join(value)
        return (
            f"this is not a policy but {len(value)} fragments of one ({names}). Import them together with the policy "
            "they belong to: shieldwall policy import POLICY --fragments FILE."
        )
    if not isinstance(value, dict):
        return "this is not an exported policy, which is an object, or a list of them."
    kind = value.get("@odata.type", _SETTINGS_CATALOG)
    if kind != _SETTINGS_CATALOG:
        return f"this is not a policy of the settings catalog but {str(kind)[:128]!r}."
    missing = " and ".join(name for name in ("name", "settings") if not value.get(name) and value.get(name) != [])
    return f"this is not an exported policy: it has no {missing or 'name that can be read'}."


def _refusal(place: str, reason: str) -> InvalidExportError:
    return InvalidExportError(f"{place.removeprefix('.')}: {reason}" if place else reason[0].upper() + reason[1:])
