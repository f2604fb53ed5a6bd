"""Asking for devices in words, as addresses and the portal's form carry them: texts → filter, order.

An unknown word is refused, never passed over: a filter that is ignored would show more than was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from shieldwall.contract.errors import InvalidIdError, ShieldwallError
from shieldwall.contract.ids import parse_group_id
from shieldwall.contract.status import SettingState
from shieldwall.server.inventory.machines import INACTIVE_AFTER, ONBOARDING_STATUSES, states_of
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.inventory.inventory_facets import FACETS
from shieldwall.server.storage.inventory.inventory_queries import Filter, Health, Order, Sort

T = TypeVar("T")

PARAMETERS: Final = (
    "search",
    "health",
    "onboardingStatus",
    "state",
    "enrollmentCode",
    "os",
    "osVersion",
    "tag",
    "managedBy",
    "agentVersion",
    "attestation",
    "drifted",
    "duplicate",
    "seenBefore",
    "seenAfter",
    "group",
    "policyState",
    "includeRetired",
)
ORDERING: Final = ("sort", "descending")
_LONGEST: Final = 256
_MOST_WORDS: Final = 16
_SHOWN: Final = frozenset(DeviceState) - {DeviceState.RETIRED}
_ATTESTATION: Final = {level.value: level.value for level in AttestationLevel}


class InvalidMachineQueryError(ShieldwallError):
    """Devices cannot be asked for like that; the parameter is named."""

    code = "invalidMachineQuery"
    remedy = "Correct the parameter named; the words that it takes are in its description."


Asked = Mapping[str, Sequence[str]]
"""Parameters and their values, in the order in which they stand."""


def read_filter(asked: Asked, now: datetime) -> Filter:
    """Read which devices are meant; several values of one parameter mean any of them, several tags all.

    Raises:
        InvalidMachineQueryError: A value is none of this parameter's.
    """
    texts = _Texts(asked)
    code = {str(number): number for number in range(100)}
    return Filter(
        inactive_before=now - INACTIVE_AFTER,
        search=_searched(texts.one("search") or ""),
        health=texts.words("health", {each.value: each for each in Health}),
        states=_states(texts),
        enrollment_codes=texts.words("enrollmentCode", code),
        os_types=frozenset(texts.all("os")),
        os_version=texts.one("osVersion"),
        tags=tuple(texts.all("tag")),
        managed_by=texts.one("managedBy"),
        agent_version=texts.one("agentVersion"),
        attestation=texts.words("attestation", _ATTESTATION),
        is_drifted=texts.yes_no("drifted"),
        is_duplicate=texts.yes_no("duplicate"),
        seen_before=texts.read("seenBefore", _moment),
        seen_after=texts.read("seenAfter", _moment),
        group=texts.read("group", parse_group_id),
        policy_states=texts.words("policyState", {each.value: each for each in SettingState}),
    )


def read_order(asked: Asked) -> Order:
    """Read in which order. Raises: InvalidMachineQueryError."""
    texts = _Texts(asked)
    by = texts.words("sort", {each.value: each for each in Sort}) or {Sort.NAME}
    if len(by) > 1:
        raise InvalidMachineQueryError("sort stands more than once.")
    return Order(by=min(by), descending=bool(texts.yes_no("descending")))


def read_facets(asked: Asked) -> tuple[str, ...]:
    """Read what is counted: all facets unless some are named. Raises: InvalidMachineQueryError."""
    named = _Texts(asked).words("facet", {facet: facet for facet in FACETS})
    return tuple(facet for facet in FACETS if not named or facet in named)


class _Texts:
    """The values of parameters, each bounded."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        for name, values in asked.items():
            if len(values) > _MOST_WORDS or not all(0 < len(value) <= _LONGEST for value in values) or _has_nul(values):
                raise InvalidMachineQueryError(
                    f"{name} has at most {_MOST_WORDS} values of 1 to {_LONGEST} characters, none of them NUL."
                )

    def all(self, name: str) -> Sequence[str]:
        """Return all values."""
        return self._asked.get(name, ())

    def one(self, name: str) -> str | None:
        """Return the value, of which there is one at most."""
        values = self.all(name)
        if len(values) > 1:
            raise InvalidMachineQueryError(f"{name} stands more than once.")
        return values[0] if values else None

    def words(self, name: str, known: Mapping[str, T]) -> frozenset[T]:
        """Return the values, each of them one of these words."""
        for value in self.all(name):
            if value not in known:
                shown = ", ".join(known) if len(known) < 20 else f"a number below {len(known)}"
                raise InvalidMachineQueryError(f"{name} cannot be {value[:64]!r}; it is one of: {shown}.")
        return frozenset(known[value] for value in self.all(name))

    def yes_no(self, name: str) -> bool | None:
        """Return true or false, or nothing where it is not asked."""
        value = self.words(name, {"true": True, "false": False})
        if len(value) > 1:
            raise InvalidMachineQueryError(f"{name} is true or false.")
        return next(iter(value), None)

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the one value, read."""
        value = self.one(name)
        try:
            return None if value is None else parse(value)
        except (ValueError, InvalidIdError):
            raise InvalidMachineQueryError(f"{name} cannot be {str(value)[:64]!r}.") from None


def _states(texts: _Texts) -> frozenset[DeviceState]:
    named = texts.words("state", {each.value: each for each in DeviceState})
    statuses = texts.words("onboardingStatus", {each: each for each in ONBOARDING_STATUSES})
    shown = frozenset(DeviceState) if texts.yes_no("includeRetired") else _SHOWN
    if not named and not statuses:
        return shown
    return (named or frozenset(DeviceState)) & (states_of(statuses) if statuses else frozenset(DeviceState))


def _has_nul(values: Sequence[str]) -> bool:
    return any("\x00" in value for value in values)


def _searched(text: str) -> str:
    if len(text.split()) > _MOST_WORDS:
        raise InvalidMachineQueryError(f"search has at most {_MOST_WORDS} words.")
    return text


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
