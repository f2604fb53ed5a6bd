"""What a chosen part of a fleet counts as, in the same shapes in which the database's counts come. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.contests import Contest, Contested, ContestKey, in_order
from shieldwall.server.manager.policy_reports import StateOfAlike
from shieldwall.server.manager.standing import MOST_ALIKE, MOST_PAIRS, TROUBLES, FleetStanding, Pair, SettingDrift
from shieldwall.server.manager.statuses import PolicyCounts
from shieldwall.server.reporting.explaining import POLICY, SETTING, STATE, UNREACHED
from shieldwall.server.reporting.image import FleetImage
from shieldwall.server.reporting.kinds import Counts, Mask
from shieldwall.server.reporting.tallies import UNKNOWN, Tallies
from shieldwall.server.storage.check_ins.standings import Counted
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.fleets import fleet_counts
from shieldwall.server.storage.fleets.fleet_counts import MOST_VERSIONS
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.reports.report_rows import Alike

STATES: Final = tuple(SettingState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a part of a fleet stands, and where its policies want different values."""

    fleet: FleetStanding
    contests: tuple[Contest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Devices by their gravest state, and those that no policy reaches."""

    devices: Mapping[SettingState, int]
    without_policy: int


def standing_of(
    image: FleetImage, tallies: Tallies, contested: Mapping[ContestKey, Contested], stood: Counts
) -> Standing:
    """Say how so many devices of each kind stand."""
    sums = tallies.add_up(stood)
    names = tallies.names()
    devices: dict[SettingState, int] = {}
    policies: defaultdict[PolicyId, dict[SettingState, int]] = defaultdict(dict)
    settings: defaultdict[PolicyId, defaultdict[SettingId, dict[SettingState, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    drift: defaultdict[SettingId, SettingDrift] = defaultdict(SettingDrift)
    contests: list[Contest] = []
    without = 0
    there = np.flatnonzero(sums)
    for place, number in zip(there.tolist(), sums[there].tolist(), strict=True):
        match names[place]:  # the commonest first
            case ("setting", policy, setting, state):
                settings[policy][setting][state] = number  # type: ignore[index]  # as they are named
            case ("policy", policy, state):
                policies[policy][state] = number  # type: ignore[index]  # as above
            case ("state", state):
                devices[state] = number  # type: ignore[index]  # as above
            case ("contest", key):
                found = contested[key]  # type: ignore[index]  # as above
                contests.append(Contest(setting=found.setting, resolution=found, devices=number))
            case ("repaired", setting):
                drift[setting].repaired = number  # type: ignore[index]  # as above
            case ("drifted", setting):
                drift[setting].drifted = number  # type: ignore[index]  # as above
            case _:
                without = number
    alike = counted_kinds(image, stood)
    fleet = FleetStanding(
        devices=devices,
        without_policy=without,
        troubled=_troubled(image, tallies, stood),
        policies={
            policy: PolicyCounts(devices=counts, settings=settings[policy]) for policy, counts in policies.items()
        },
        drift=drift,
        alike=alike if len(alike) <= MOST_ALIKE else (),
    )
    return Standing(fleet=fleet, contests=in_order(contests))


def protection_of(tallies: Tallies, stood: Counts) -> Protection:
    """Count devices by their gravest state, as ``standing_of`` does, and nothing else."""
    states = {(STATE, state): state for state in STATES}
    places = {place: name for name in (*states, UNREACHED) if (place := tallies.place_of(name)) != UNKNOWN}
    there = tuple(sorted(places))
    found = {
        places[place]: number for place, number in zip(there, tallies.add_up_at(there, stood), strict=True) if number
    }
    return Protection(
        devices={state: found[name] for name, state in states.items() if name in found},
        without_policy=found.get(UNREACHED, 0),
    )


def counts_of_policies(tallies: Tallies, stood: Counts) -> dict[PolicyId, PolicyCounts]:
    """Count the devices of every policy by state, as ``standing_of`` does, and nothing else."""
    sums = tallies.add_up(stood)
    names = tallies.names()
    devices: dict[PolicyId, dict[SettingState, int]] = {}
    settings: dict[PolicyId, dict[SettingId, dict[SettingState, int]]] = {}
    there = np.flatnonzero(sums)
    for place, number in zip(there.tolist(), sums[there].tolist(), strict=True):
        name: Any = names[place]
        if name[0] == SETTING:
            _, policy, setting, state = name
            settings.setdefault(policy, {}).setdefault(setting, {})[state] = number
        elif name[0] == POLICY:
            _, policy, state = name
            devices.setdefault(policy, {})[state] = number
    return {
        policy: PolicyCounts(devices=counts, settings=settings.get(policy, {})) for policy, counts in devices.items()
    }


def counts_of_policy(tallies: Tallies, stood: Counts, policy_id: PolicyId) -> PolicyCounts:
    """Count the devices of one policy by state, as a whole and setting by setting."""
    names, places = tallies.names(), tallies.places_about(policy_id)
    devices: dict[SettingState, int] = {}
    settings: defaultdict[SettingId, dict[SettingState, int]] = defaultdict(dict)
    for place, number in zip(places, tallies.add_up_at(places, stood), strict=True):
        if not number:
            continue
        match names[place]:
            case ("setting", _, setting, state):
                settings[setting][state] = number  # type: ignore[index]  # as they are named
            case (_, _, state):
                devices[state] = number  # type: ignore[index]  # as above
            case _:
                pass
    return PolicyCounts(devices=devices, settings=settings)


def counted_kinds(image: FleetImage, stood: Counts, among: Mask | None = None) -> tuple[Counted, ...]:
    """Return the kinds of devices there are, with their numbers."""
    wanted = stood > 0 if among is None else (stood > 0) & among
    codes = np.flatnonzero(wanted)
    numbers = stood[codes].tolist()
    kinds = (image.stood_kinds.values(code) for code in codes.tolist())
    return tuple(
        Counted(target, status, os_type, catalog_version, number)
        for (target, status, os_type, catalog_version), number in zip(kinds, numbers, strict=True)
    )


def states_of_policy(
    image: FleetImage, tallies: Tallies, stood: Counts, policy_id: PolicyId
) -> dict[Alike, StateOfAlike]:
    """Return the state of a policy on devices that are alike, for each such set."""
    states = tallies.which([(POLICY, policy_id, state) for state in STATES], len(stood))
    codes = np.flatnonzero((states != UNKNOWN) & (stood > 0))
    return {
        Alike(*image.stood_kinds.values(code)): StateOfAlike(STATES[state], number)
        for code, state, number in zip(codes.tolist(), states[codes].tolist(), stood[codes].tolist(), strict=True)
    }


def device_states(tallies: Tallies, kinds: int) -> list[SettingState | None]:
    """Return the gravest state of devices of each kind; ``None`` of those that no policy reaches."""
    found = tallies.which([(STATE, state) for state in STATES], kinds)
    return [None if state == UNKNOWN else STATES[state] for state in found.tolist()]


def devices_of(image: FleetImage, listed: Counts, silent: Counts) -> fleet_counts.Counts:
    """Count devices by what they are; ``silent`` are those of them that were not in touch for long."""
    kinds, present = image.listed_kinds, image.present
    listed, silent = listed * present, silent * present
    impaired = kinds.where("impaired", bool)
    health: Counter[Health] = Counter()
    for key, number in (
        (Health.IMPAIRED, (listed - silent)[impaired].sum()),
        (Health.ACTIVE, (listed - silent)[~impaired].sum()),
        (Health.INACTIVE, silent.sum()),
    ):
        health[key] = int(number)
    return fleet_counts.Counts(
        platforms=Counter(kinds.count_by("os_type", listed)),
        states=Counter({DeviceState(state): number for state, number in kinds.count_by("state", listed).items()}),
        health=health,
        managed_by=Counter(kinds.count_by("managed_by", listed)),
        enrollment_codes=Counter(kinds.count_by("enrollment_code", listed)),
        devices=int(listed.sum()),
        repaired_devices=int(listed[kinds.where("repaired", bool)].sum()),
        repaired_settings=kinds.total("repaired", listed),
        drifted_devices=int(listed[kinds.where("drifted", bool)].sum()),
        drifted_settings=kinds.total("drifted", listed),
    )


def agent_versions(image: FleetImage, listed: Counts) -> dict[str, int]:
    """Count the devices by the version of their agent, the commonest ones first and at most fifty of them."""
    counts = image.listed_kinds.count_by("agent_version", listed * image.present)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_VERSIONS])


def _troubled(image: FleetImage, tallies: Tallies, stood: Counts) -> dict[SettingState, tuple[Pair, ...]]:
    states = tallies.which([(STATE, state) for state in TROUBLES], len(stood))
    found: dict[SettingState, Counter[Pair]] = {}
    codes = np.flatnonzero((states != UNKNOWN) & (stood > 0))
    for code, state, number in zip(codes.tolist(), states[codes].tolist(), stood[codes].tolist(), strict=True):
        target, status, *_ = image.stood_kinds.values(code)
        if status is not None:
            found.setdefault(TROUBLES[state], Counter())[target, status] += number
    return {state: tuple(pair for pair, _ in pairs.most_common(MOST_PAIRS)) for state, pairs in found.items()}
