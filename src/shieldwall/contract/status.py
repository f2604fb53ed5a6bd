"""Status words: what is really in effect on a device, setting by setting."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec

from shieldwall.contract.ids import DigestField, PolicyIdField, SettingIdField

MAX_STATUSES = 2_000
"""Most setting statuses one report may hold."""

Text = Annotated[str, msgspec.Meta(max_length=1024)]


class SettingState(StrEnum):
    """The outcome for one setting. Nothing is ``succeeded`` that was not read back."""

    SUCCEEDED = "succeeded"
    ERROR = "error"
    CONFLICT = "conflict"
    NOT_APPLICABLE = "notApplicable"
    PENDING = "pending"


SEVERITY: tuple[SettingState, ...] = (
    SettingState.NOT_APPLICABLE,
    SettingState.SUCCEEDED,
    SettingState.PENDING,
    SettingState.CONFLICT,
    SettingState.ERROR,
)
"""From harmless to grave: the state of a whole is the gravest of its parts."""


def gravest(states: list[SettingState]) -> SettingState:
    """Return the state of a whole made of these parts; a whole without parts is not applicable."""
    return max(states, key=SEVERITY.index, default=SettingState.NOT_APPLICABLE)


class ItemStatus(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """The outcome for one item of a list setting: one firewall rule, one exclusion."""

    item: Text
    state: SettingState
    code: Text | None = None
    reason: Text | None = None


class SettingStatus(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What one provider made of one setting.

    Three facts stand apart: ``written`` (the provider wrote it), ``read_back`` (the value found afterwards) and
    ``effective`` (a probe of the running component: true, false, or none when it cannot be probed).
    """

    setting: SettingIdField
    state: SettingState
    provider: Text | None = None
    code: Text | None = None
    reason: Text | None = None
    value: Any = None
    read_back: Any = None
    written: bool = False
    effective: bool | None = None
    rule: Text | None = None
    policies: tuple[PolicyIdField, ...] = ()
    losers: tuple[PolicyIdField, ...] = ()
    items: Annotated[tuple[ItemStatus, ...], msgspec.Meta(max_length=MAX_STATUSES)] = ()


class RefusedPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A policy revision the device would not take, and why."""

    policy_id: PolicyIdField
    digest: DigestField
    code: Text
    cause: Text


class StatusReport(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Everything a device has to say about its settings.

    It holds no time and no device id: a thousand devices in the same state send the same bytes, and the server keeps
    them once.
    """

    target: DigestField | None = None
    settings: Annotated[tuple[SettingStatus, ...], msgspec.Meta(max_length=MAX_STATUSES)] = ()
    refused: Annotated[tuple[RefusedPolicy, ...], msgspec.Meta(max_length=MAX_STATUSES)] = ()
