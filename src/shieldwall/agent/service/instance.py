"""Which installation this is: an id drawn for one machine, so that a copy of the disk on another one shows itself.

The id is drawn when the device is onboarded. When machine id or SMBIOS UUID turn out to be others than those it was
drawn for, a new one is drawn before the next request leaves. That says "another machine", not "a thief": the server
decides from what it sees.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.records import Identity, InstanceRecord
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.messages import HardwareIds

INSTANCE_BYTES: Final = 16


class Installation(Struct, frozen=True, kw_only=True):
    """Knows the id of this installation."""

    identity: Identity
    state: AgentState
    machine: Machine
    randomness: Randomness

    def hardware(self) -> HardwareIds:
        """Hash what tells this machine from another."""
        return self.machine.hardware(self.identity.server.tenant_id)

    def id(self) -> str:
        """Return the id for this machine; a new one is on disk when this returns. Raises: HostError."""
        present = self.hardware()
        kept = self.state.find_instance()
        if kept is None:
            # Of an older agent, or lost: nobody knows which machine it was for.
            kept = InstanceRecord(instance_id=self.identity.instance_id, hardware=present)
            self.state.put_instance(kept)
        elif is_another_machine(kept.hardware, present):
            kept = InstanceRecord(instance_id=self.randomness(INSTANCE_BYTES).hex(), hardware=present)
            self.state.put_instance(kept)
        return kept.instance_id


def is_another_machine(drawn_for: HardwareIds, present: HardwareIds) -> bool:
    """Say whether a hash that is known both times is another one; one that cannot be read says nothing."""
    return any(
        before is not None and now is not None and before != now
        for before, now in (
            (drawn_for.machine_id_hash, present.machine_id_hash),
            (drawn_for.smbios_uuid_hash, present.smbios_uuid_hash),
        )
    )
