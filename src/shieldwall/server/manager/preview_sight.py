"""A preview as somebody sees it who sees a part of the tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from msgspec import structs
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, PolicyId
from shieldwall.policy.compare import Change, Clash, Comparison, Lapse
from shieldwall.policy.device_sets import DeviceSet, of_places
from shieldwall.server.manager.preview import Preview, examples_of
from shieldwall.server.storage.fleets import fleets

F = TypeVar("F", Change, Clash, Lapse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What somebody sees of a tenant: which of these devices, and which of these policies."""

    devices: Callable[[Collection[DeviceId]], Collection[DeviceId]]
    policies: Callable[[Collection[PolicyId]], Collection[PolicyId]]


def as_seen(connection: Connection, found: Preview, eyes: Eyes) -> Preview:
    """Keep a preview to what somebody sees: their devices, and the names of their policies."""
    known = frozenset(eyes.devices(found.ids))
    seen = of_places((place for place, device in enumerate(found.ids) if device in known), len(found.ids))
    named = found.made | frozenset(eyes.policies(tuple(found.policy_names)))
    comparison = Comparison(
        targeted=found.comparison.targeted & seen,
        changes=_within(seen, found.comparison.changes),
        conflicts_made=_within(seen, found.comparison.conflicts_made),
        conflicts_solved=_within(seen, found.comparison.conflicts_solved),
        lapses=_within(seen, found.comparison.lapses),
    )
    return replace(
        found,
        comparison=comparison,
        device_names=fleets.names(connection, examples_of(found.ids, comparison)),
        policy_names={policy: name for policy, name in found.policy_names.items() if policy in named},
        restart={setting: devices & seen for setting, devices in found.restart.items() if devices & seen},
        irreversible={setting: devices & seen for setting, devices in found.irreversible.items() if devices & seen},
        seen=seen,
    )


def _within(seen: DeviceSet, findings: Iterable[F]) -> tuple[F, ...]:
    return tuple(structs.replace(each, devices=each.devices & seen) for each in findings if each.devices & seen)
