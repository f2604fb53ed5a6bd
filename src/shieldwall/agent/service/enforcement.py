"""Between what is stored and what holds: hands the signed documents to whoever enforces, and keeps the report.

The applier believes none of our words, so it gets the envelopes themselves, and a proof of who this device is whenever
it knows another one. What it refuses as too old or as somebody else's is dropped here as well: the server then gives
what is current.

While there is time for troubleshooting, nothing is enforced and nothing put back; what the server sent meanwhile waits
on disk and holds when the time is over. Nor does anything happen on a device that is about to leave.

Where the survey found another manager, or a machine that cannot be managed, nothing new is written and nothing is
repaired: two managers that put back each other's changes every minute leave a device that nobody manages. What holds
goes back to its state from before management once the server has sent an empty target; a file that looks like another
manager's removes no protection by itself.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from shieldwall.agent.applier.budget import within_budget
from shieldwall.agent.applier.protocol import Outcome
from shieldwall.agent.service.delivery import Delivery
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.guard import Guard
from shieldwall.agent.service.ports import Machine
from shieldwall.agent.service.proving import Prove
from shieldwall.agent.service.records import Leaving
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.troubleshooting import Troubleshooting
from shieldwall.contract.messages import Envelope, Manifest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy, StatusReport
from shieldwall.trust.refusals import RefusedManifestError


class Enforcement(Struct, frozen=True, kw_only=True):
    """Makes the stored manifest hold. The network is asked for signed time alone, and only where a clock is off."""

    state: AgentState
    delivery: Delivery
    enforcer: Enforcer
    prove: Prove
    machine: Machine
    troubleshooting: Troubleshooting
    guard: Guard

    def stored(self) -> tuple[Manifest, tuple[PolicyDocument, ...]] | None:
        """Return what is to be enforced, ``None`` when nothing whole is stored."""
        return self.delivery.stored()

    def held_back(self) -> bool:
        """Say whether there is something to enforce that is not ours to enforce now; letting go is always."""
        if not self.machine.survey().is_passive:
            return False
        stored = self.stored()
        return stored is None or not lets_go(stored[0])

    def start(self) -> None:
        """After a start of the agent: undo or finish what a crash interrupted, then enforce what is stored.

        While the agent is held back neither is done; whatever is unfinished waits.
        """
        self.enforcer.start()
        if not self.held_back():
            self.enforce()

    def finish(self) -> None:
        """Enforce the stored manifest, unless that was completed before."""
        manifest = self.delivery.manifest()
        if manifest is not None and manifest.target != self.state.standing().enforced:
            self.enforce()

    def enforce(self) -> None:
        """Enforce the stored manifest, keep the report, and only then count it as done."""
        envelope, stored = self.state.find_manifest(), self.stored()
        if stored is None or envelope is None:
            return  # nothing whole is stored: what holds stays, and the server gives the manifest again
        manifest, _ = stored
        if self.is_leaving(manifest):
            return
        self.troubleshooting.is_open(manifest)  # counted for show
        held_before = self.state.standing().enforced == manifest.target
        report = self._handed_over(envelope).report
        if report is None:
            return
        if held_before:  # else what was found is what an earlier target, or somebody with leave to, made of it
            self.guard.note_repaired(manifest.protection, report)
        self._keep(report)
        self._done(manifest)

    def refresh(self) -> bool:
        """Look for drift, have it repaired; true when there is something new to tell."""
        manifest = self.delivery.manifest()
        noted = self.guard.look(manifest)
        if self.state.find_manifest() is None or self.is_leaving(manifest):
            return noted
        if manifest is not None:
            self.troubleshooting.is_open(manifest)  # counted for show; whoever enforces counts for itself
        was_enforced = manifest is not None and manifest.target == self.state.standing().enforced
        before = self.state.find_report()
        outcome = self.enforcer.refresh()
        noted = self.guard.note_restored(outcome.restored) or noted
        found = outcome.report
        if found is None:
            return noted
        if manifest is not None and found.target == manifest.target:
            if was_enforced:
                self.guard.note_repaired(manifest.protection, found)
            else:  # the time for troubleshooting is over, and everything went back by itself
                self._done(manifest)
                noted = True
        return self._keep(_with(found, before.refused if before else ())) or noted

    def is_leaving(self, manifest: Manifest | None) -> bool:
        """Say whether this device is about to leave management: by an order it holds, or by a package it was given."""
        ordered = manifest is not None and manifest.offboard
        return ordered or self.state.find_leaving(self.delivery.identity.device_id) is not None

    def refuse(self, refused: tuple[RefusedPolicy, ...]) -> None:
        """Report policies that were not taken; what holds stays."""
        self._keep(_with(self.state.find_report() or StatusReport(), refused))

    def release(self, leaving: Leaving | None = None) -> None:
        """Return every setting to its state from before management: by an order, a package, or our own word."""
        manifest = self.delivery.manifest()
        order = self.state.find_manifest() if manifest is not None and manifest.offboard else None
        package = None if leaving is None else leaving.package
        self.prove.where_pinned()
        self.prove.in_time(lambda time: self.enforcer.release(manifest=order, package=package, time=time))

    def _handed_over(self, envelope: Envelope) -> Outcome:
        self.prove()
        try:
            return self.prove.in_time(lambda time: self.enforcer.enforce(envelope, self.state.find_policy, time=time))
        except RefusedManifestError:
            self.state.drop_manifest()  # the applier has seen a newer one, or this is not ours any more
            raise

    def _done(self, manifest: Manifest) -> None:
        self.state.put_standing(msgspec.structs.replace(self.state.standing(), enforced=manifest.target))
        self.state.keep_policies({item.digest for item in manifest.items})

    def _keep(self, report: StatusReport) -> bool:
        report = within_budget(report)
        if report == self.state.find_report():
            return False
        self.state.put_report(report)
        return True


def lets_go(manifest: Manifest) -> bool:
    """Say whether a manifest only takes away what is enforced."""
    return not manifest.items


def _with(report: StatusReport, refused: tuple[RefusedPolicy, ...]) -> StatusReport:
    return msgspec.structs.replace(report, refused=tuple(dict.fromkeys((*report.refused, *refused))))
