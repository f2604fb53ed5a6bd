"""What administrators have defined for the fleet of a day, over the server's own targeting index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shieldwall.contract.ids import DeviceId, GroupId, PolicyId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.membership import parse_rule
from shieldwall.server.manager.targeting import Aim
from shieldwall.server.storage.records import Assignment, AssignmentKind
from shieldwall.server.targeting.definitions import AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import PROPERTIES, Devices, Fleet, Trait, array_of
from shieldwall.server.targeting.hashes import SECRET_BYTES, Hasher
from shieldwall.server.targeting.index import FleetIndex
from shieldwall.simulator.day.people import DEPARTMENTS, KINDS, MODELS, SITES, SYSTEMS, People, Whole

_PORTION: Final = 100_000
_MANAGED: Final = Trait(Aim.MANAGED, understands=True)
_POLICY_OF_LAPTOPS: Final = 0
_GROUP_OF_RULE: Final = "rule"


class Aiming:
    """Groups, policies and the targeting index over them. Every change says what it cost this process."""

    def __init__(self, fleet: People) -> None:
        """Tell the index of all devices, and define groups and policies."""
        self.index = FleetIndex(Hasher(bytes(SECRET_BYTES)), Fleet(capacity=len(fleet)))
        begun = process_time()
        self._define(_definitions())
        for start in range(0, len(fleet), _PORTION):
            self.index.put(_devices(fleet, start, min(len(fleet), start + _PORTION)))
        self.built_seconds = process_time() - begun

    @property
    def marks(self) -> npt.NDArray[np.uint64]:
        """Half of the hash of what each device shall enforce, at its place: 64 bits tell a fleet's targets apart."""
        return self.index.fleet.board.low

    def push_policy(self) -> tuple[Whole, float]:
        """Save another revision of the policy of all laptops; return whom it reaches, and the CPU seconds it took."""
        policies = dict(self.index.definitions.policies)
        policy_id = _policy_id(_POLICY_OF_LAPTOPS)
        policy = policies[policy_id]
        policies[policy_id] = replace(policy, item=_item(_POLICY_OF_LAPTOPS, policy.item.revision + 1))
        return self._changed(lambda: replace(self.index.definitions, policies=policies))

    def change_rule(self) -> tuple[Whole, float]:
        """Let the rule of a group that has policies name the devices of two sites instead of one; as above."""
        groups = dict(self.index.definitions.groups)
        (first, _), (second, _) = SITES[0], SITES[1]
        groups[_group_id(_GROUP_OF_RULE)] = parse_rule(
            f'(device.displayName -startsWith "{first}") or (device.displayName -startsWith "{second}")'
        )
        return self._changed(lambda: replace(self.index.definitions, groups=groups))

    def _changed(self, wanted: Callable[[], Definitions]) -> tuple[Whole, float]:
        begun = process_time()
        changed = self._define(wanted())
        return changed, process_time() - begun

    def _define(self, wanted: Definitions) -> Whole:
        return array_of(self.index.define(wanted, {})).astype(np.int64)


def _definitions() -> Definitions:
    rules: dict[str, str] = {
        _GROUP_OF_RULE: f'(device.displayName -startsWith "{SITES[0][0]}")',
        **{f"kind {name}": f'(device.displayName -contains "-{name}-")' for name in KINDS},
        **{f"site {name}": f'(device.displayName -startsWith "{name}-")' for name, _ in SITES},
        **{f"system {name}": f'(device.deviceOSType -eq "{name}")' for name, _ in SYSTEMS},
        **{f"dept {number}": f'(device.extensionAttribute1 -eq "dept {number}")' for number in range(DEPARTMENTS)},
        **{f"model {number}": f'(device.deviceModel -eq "Model {number}")' for number in range(0, MODELS, 4)},
    }
    names = list(rules)
    policies: dict[PolicyId, AimedPolicy] = {}
    for number in range(2 * len(names)):
        whom = ["kind laptop"] if number == _POLICY_OF_LAPTOPS else [names[number % len(names)]]
        policies[_policy_id(number)] = AimedPolicy(
            item=_item(number, 1),
            assignments=tuple(
                Assignment(policy_id=_policy_id(number), kind=AssignmentKind.INCLUDE, group_id=_group_id(name))
                for name in whom
            ),
            is_firewall=False,
        )
    return Definitions(groups={_group_id(name): parse_rule(rule) for name, rule in rules.items()}, policies=policies)


def _devices(fleet: People, start: int, end: int) -> Devices:
    size = end - start
    columns: dict[str, list[Any]] = {name: [None] * size for name in PROPERTIES}
    numbers = range(start, end)
    systems = [SYSTEMS[each] for each in fleet.system[start:end].tolist()]
    columns["accountEnabled"] = [True] * size
    columns["deviceOSType"] = [name for name, _ in systems]
    columns["deviceOSVersion"] = [version for _, version in systems]
    columns["extensionAttribute1"] = [f"dept {each}" for each in fleet.department[start:end].tolist()]
    columns["deviceModel"] = [f"Model {each}" for each in fleet.model[start:end].tolist()]
    columns["deviceTag"] = [("MDE-Management",)] * size
    columns["devicePhysicalIds"] = [()] * size
    columns["systemLabels"] = [()] * size
    columns["displayName"] = [
        f"{SITES[site][0]}-{KINDS[kind]}-{number}"
        for site, kind, number in zip(
            fleet.site[start:end].tolist(), fleet.kind[start:end].tolist(), numbers, strict=True
        )
    ]
    ids: list[DeviceId] = fleet.ids[start:end]
    columns["deviceId"] = list(ids)
    return Devices(ids=ids, traits=[_MANAGED] * size, attributes=columns)


def _item(number: int, revision: int) -> ManifestItem:
    digest = digest_of_bytes(f"{number} {revision}".encode())
    return ManifestItem(policy_id=_policy_id(number), revision=revision, digest=digest, length=2_048)


def _policy_id(number: int) -> PolicyId:
    return PolicyId(f"cccccccc-0000-4000-8000-{number:012x}")


def _group_id(name: str) -> GroupId:
    return GroupId(f"{digest_of_bytes(name.encode())[:8]}-0000-4000-8000-{digest_of_bytes(name.encode())[8:20]}")
