"""Who stands before the engine: nothing is enforced, let go of or believed that was not proven here.

The agent brings signed documents, and its own word counts for nothing. For every new target the order is: time → pin →
manifest → its policies → class of the change → on the shelf → pin raised → engine. A crash between any two leaves the
old target or the new one, whole; ``start`` finishes what was begun, before there is a network or an agent.

The same warden works in the applier's process and, for a root of its own, inside the agent's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from shieldwall.agent.applier import adoption, authority, probation, window
from shieldwall.agent.applier.authority import Claim
from shieldwall.agent.applier.change import Judge, Wanted
from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.applier.evidence import Evidence, Stored
from shieldwall.agent.applier.grounds import OwnServicesKeeper
from shieldwall.agent.applier.leave import Leave
from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import Authority, Pin, PinFile
from shieldwall.agent.applier.ports import (
    LEAVING,
    PASSIVE,
    TROUBLESHOOTING,
    Asker,
    Engine,
    Held,
    Missing,
    Say,
    Surroundings,
)
from shieldwall.agent.applier.refusals import NotPinnedError
from shieldwall.agent.applier.signed_time import corrected_by
from shieldwall.agent.applier.transaction import NOBODY, Seen
from shieldwall.agent.applier.unheard import Unheard
from shieldwall.agent.applier.window import Present
from shieldwall.agent.host.errors import HostError
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import Envelope, Manifest
from shieldwall.contract.status import StatusReport

MOST_RESTORED: Final = 64


class Warden(Struct, kw_only=True):
    """Verifies, remembers, and lets the engine work."""

    pins: PinFile
    evidence: Evidence
    engine: Engine
    machine: Surroundings
    judge: Judge
    clock: Clock
    nonces: Nonces
    say: Say
    platform: str = "linux"
    unheard: Unheard = field(default_factory=Unheard)
    services: OwnServicesKeeper | None = None
    """Our own services, where something runs them."""
    restored: tuple[str, ...] = ()
    """What of our services was put back, of which nobody has heard yet."""

    # What anybody may ask

    def pin(self) -> Pin | None:
        """Return whom this device obeys. Raises: PinDamagedError, HostError."""
        return self.pins.find()

    def now(self) -> datetime:
        """Return the time that signed documents are judged by."""
        return authority.trusted_now(self.pins.find(), self.clock.now())

    def unconfirmed(self) -> Unconfirmed | None:
        """Return the change that goes back unless it is confirmed."""
        return self.engine.unconfirmed()

    # Whom this device obeys, and who it is

    def adopt(self, asker: Asker, wanted: Authority | None, claim: Claim | None) -> None:
        """Pin a tenant, which root alone may, and take a proven identity for the next manifest to confirm.

        Raises:
            PinRefusedError: Another tenant is pinned, or the asker may pin none.
            NotPinnedError: A device claims to be one of a tenant that nobody has pinned.
            DeviceProofError: Its key has not signed that over one of our nonces.
        """
        pin = self.pins.find()
        adopted = pin
        if wanted is not None and (pin is None or wanted != pin.authority):
            adopted = adoption.obeying(asker, pin, wanted)
        if claim is not None:
            adopted = adoption.claimed(adopted, claim, self.nonces)
        if adopted is not None and adopted != pin:
            self.pins.put(adopted)
            claims = adopted.successor or adopted.device
            self.say("pinned", tenant=adopted.authority.tenant_id, device=None if claims is None else claims.id)

    # What holds

    def apply(
        self, envelope: Envelope, policies: Iterable[Envelope], *, time: Envelope | None = None
    ) -> StatusReport | Held | Missing:
        """Make a manifest hold, once it and everything it names is proven.

        Raises:
            NotPinnedError, RefusedDocumentError: It is not proven; what holds stays.
            SuccessorWeakerError: It is for another device than this protected one is so far, and protects less.
            ShieldwallError: As the engine's ``enforce``.
        """
        pin = self._timed(self._pinned(), time)
        accepted = authority.believed(pin, envelope, self._trusted(pin))
        manifest = accepted.manifest
        if pin.leaving or manifest.offboard:
            return Held(why=LEAVING)  # an order is no target: ``release`` carries it out
        self.evidence.keep(pin, manifest, policies)
        documents, missing = self.evidence.documents(pin, manifest)
        if missing:
            return Missing(digests=missing)
        wanted = Stored(believed=accepted, documents=documents)
        if accepted.floor != pin.floor:
            pin = self._taken(pin, wanted, envelope)
        return self._enforce(pin, wanted)

    def refresh(self, *, heard: bool = True, seen: Seen = NOBODY) -> StatusReport | Held:
        """Look at the device again, and put back what somebody changed. Nobody hears the report where ``heard`` is not.

        ``seen`` says who was seen changing which file.

        Raises:
            ShieldwallError: As the engine's ``refresh``.
        """
        pin = self.pins.find()
        if pin is None:
            return StatusReport()
        if pin.leaving:
            return Held(why=LEAVING)
        believed = self.evidence.in_force(pin)
        if believed is not None and self._is_open(pin, believed.manifest):
            return Held(why=TROUBLESHOOTING)
        if believed is not None and pin.enforced != believed.manifest.target:
            stored = self.evidence.stored(pin)
            if stored is not None:
                return self._enforce(pin, stored)  # the time is over, or a crash came between shelf and engine
        if self.machine.survey().is_passive:
            return Held(why=PASSIVE)
        report = self.engine.refresh(seen)
        return self.unheard.told(report) if heard else self.unheard.noted(report)

    def start(self) -> StatusReport | Held | None:
        """After a start: undo or finish what was interrupted, then enforce what is on the shelf. No network needed.

        Raises:
            ShieldwallError: As the engine; the next ``refresh`` tries again.
        """
        pin = self.pins.find()
        if pin is None:
            self.engine.recover()
            return None
        if pin.leaving:
            self._let_go(pin)
            return None
        stored = self.evidence.stored(pin)
        lets_go = stored is not None and not stored.manifest.items
        if not lets_go and self.machine.survey().is_passive:
            return Held(why=PASSIVE)
        self.engine.recover()
        if stored is None:
            return self.unheard.noted(self.engine.refresh())
        if stored.believed.floor != pin.floor:  # a crash came between shelf and pin
            pin = stored.believed.upon(pin)
            self.pins.put(pin)
        return self._enforce(pin, stored, heard=False, is_start=True)

    def tick(self) -> bool:
        """Take back a change that nobody confirmed in time; say whether there was one."""
        return probation.take_back(self.engine, self.say)

    def confirm(self, statement: Envelope) -> None:
        """Keep the change that waits. Raises: as ``probation.confirm``."""
        probation.confirm(self.engine, self._pinned(), statement, self.say)

    # Our own services

    def guard(self) -> None:
        """Keep our services as the package brought them while this device is protected. Raises: HostError."""
        if self.services is None:
            return
        pin = self.pins.find()
        protected = pin is not None and pin.protected and not pin.leaving
        if pin is not None and protected and (believed := self.evidence.in_force(pin)) is not None:
            protected = not self._is_open(pin, believed.manifest)
        found = self.services.look(protected=protected, is_onboarded=pin is not None and pin.device is not None)
        for each in found:
            self.say("ownServiceRestored", what=each)
        self.restored = tuple(dict.fromkeys((*self.restored, *found)))[:MOST_RESTORED]

    def is_going_down(self) -> bool:
        """Say whether our services end because the machine does, or because the package exchanges them."""
        return self.services is None or self.services.is_going_down()

    def heard_of_restored(self) -> tuple[str, ...]:
        """Hand over what was put back, once."""
        restored, self.restored = self.restored, ()
        return restored

    # Leaving

    def release(
        self,
        asker: Asker,
        *,
        manifest: Envelope | None = None,
        package: Envelope | None = None,
        time: Envelope | None = None,
    ) -> None:
        """Let go of everything and obey nobody, by a signed order, a package, or root's word where that counts.

        What was allowed once is carried through, however often it is interrupted.

        Raises:
            TamperProtectedError: Root's word does not count on this device.
            LeaveRefusedError: What was shown is no leave to go.
            RefusedManifestError, InvalidPackageError: It does not hold; each reason has its code.
            ReleaseIncompleteError: A product would not let go; releasing again tries again.
        """
        pin = self.pins.find()
        if pin is None:
            if asker.is_root:
                self.engine.release()  # of what an applier that was never pinned may have enforced
            return
        pin = self._timed(pin, time)
        if not pin.leaving:
            leave = Leave(manifest=manifest, package=package)
            self.say("leaving", by=leave.check(asker, pin, self.platform, self._trusted(pin)))
            pin = replace(pin, leaving=True)
            self.pins.put(pin)
        self._let_go(pin)

    def _let_go(self, pin: Pin) -> None:
        self.engine.release()
        self.evidence.shelf.clear()
        self.unheard.clear()
        self.pins.drop()
        self.guard()  # whoever has leave to go may stop our services and remove them at once
        self.say("left", tenant=pin.authority.tenant_id)

    # How

    def _pinned(self) -> Pin:
        pin = self.pins.find()
        if pin is None:
            raise NotPinnedError("Nobody has said whom this device obeys.")
        return pin

    def _trusted(self, pin: Pin) -> datetime:
        return authority.trusted_now(pin, self.clock.now())

    def _timed(self, pin: Pin, statement: Envelope | None) -> Pin:
        """Learn how far the clock is off, by time that was signed for a nonce of ours a moment ago."""
        if statement is None:
            return pin
        corrected = corrected_by(statement, pin, self.nonces, self.clock.now())
        if corrected != pin:
            self.pins.put(corrected)
        return corrected

    def _taken(self, pin: Pin, wanted: Stored, envelope: Envelope) -> Pin:
        """Make a new manifest the one in force: judged, on the shelf, and the floors raised."""
        before = self.evidence.stored(pin)
        change = self.judge(Wanted() if before is None else before.wanted(pin), wanted.wanted(pin))
        self.say(
            "newTarget",
            version=wanted.believed.floor.version,
            kind=change.kind,
            settings=change.settings,
            weakened=list(change.weakened),
        )
        adoption.check_successor(pin, wanted.believed, change)
        self.evidence.shelf.put_manifest(envelope)
        pin = replace(wanted.believed.upon(pin), change=change)
        self.pins.put(pin)
        return pin

    def _enforce(self, pin: Pin, stored: Stored, *, heard: bool = True, is_start: bool = False) -> StatusReport | Held:
        manifest = stored.manifest
        if self._is_open(pin, manifest):
            return Held(why=TROUBLESHOOTING)
        if manifest.items and self.machine.survey().is_passive:
            return Held(why=PASSIVE)
        wanted = stored.wanted(pin)
        report = self.engine.enforce(wanted.documents, target=manifest.target, terms=wanted.terms, is_start=is_start)
        pin = self._pinned()
        if pin.enforced != manifest.target:
            self.pins.put(replace(pin, enforced=manifest.target))
        self.evidence.shelf.keep_policies({item.digest for item in manifest.items})
        return self.unheard.told(report) if heard else self.unheard.noted(report)

    def _is_open(self, pin: Pin, manifest: Manifest) -> bool:
        """Say whether there is time for troubleshooting, and count it down on disk."""
        present = Present(time=self._trusted(pin), boot_id=self.machine.boot_id(), uptime=self.machine.uptime())
        try:
            record = window.counted(manifest, pin.window, present)
        except ValueError:
            return False
        if record != pin.window:
            try:
                self.pins.put(replace(self._pinned(), window=record))
            except HostError:  # a disk that takes nothing ends no count: it goes on from what stands there
                if record is None or pin.window is None or pin.window.until != record.until:
                    raise
        return record is not None and record.seconds_left > 0
