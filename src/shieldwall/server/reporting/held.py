"""One tenant's fleet in memory, and every question that it answers. Safe to ask from several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import numpy as np
from pyroaring import BitMap
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest, GroupId, PolicyId, TenantId
from shieldwall.server.access.grants import WHOLE, Scope
from shieldwall.server.manager.policy_reports import StateOfAlike
from shieldwall.server.manager.statuses import PolicyCounts
from shieldwall.server.reporting import counting
from shieldwall.server.reporting.counting import Protection, Standing
from shieldwall.server.reporting.explaining import Explaining
from shieldwall.server.reporting.image import Chosen, FleetImage
from shieldwall.server.reporting.kinds import Mask, Numbers
from shieldwall.server.reporting.slices import EVERYTHING, Slice, both, fitting, members_of, seen_within
from shieldwall.server.reporting.tallies import Tallies
from shieldwall.server.storage.fleets.fleet_counts import Counts as DeviceCounts
from shieldwall.server.storage.reports.report_rows import Alike

T = TypeVar("T")
EVERYWHERE: Final = (WHOLE,)
_MOST_KEPT: Final = 32
_NONE: Final[Numbers] = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contact:
    """Who was in touch, as of a moment: that changes with the hour, and no change of a device tells it."""

    as_of: datetime
    inactive: BitMap
    """Devices that were not in touch for so long that what they last said says nothing."""
    in_touch: BitMap
    """Devices whose last check-in was in the last minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """Devices by what they are."""

    counts: DeviceCounts
    agent_versions: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class HeldFleet:
    """The devices of a tenant, what they count as, and how old that is."""

    tenant_id: TenantId
    catalog: Catalog
    image: FleetImage = field(default_factory=FleetImage)
    tallies: Tallies = field(default_factory=Tallies)
    groups_by_tag: Mapping[str, Collection[GroupId]] = field(default_factory=dict)
    """Groups by the scope tags under which they are listed."""
    contact: Contact | None = None
    as_of: datetime | None = None
    """Of which moment the devices are."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    explaining: Explaining = field(init=False)
    _kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    _kept_of: tuple[object, ...] = ()
    """What can change of it: the version of the image, who was in touch, what is listed under which tag."""
    _explained_of: int = -1
    _revisions: Mapping[PolicyId, frozenset[Digest]] = field(default_factory=dict)
    _revisions_of: int = -1

    def __post_init__(self) -> None:
        """Make what explains the kinds of this tenant."""
        self.explaining = Explaining(self.catalog, self.tenant_id)

    def explain(self, connection: Connection) -> None:
        """Explain the kinds that came since; the connection shows the fleet as it is here. Raises: TooVariedError."""
        with self.lock:
            new = self._unexplained()
            if len(new):
                stood = self.image.everybody().stood
                commonest = new[np.argsort(-stood[new], kind="stable")].tolist()  # the others are exceptions to it
                self.explaining.explain(
                    connection,
                    self.tallies,
                    {code: Alike(*self.image.stood_kinds.values(code)) for code in commonest},
                )

    def compact(self) -> None:
        """Let go of kinds that nobody is of any more."""
        with self.lock:
            before = self.image.stood_kinds
            if not self.image.compact():
                return
            after = self.image.stood_kinds
            if after is not before:
                self.tallies.move(after.numbers_of(before))
                self.explaining.forget_targets({Digest(target) for target in after.distinct("target")})

    @property
    def is_explained(self) -> bool:
        """Whether it is known of every device what it counts as."""
        with self.lock:
            return not len(self._unexplained())

    def standing(self, asked: Slice = EVERYTHING, scopes: Iterable[Scope] = EVERYWHERE) -> Standing:
        """Say how the devices of a slice stand that are seen within some scopes."""
        chosen = asked, tuple(scopes)
        return self._counted(
            ("standing", *chosen),
            lambda: counting.standing_of(
                self.image, self.tallies, self.explaining.contested, self.choose(*chosen).stood
            ),
        )

    def devices(self, asked: Slice = EVERYTHING, scopes: Iterable[Scope] = EVERYWHERE) -> DeviceFigures | None:
        """Count the devices of a slice by what they are; ``None`` where that is not known."""
        chosen = asked, tuple(scopes)
        return self._counted(("devices", *chosen), lambda: self._devices(*chosen))

    def in_touch(self, scopes: Iterable[Scope] = EVERYWHERE) -> int | None:
        """Count the devices that were in touch in the last minutes; ``None`` where that is not known."""
        with self.lock:
            if self.contact is None:
                return None
            members, _ = self._among(EVERYTHING, scopes)
            return len(self.contact.in_touch if members is None else self.contact.in_touch & members)

    def counts_of_policy(
        self, policy_id: PolicyId, asked: Slice = EVERYTHING, scopes: Iterable[Scope] = EVERYWHERE
    ) -> PolicyCounts:
        """Count the devices of a policy by state."""
        chosen = asked, tuple(scopes)
        return self._counted(
            ("policy", policy_id, *chosen),
            lambda: counting.counts_of_policy(self.tallies, self.choose(*chosen).stood, policy_id),
        )

    def counts_of_policies(
        self, asked: Slice = EVERYTHING, scopes: Iterable[Scope] = EVERYWHERE
    ) -> Mapping[PolicyId, PolicyCounts]:
        """Count the devices of every policy by state."""
        chosen = asked, tuple(scopes)
        return self._counted(
            ("policies", *chosen), lambda: counting.counts_of_policies(self.tallies, self.choose(*chosen).stood)
        )

    def protection(self, asked: Slice = EVERYTHING, scopes: Iterable[Scope] = EVERYWHERE) -> Protection:
        """Count the devices by their gravest state."""
        chosen = asked, tuple(scopes)
        return self._counted(
            ("protection", *chosen), lambda: counting.protection_of(self.tallies, self.choose(*chosen).stood)
        )

    def states_of_policy(self, policy_id: PolicyId) -> Mapping[Alike, StateOfAlike]:
        """Return the state of a policy on devices that are alike, for each such set."""
        with self.lock:
            return counting.states_of_policy(self.image, self.tallies, self.image.everybody().stood, policy_id)

    def has_only(self, policy_id: PolicyId, digest: Digest) -> bool:
        """Whether devices that have a policy have this revision of it: others are still to be told of it."""
        with self.lock:
            if self._revisions_of != self.image.version:
                self._revisions = self._revisions_in_use()
                self._revisions_of = self.image.version
            return self._revisions.get(policy_id, frozenset({digest})) <= {digest}

    def choose(self, asked: Slice, scopes: Iterable[Scope]) -> Chosen:
        """Count the devices of a slice by kind."""
        return self.image.choose(*self._among(asked, scopes))

    def _devices(self, asked: Slice, scopes: tuple[Scope, ...]) -> DeviceFigures | None:
        if self.contact is None:
            return None
        members, fits = self._among(asked, scopes)
        listed = self.image.choose(members, fits).listed
        silent = self.contact.inactive
        if members is None:
            silent_kinds = self.image.choose_followed(silent, fits).listed
        else:
            silent_kinds = self.image.choose(silent & members, fits).listed
        return DeviceFigures(
            counts=counting.devices_of(self.image, listed, silent_kinds),
            agent_versions=counting.agent_versions(self.image, listed),
        )

    def _counted(self, key: Hashable, count: Callable[[], T]) -> T:
        """Count, or return what was counted under this name since something changed."""
        with self.lock:
            now = self.image.version, self.contact, self.groups_by_tag
            if self._kept_of != now:
                self._kept.clear()
                self._kept_of = now
            if key not in self._kept:
                self._kept[key] = count()
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            found: T = self._kept[key]
            return found

    def _unexplained(self) -> Numbers:
        """Return the kinds that devices are of and nobody explained; once there is none, there is until they change."""
        if self._explained_of == self.image.version:
            return _NONE
        found = self.tallies.unknown(self.image.everybody().stood)
        if not len(found):
            self._explained_of = self.image.version
        return found

    def _revisions_in_use(self) -> dict[PolicyId, frozenset[Digest]]:
        found: dict[PolicyId, set[Digest]] = {}
        for digest in self.image.stood_kinds.count_by("target", self.image.everybody().stood):
            target = self.explaining.targets.get(digest)
            for item in () if target is None else target.items:
                found.setdefault(item.policy_id, set()).add(item.digest)
        return {policy: frozenset(digests) for policy, digests in found.items()}

    def _among(self, asked: Slice, scopes: Iterable[Scope]) -> tuple[BitMap | None, Mask | None]:
        seen = seen_within(self.image, scopes, self.groups_by_tag)
        return both(members_of(self.image, asked), seen), fitting(self.image, asked)
