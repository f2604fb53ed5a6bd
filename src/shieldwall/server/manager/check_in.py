"""The check-in: a device reports, and asks what to enforce.

It has two halves, because signing must not hold up the writer. ``record`` runs inside the transaction that makes the
check-in durable:

1. take the sequence number, unless the device has first to catch up with changes; a repeat gets its answer again,
   anything else is refused; note a new place, and what the device understands;
2. keep the facts, if they came: they may move the device between groups, and so change its target;
3. keep the report, if it came, or point to the same report of another device;
4. raise alerts, if it tells of attempts to undo what is managed;
5. compare what the device has with what the server holds.

Of a device that is told to leave nothing is kept any more: it gets its order. One in quarantine gets a target only if
that strengthens the one it has.

Mostly everything is equal, and one narrow row is all that is written: ``bringing_nothing`` knows such check-ins by
what they say, and many are taken at once (``unchanged``); what turns out to need more is decided by ``record``
like any other. Else ``answer`` signs the manifest after the commit, and ``keep`` stores the answer for a repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import (
    DEFAULT_CHECK_IN_SECONDS,
    PROTOCOL,
    CheckInAnswer,
    CheckInRequest,
    DeviceFacts,
    Have,
    PlainCheckIn,
)
from shieldwall.contract.status import StatusReport
from shieldwall.contract.target import Target
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.directory.enrollment import enrolled_anew, matters
from shieldwall.server.directory.facts import with_facts
from shieldwall.server.directory.membership import matches_otherwise, reevaluate_device
from shieldwall.server.manager import clone_watch
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.strengthening import strengthens
from shieldwall.server.manager.tampering import raise_tamper_alerts
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.manager.turns import CallingDevice, OvertakenError, is_fresh, repeated
from shieldwall.server.signer.ports import Signers
from shieldwall.server.storage.check_ins import check_ins, statuses, targets
from shieldwall.server.storage.check_ins.check_ins import Known
from shieldwall.server.storage.check_ins.unchanged import Asked
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.devices.sightings import SightingKind, place
from shieldwall.server.storage.policies import aims
from shieldwall.trust import moments

Part: TypeAlias = Literal["facts", "report"]
_SPREAD: Final = 10
"""Check-ins are spread by this many per cent either way."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Device and server hold the same: 204."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredBefore:
    """The request is a repeat, and this is the answer that was lost on its way."""

    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ToAnswer:
    """Something differs. ``target`` is what the device shall enforce from now on, absent if that did not change."""

    caller: CallingDevice
    seq: int
    target: Target | None
    want: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """Nothing was processed: the device has first to take up what changed in its tenant (``catching_up``)."""


Outcome: TypeAlias = Unchanged | AnsweredBefore | ToAnswer | Behind


def bringing_nothing(caller: CallingDevice, request: PlainCheckIn, body_digest: Digest) -> Asked:
    """Put a check-in without facts, report and attempts as the question whether there is anything to say to it."""
    return Asked(
        device=caller.id,
        key=caller.key,
        epoch=request.epoch,
        seq=request.seq,
        digest=body_digest,
        target=request.have.target,
        facts=request.have.facts,
        status=request.have.status,
        place=place(request.instance_id, request.boot_id),
        protocol=min(request.protocol, PROTOCOL),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn:
    """A device reports, and asks what to enforce."""

    signers: Signers
    clock: Clock
    acting_for: Callable[[CallingDevice], Acting]
    catalog: Callable[[], Catalog]
    """Asked for when a device in quarantine has another target, and never before."""

    def record(
        self, connection: Connection, caller: CallingDevice, request: CheckInRequest, body_digest: Digest
    ) -> Outcome:
        """Make a check-in durable and find out what there is to answer.

        Raises:
            OvertakenError: While it was processed, something changed that the device has first to take up.
            SequenceConflictError: The number was used before; nothing was processed.
            DeviceNotActiveError: The device may not speak any more, or not with this key.
            CertificateExpiredError: Its certificate has ended.
        """
        known = check_ins.check_in(
            connection,
            caller.id,
            key=caller.key,
            epoch=request.epoch,
            seq=request.seq,
            digest=body_digest,
            at=self.clock.now(),
        )
        if known is None:
            return self._repeat(connection, caller, request, body_digest)
        if known.seen != place(request.instance_id, request.boot_id):
            known = self._keep_place(connection, caller, request, body_digest, known)
        if known.protocol != (protocol := min(request.protocol, PROTOCOL)):
            known = self._keep_protocol(connection, caller, protocol, known)
        if known.state is DeviceState.LEAVING:
            return self._compare(connection, caller, request, known)
        if request.attempts:
            raise_tamper_alerts(connection, caller, request, self.clock.now())
        if request.facts is not None:
            known = self._keep_facts(connection, caller, request.facts, known)
        if request.report is not None:
            known = self._keep_report(connection, caller, request.report, known)
        elif request.have.status != known.status:
            known = self._adopt_report(connection, caller, request.have.status, known)
        return self._compare(connection, caller, request, known)

    def answer(self, outcome: ToAnswer) -> bytes:
        """Write the answer, with a freshly signed manifest if the target changed. Call it after the commit."""
        manifest = None
        if outcome.target is not None:
            caller = outcome.caller
            manifest = self.signers.for_tenant(caller.tenant_id).sign_manifest(
                tenant_id=caller.tenant_id,
                device_id=caller.id,
                device_key=caller.key,
                items=outcome.target.items,
                conflict_rules=outcome.target.conflict_rules,
                protection=outcome.target.protection,
                offboard=outcome.target.offboard,
                enrollment=outcome.target.enrollment,
            )
        return strict_json.encode(
            CheckInAnswer(
                ack_seq=outcome.seq,
                next_check_in_seconds=next_check_in_seconds(outcome.caller.id),
                server_time=moments.write(self.clock.now()),
                manifest=manifest,
                want=outcome.want,
            )
        )

    def keep(self, connection: Connection, outcome: ToAnswer, body: bytes) -> None:
        """Keep the answer for the case that it is lost on its way and asked for again."""
        check_ins.keep_answer(connection, outcome.caller.id, outcome.seq, body)

    def _repeat(
        self, connection: Connection, caller: CallingDevice, request: CheckInRequest, body_digest: Digest
    ) -> Outcome:
        numbered = Numbered(request.epoch, request.seq, body_digest)
        if is_fresh(connection, caller, numbered, self.clock.now()):
            return Behind()
        last = repeated(connection, caller, numbered, self.clock.now())
        kept = check_ins.find_answer(connection, caller.id, request.seq)
        if kept is not None:
            return AnsweredBefore(body=kept)
        if aims.behind(connection, [caller.id]):
            return Behind()
        # It was answered with 204, or the server stopped before the answer was kept: comparing again has no effect.
        state = devices.get(connection, caller.id).state
        known = Known(last.target_digest, last.facts_digest, last.status_digest, state, None, last.protocol)
        return self._compare(connection, caller, request, known)

    def _keep_place(
        self,
        connection: Connection,
        caller: CallingDevice,
        request: CheckInRequest,
        body_digest: Digest,
        known: Known,
    ) -> Known:
        quarantined = clone_watch.saw(
            connection,
            self.acting_for(caller),
            caller.id,
            kind=SightingKind.CHECK_IN,
            instance_id=request.instance_id,
            boot_id=request.boot_id,
            request_digest=body_digest,
            epoch=request.epoch,
        )
        return replace(known, state=DeviceState.QUARANTINED) if quarantined else known

    def _keep_protocol(self, connection: Connection, caller: CallingDevice, protocol: int, known: Known) -> Known:
        check_ins.set_protocol(connection, caller.id, protocol)
        targets.lock(connection)
        if aims.behind(connection, [caller.id]):
            raise OvertakenError
        return replace(known, protocol=protocol, target=self._aimed_anew(connection, caller, known))

    def _keep_facts(self, connection: Connection, caller: CallingDevice, facts: DeviceFacts, known: Known) -> Known:
        digest = strict_json.digest_of(facts)
        if digest == known.facts:
            return known
        check_ins.set_facts(connection, caller.id, digest)
        before = self._held(connection, caller, facts)
        device = enrolled_anew(connection, self.acting_for(caller), before, with_facts(before, facts))
        devices.put(connection, device)
        asked_for = attributes_of(device) != attributes_of(before)  # another catalog moves nobody between groups
        moved = asked_for and bool(reevaluate_device(connection, self.acting_for(caller), device))
        aims_otherwise = moved or _aims_otherwise(before, device) or matches_otherwise(connection, before, device)
        target = self._aimed_anew(connection, caller, known) if aims_otherwise else known.target
        return replace(known, target=target, facts=digest)

    def _aimed_anew(self, connection: Connection, caller: CallingDevice, known: Known) -> Digest | None:
        if not retarget(connection, [caller.id], self.clock.now()):
            return known.target
        check_ins.clear_sync(connection, caller.id)  # it gets the new target in this very answer
        return check_ins.get(connection, caller.id).target_digest

    def _held(self, connection: Connection, caller: CallingDevice, facts: DeviceFacts) -> Device:
        """Return the calling device to be changed; the lock of targeting comes first where targets may follow."""
        before = devices.get(connection, caller.id)
        told = with_facts(before, facts)
        if attributes_of(told) != attributes_of(before) or matters(told) != matters(before):
            targets.lock(connection)
        held = devices.hold(connection, caller.id)
        assert held is not None, "a device that checks in is there: its row of check-ins is locked"
        return held

    def _keep_report(self, connection: Connection, caller: CallingDevice, report: StatusReport, known: Known) -> Known:
        digest = statuses.keep(connection, caller.tenant_id, report)
        if digest != known.status:
            check_ins.set_status(connection, caller.id, digest, self.clock.now())
        return replace(known, status=digest)

    def _adopt_report(
        self, connection: Connection, caller: CallingDevice, digest: Digest | None, known: Known
    ) -> Known:
        """Take a report by its name alone where another device of its tenant sent the same one."""
        if digest is None or not statuses.exists(connection, caller.tenant_id, digest):
            return known
        check_ins.set_status(connection, caller.id, digest, self.clock.now())
        return replace(known, status=digest)

    def _compare(self, connection: Connection, caller: CallingDevice, request: CheckInRequest, known: Known) -> Outcome:
        want: tuple[Part, ...] = ()
        is_leaving = known.state is DeviceState.LEAVING
        if request.facts is None and request.have.facts != known.facts and not is_leaving:
            want += ("facts",)
        if request.report is None and request.have.status != known.status and not is_leaving:
            want += ("report",)
        target = self._to_hand_over(connection, caller, request.have, known)
        if target is None and not want:
            return Unchanged()
        return ToAnswer(caller=caller, seq=request.seq, target=target, want=want)

    def _to_hand_over(self, connection: Connection, caller: CallingDevice, have: Have, known: Known) -> Target | None:
        if known.target is None or have.target == known.target:
            return None
        target = targets.get(connection, caller.tenant_id, known.target)
        if known.state is not DeviceState.QUARANTINED:
            return target
        device = devices.get(connection, caller.id)
        better = strengthens(connection, self.catalog(), device, has=have.target, wanted=target)
        return target if better else None


def _aims_otherwise(before: Device, device: Device) -> bool:
    """Say whether other policies may reach a device, whatever its groups and filters."""
    return (before.enrollment_code, before.is_domain_controller) != (
        device.enrollment_code,
        device.is_domain_controller,
    )


def next_check_in_seconds(device_id: DeviceId) -> int:
    """Return how long a device waits: ninety minutes, spread so that a fleet that starts together does not stay so."""
    share = int.from_bytes(hashlib.sha256(device_id.encode()).digest()[:4], "big") / 2**32
    return round(DEFAULT_CHECK_IN_SECONDS * (1 + _SPREAD / 100 * (2 * share - 1)))
