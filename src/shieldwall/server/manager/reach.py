"""Whom the changes of one transaction reach, and whether they are worked out at once or taken up device by device.

What few devices are reached by is worked out in the transaction of the change. Of more, only the change is committed,
and the version of the tenant raised: the next check-in of every device then finds that it is behind, and catches up
before it is answered (``catching_up``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from shieldwall.contract.ids import AssignmentFilterId, DeviceId, PolicyId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.policies import aims, assignments
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import Assignment, AssignmentKind


@dataclass(slots=True)
class Reach:
    """Devices that changes reach, followed no further than to know that they are many.

    Somebody who is behind may be missing, or be there for nothing: that device finds its target anew in any case.
    """

    connection: Connection
    acting: Acting
    found: set[DeviceId] = field(default_factory=set)
    is_of_many: bool = False

    def everybody(self) -> None:
        """Add all devices of the tenant that may check in."""
        if not self.is_of_many:
            self._add(devices.speaking_ids(self.connection, self.acting.tenant_id, self._enough))

    def policy(self, policy_id: PolicyId) -> None:
        """Add every device that a policy is assigned to now, those that an exclusion takes out included."""
        for assignment in assignments.of_policy(self.connection, policy_id):
            if self.is_of_many:
                return
            match assignment:
                case Assignment(kind=AssignmentKind.ALL_DEVICES):
                    self.everybody()
                case Assignment(kind=AssignmentKind.INCLUDE, group_id=str(group)):
                    self._add(group_members.member_ids(self.connection, group, self._enough))
                case _:
                    pass  # an exclusion alone brings a policy to nobody

    def filter(self, filter_id: AssignmentFilterId) -> None:
        """Add every device of the policies that a filter narrows, those included that it keeps them from."""
        for policy_id in {each.policy_id for each in assignments.of_filter(self.connection, filter_id)}:
            self.policy(policy_id)

    def aim(self, kind: ChangeKind, object_id: str | None = None) -> None:
        """Aim policies anew at these devices, or let them find out for themselves; the changes are made.

        The caller holds ``targets.lock`` since before the first of them. ``object_id`` is what changed.
        """
        now = self.acting.clock.now()
        if not self.is_of_many:
            retarget(self.connection, self.found, now)
            return
        targets.lock(self.connection)
        aims.raise_version(self.connection, self.acting.tenant_id, kind, object_id, at=now, actor=self.acting.actor)

    @property
    def _enough(self) -> int:
        """As many devices of one kind tell that they are too many, whichever are known already."""
        return self.acting.most_at_once + 1

    def _add(self, device_ids: frozenset[DeviceId]) -> None:
        self.found |= device_ids
        self.is_of_many = len(self.found) > self.acting.most_at_once
