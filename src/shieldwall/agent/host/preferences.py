"""The preferences of Microsoft Defender as documents.

``/preferences/MSFT_MpPreference`` holds the properties that are set as preferences and nothing else, so that it stays
as it is while policies change the others. ``/preferences/effective`` holds all that Defender says, to be read alone.

Sources: Microsoft, *MSFT_MpPreference* (methods ``Set``, ``Add``, ``Remove``) and *MSFT_MpComputerStatus*.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final, TypeAlias

from msgspec import Struct, field

from shieldwall.agent.host.cim import DEFENDER, Cim, CimError, CimValue, LanguageModeError, Properties
from shieldwall.agent.host.errors import HostError
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

MOUNT: Final = PurePosixPath("/preferences")
"""Below it lie the two documents."""
PREFERENCES: Final = MOUNT / "MSFT_MpPreference"
EFFECTIVE: Final = MOUNT / "effective"

UNKNOWN: Final = b"null\n"
"""Stands for preferences that are there and cannot be told, because Defender's service is stopped."""

PREFERENCE_CLASS: Final = "MSFT_MpPreference"
STATUS_CLASS: Final = "MSFT_MpComputerStatus"

SERVICE_STOPPED: Final = 0x800106BA
"""Defender's service does not answer: stopped, or another antivirus program took its place."""
INVALID_ARGUMENT: Final = 0x80070057
NOT_SUPPORTED: Final = 65000
"""This edition of Windows has no such setting."""
_ABSENT: Final = (0x8004100E, 0x80041010)
"""No such namespace, no such class: Microsoft, *WMI Error Constants*."""
_DEPTH: Final = 4

Preference: TypeAlias = bool | int | str | tuple[str, ...]
Preferences: TypeAlias = Mapping[str, Preference]


class PreferenceDocumentError(HostError):
    """What is to be written is no document of preferences, or one that is read alone."""

    code: ClassVar[str] = "invalidPreferences"
    remedy: ClassVar[str] = "Install the agent again if this goes on; what it remembers of Defender makes no sense."


class EngineNotAnsweringError(CimError):
    """Defender's service does not answer."""

    code: ClassVar[str] = "engineNotAnswering"
    remedy: ClassVar[str] = (
        "Start the service WinDefend, or take this device out of the policy where another antivirus program replaces "
        "Defender on purpose."
    )


def encode(preferences: Preferences) -> bytes:
    """Return the canonical form: JSON, sorted, one property a line."""
    return (json.dumps(dict(sorted(preferences.items())), ensure_ascii=False, indent=0) + "\n").encode()


def decode(content: bytes) -> dict[str, Preference]:
    """Read a document. Raises: PreferenceDocumentError."""
    try:
        document = strict_json.decode_any(content, max_depth=_DEPTH)
    except InvalidJsonError as error:
        raise PreferenceDocumentError(f"These are no preferences: {error.cause}") from None
    if not isinstance(document, dict):
        raise PreferenceDocumentError("These are no preferences: no names in it.")
    found: dict[str, Preference] = {}
    for name, value in document.items():
        plain = plain_preference(value)
        if plain is None:
            raise PreferenceDocumentError(f"{name[:128]!r} is no preference.")
        found[name] = plain
    return found


def plain_preference(value: CimValue) -> Preference | None:
    """Return a property's value where it is of a kind that a preference can have."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return tuple(str(item) for item in value)
    return None


class PreferenceStore(Struct, frozen=True):
    """Reads and sets the preferences of one machine; only ``properties`` are ever set.

    What Defender refuses for one property is noted in ``refusals`` and does not keep the others from being set: whoever
    reads back finds what is missing, and why. Nobody is told of what it takes and does not do.
    """

    cim: Cim
    properties: Collection[str]
    refusals: dict[str, CimError] = field(default_factory=dict)

    def read(self, path: PurePosixPath) -> bytes | None:
        """See ``DocumentStore.read``; ``UNKNOWN`` where the service is stopped. Raises: HostError."""
        try:
            preferences = self._ask(PREFERENCE_CLASS)
            if preferences is None:
                return None
            if MOUNT / path == PREFERENCES:
                return encode(self._settable(preferences))
            status = self._ask(STATUS_CLASS) or {}
        except EngineNotAnsweringError:
            return UNKNOWN
        document = {PREFERENCE_CLASS: dict(preferences), STATUS_CLASS: dict(status)}
        return (json.dumps(document, ensure_ascii=False, indent=0, sort_keys=True) + "\n").encode()

    def write(self, path: PurePosixPath, content: bytes | None) -> None:
        """See ``DocumentStore.write``; what left the document goes back to its default. Raises: HostError."""
        if MOUNT / path != PREFERENCES:
            raise PreferenceDocumentError(f"{MOUNT / path} is only read.")
        present = self._ask(PREFERENCE_CLASS)
        if present is None:
            if content is None:
                return
            raise EngineNotAnsweringError("Microsoft Defender Antivirus is not on this device.")
        before, after = self._settable(present), {} if content is None else decode(content)
        if unknown := after.keys() - set(self.properties):
            raise PreferenceDocumentError(f"{min(unknown)[:128]!r} is not set as a preference.")
        for method, name, value in operations(before, after):
            self._carry_out(method, name, value)

    def _settable(self, found: Properties) -> dict[str, Preference]:
        plain = {name: plain_preference(found[name]) for name in self.properties if found.get(name) is not None}
        return {name: value for name, value in plain.items() if value is not None}

    def _carry_out(self, method: str, name: str, value: Preference) -> None:
        self.refusals.pop(name, None)
        argument: CimValue = list(value) if isinstance(value, tuple) else value
        try:
            self.cim.invoke(DEFENDER, PREFERENCE_CLASS, method, {name: argument})
        except LanguageModeError:
            raise
        except CimError as error:
            if error.status == SERVICE_STOPPED:
                raise not_answering(error) from error
            self.refusals[name] = error

    def _ask(self, class_name: str) -> Properties | None:
        try:
            found = self.cim.instances(DEFENDER, class_name)
        except CimError as error:
            if error.status in _ABSENT:
                return None
            if error.status == SERVICE_STOPPED:
                raise not_answering(error) from error
            raise
        return found[0] if found else None


def not_answering(error: CimError) -> EngineNotAnsweringError:
    """Say of an error that Defender's service is not there."""
    return EngineNotAnsweringError(f"Microsoft Defender Antivirus does not answer: {error.cause}")


def operations(before: Preferences, after: Preferences) -> Sequence[tuple[str, str, Preference]]:
    """Return the calls that lead from one state to another: method, property, value. Pure.

    Lists are changed by what is added and taken away, so that items which others add meanwhile stay.
    """
    found: list[tuple[str, str, Preference]] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if new is None:
            found.append(("Remove", name, old if isinstance(old, tuple) else True))
        elif isinstance(new, tuple):
            had = old if isinstance(old, tuple) else ()
            if gone := tuple(item for item in had if item not in new):
                found.append(("Remove", name, gone))
            if more := tuple(item for item in new if item not in had):
                found.append(("Add", name, more))
        elif not _same(old, new):
            found.append(("Set", name, new))
    return found


def effective(content: bytes | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the document of what Defender says: its preferences and its status; empty where it says nothing."""
    if content is None:
        return {}, {}
    try:
        document = strict_json.decode_any(content, max_depth=_DEPTH + 4)
    except InvalidJsonError:
        return {}, {}
    if not isinstance(document, dict):  # UNKNOWN
        return {}, {}
    return document.get(PREFERENCE_CLASS, {}), document.get(STATUS_CLASS, {})


def _same(old: Preference | None, new: Preference) -> bool:
    return type(old) is type(new) and old == new  # True == 1 in Python, and not to Defender
