"""A report that always fits into a check-in: what matters least is cut first, and states last of all. Pure.

Whole values → summaries, the largest first; lists of items → their gravest and a marker; long texts; long lists of
policies; at the very end all but setting, state, provider and code. Equal reports are cut to equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from shieldwall.contract.status import (
    MAX_STATUSES,
    SEVERITY,
    ItemStatus,
    RefusedPolicy,
    SettingState,
    SettingStatus,
    StatusReport,
    gravest,
)
from shieldwall.contract.strict_json import digest_of, encode

REPORT_BUDGET: Final = 512 * 1024
"""Canonical bytes of a report: half of what a check-in may hold, so that no server's limit is ever near."""
ITEMS_CUT: Final = "itemsCut"
"""The code of the marker that stands for items left out."""

_LONGEST: Final = 1024
_SHORT: Final = 128
_SHORTER: Final = 48
_FEW_POLICIES: Final = 4
_WORTH_SUMMING_UP: Final = 256
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")

T = TypeVar("T", SettingStatus, RefusedPolicy)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for a value too large to send: its digest, and how many parts (or characters) it has."""

    digest: str
    count: int


def within_budget(report: StatusReport, *, budget: int = REPORT_BUDGET) -> StatusReport:
    """Cut a report to what the contract and the budget allow; one that fits is returned as it is."""
    report = replace(
        report,
        settings=_gravest(_each(report.settings, _allowed), MAX_STATUSES, lambda _status: 1),
        refused=tuple(_refused(policy, _LONGEST) for policy in report.refused[:MAX_STATUSES]),
    )
    for cut in _CUTS:
        if len(encode(report)) <= budget:
            return report
        report = cut(report, budget)
    return report


def summary_of(value: Any) -> dict[str, Any]:
    """Sum up a value; equal values have equal summaries."""
    count = len(value) if isinstance(value, str | list | tuple | dict) else 1
    summed: dict[str, Any] = msgspec.to_builtins(Summary(digest=digest_of(value), count=count))
    return summed


def _sum_up(report: StatusReport, budget: int) -> StatusReport:
    """Sum up value and read-back value of one setting together: who compares the two still can."""
    excess = len(encode(report)) - budget
    weighed = [(len(encode(status.value)) + len(encode(status.read_back)), status) for status in report.settings]
    settings = list(report.settings)
    for position in sorted(range(len(weighed)), key=lambda position: (-weighed[position][0], position)):
        if excess <= 0:
            break
        before, status = weighed[position]
        settings[position] = replace(status, value=_summed(status.value), read_back=_summed(status.read_back))
        excess -= before - len(encode(settings[position].value)) - len(encode(settings[position].read_back))
    return replace(report, settings=tuple(settings))


def _summed(value: Any) -> Any:
    return value if len(encode(value)) <= _WORTH_SUMMING_UP else summary_of(value)


def _few_items(most: int) -> Callable[[StatusReport, int], StatusReport]:
    def cut(report: StatusReport, _budget: int) -> StatusReport:
        return replace(
            report,
            settings=_each(report.settings, lambda status: replace(status, items=_shortened(status.items, most))),
        )

    return cut


def _shortened(items: tuple[ItemStatus, ...], most: int) -> tuple[ItemStatus, ...]:
    """Keep the gravest items in their order; a marker carries the state of those left out."""
    if len(items) <= most + 1:
        return items
    kept = sorted(_by_gravity(range(len(items)), lambda position: items[position].state)[:most])
    left_out = [item for position, item in enumerate(items) if position not in set(kept)]
    marker = ItemStatus(
        item=f"{len(left_out)} more",
        state=gravest([item.state for item in left_out]),
        code=ITEMS_CUT,
        reason="Left out, for the report would be too long.",
    )
    return (*(items[position] for position in kept), marker)


def _short_texts(report: StatusReport, _budget: int) -> StatusReport:
    return replace(
        report,
        settings=_each(report.settings, lambda status: _with_texts(status, _SHORT)),
        refused=tuple(_refused(policy, _SHORT) for policy in report.refused),
    )


def _few_policies(report: StatusReport, _budget: int) -> StatusReport:
    return replace(
        report,
        settings=_each(
            report.settings,
            lambda status: replace(
                status, policies=status.policies[:_FEW_POLICIES], losers=status.losers[:_FEW_POLICIES]
            ),
        ),
    )


def _bare(report: StatusReport, _budget: int) -> StatusReport:
    return replace(
        report,
        settings=_each(
            report.settings,
            lambda status: SettingStatus(
                setting=status.setting,
                state=status.state,
                provider=_text(status.provider, _SHORTER),
                code=_text(status.code, _SHORTER),
                written=status.written,
                effective=status.effective,
            ),
        ),
        refused=tuple(_refused(policy, _SHORTER) for policy in report.refused),
    )


def _what_fits(report: StatusReport, budget: int) -> StatusReport:
    """Two thousand settings with names of a kilobyte: the gravest are said, and half of the room is for refusals."""
    empty = replace(report, settings=(), refused=())
    room = budget - len(encode(empty)) - len(b'"refused":[],"settings":[],')
    refused = _gravest(report.refused, room // 2, _weight)
    left = room - sum(map(_weight, refused))
    return replace(report, settings=_gravest(report.settings, left, _weight), refused=refused)


_CUTS: Final[tuple[Callable[[StatusReport, int], StatusReport], ...]] = (
    _sum_up,
    _few_items(50),
    _few_items(5),
    _short_texts,
    _few_items(0),
    _few_policies,
    _bare,
    _what_fits,
)


def _weight(part: SettingStatus | RefusedPolicy) -> int:
    return len(encode(part)) + len(b",")


def _gravest(parts: tuple[T, ...], room: int, weight: Callable[[T], int]) -> tuple[T, ...]:
    """Keep as many parts as fit, the gravest before others, in the order in which they stood."""
    kept: list[int] = []
    for position in _by_gravity(range(len(parts)), lambda position: _state(parts[position])):
        room -= weight(parts[position])
        if room < 0:
            break
        kept.append(position)
    return parts if len(kept) == len(parts) else tuple(parts[position] for position in sorted(kept))


def _by_gravity(positions: Iterable[int], state: Callable[[int], SettingState]) -> list[int]:
    return sorted(positions, key=lambda position: (-SEVERITY.index(state(position)), position))


def _state(part: SettingStatus | RefusedPolicy) -> SettingState:
    return part.state if isinstance(part, SettingStatus) else SettingState.ERROR


def _each(
    statuses: tuple[SettingStatus, ...], change: Callable[[SettingStatus], SettingStatus]
) -> tuple[SettingStatus, ...]:
    return tuple(change(status) for status in statuses)


def _allowed(status: SettingStatus) -> SettingStatus:
    return _with_texts(replace(status, items=_shortened(status.items, MAX_STATUSES - 1)), _LONGEST)


def _with_texts(status: SettingStatus, longest: int) -> SettingStatus:
    return replace(
        status,
        provider=_text(status.provider, longest),
        code=_text(status.code, longest),
        reason=_text(status.reason, longest),
        rule=_text(status.rule, longest),
        items=tuple(
            replace(
                item,
                item=_text(item.item, longest),
                code=_text(item.code, longest),
                reason=_text(item.reason, longest),
            )
            for item in status.items
        ),
    )


def _refused(policy: RefusedPolicy, longest: int) -> RefusedPolicy:
    return replace(policy, code=_text(policy.code, longest), cause=_text(policy.cause, longest))


def _text(text: str | None, longest: int) -> str | None:
    """Cut a text, and take out what strict JSON refuses."""
    return None if text is None else _UNSENDABLE.sub("\ufffd", text[:longest])
