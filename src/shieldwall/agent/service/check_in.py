"""One check-in, in its order.

0. a departure that was ordered or allowed goes on, and nothing else happens
1. finish what a crash left unfinished: the stored manifest holds before anything new is asked for
2. take the next sequence number (on disk before it is sent)
3. say where this device stands: digests of target, facts and status; facts and report where the server lacks them
4. 204: device and server agree, the check-in is over
5. a manifest: verify it → fetch the policies it names and we lack → verify each → store them → switch → enforce
6. say at once what came of it (back to 2)

A report that the server does not take is left out for the rest of the check-in: a new manifest may be its cure.
Whatever fails, the device goes on enforcing what it enforced before. Where the survey found another manager, or a
machine that cannot be managed, it takes nothing but the order to let go.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from shieldwall import __version__
from shieldwall.agent.applier.budget import within_budget
from shieldwall.agent.service.attempts import Attempts
from shieldwall.agent.service.delays import until_next
from shieldwall.agent.service.delivery import Delivery
from shieldwall.agent.service.enforcement import Enforcement, lets_go
from shieldwall.agent.service.errors import ProblemAnswerError, ReportRefusedError
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.instance import Installation
from shieldwall.agent.service.offboarding import Offboard
from shieldwall.agent.service.ports import Machine
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import PROTOCOL, CheckInAnswer, CheckInRequest, DeviceFacts, Have
from shieldwall.contract.other_managers import manager_of, stays_passive
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import digest_of
from shieldwall.trust import moments

MAX_ROUNDS: Final = 4
"""A server that has something new at every round is answered at the next check-in."""


_NOT_TAKEN: Final = frozenset({400, 413})
"""Answers that the report may have brought about: too long, or not what this server reads."""


class Settled(Struct, frozen=True, kw_only=True):
    """How a check-in ended: what holds now, and when to come back; never, where this device has left."""

    next_check_in_seconds: int
    manifest_changed: bool
    rounds: int
    report: StatusReport | None
    left: bool = False
    promoted: bool = False
    """It did not come to a check-in: this device is another one now, and checks in as that."""


Told: TypeAlias = tuple[CheckInAnswer | None, ReportRefusedError | None]
"""The server's answer, and what it would not be told."""


class CheckIn(Struct, frozen=True, kw_only=True):
    """The device reports, learns what to enforce, enforces it, and reports again."""

    state: AgentState
    gateway: Gateway
    machine: Machine
    installation: Installation
    delivery: Delivery
    enforcement: Enforcement
    offboard: Offboard
    attempts: Attempts
    clock: Clock

    def __call__(self) -> Settled:
        """Check in once.

        Raises:
            GatewayUnreachableError: No answer; nothing changed.
            ProblemAnswerError: The server refused; nothing changed.
            ReportRefusedError: The server took everything but the report; what it wants enforced is enforced.
            ShieldwallError: The manifest does not verify, or the disk failed; the last known good stays in force.
        """
        if self.offboard.is_due():
            return self._left(0)
        facts = msgspec.structs.replace(self.machine.facts(), key_protection=self.gateway.key.protection)
        passive = stays_passive(manager=manager_of(facts), unsuitable=facts.unsuitable)
        unfinished = None if self.enforcement.held_back() else self._finish()
        untold: ReportRefusedError | None = None
        refused_target: Digest | None = None
        changed = False
        for number in range(1, MAX_ROUNDS + 1):
            answer, untold = self._tell(facts, untold)
            manifest = None if answer is None or answer.manifest is None else self.delivery.verified(answer.manifest)
            if passive and manifest is not None and not lets_go(manifest):
                manifest = None  # not ours to enforce; the facts of this very check-in tell the server why
            repeated = manifest is not None and manifest.target == refused_target
            if answer is None or repeated or (manifest is None and not _wanted(answer, untold)):
                return self._settled(number, changed=changed, unfinished=unfinished or untold)
            if manifest is not None and answer.manifest is not None:
                refused = self.delivery.adopt(answer.manifest, manifest)
                if refused:
                    refused_target = manifest.target
                    self.enforcement.refuse(refused)
                elif manifest.offboard:
                    return self._left(number)
                else:
                    changed, unfinished = True, None
                    self.enforcement.enforce()
        return self._settled(MAX_ROUNDS, changed=changed, unfinished=unfinished or untold)

    def _left(self, rounds: int) -> Settled:
        """Leave management, as was ordered or allowed."""
        self.offboard.finish()
        return Settled(next_check_in_seconds=0, manifest_changed=True, rounds=rounds, report=None, left=True)

    def _finish(self) -> ShieldwallError | None:
        """Finish what was left; a failure is kept for the end, for a new manifest may be the cure."""
        try:
            self.enforcement.finish()
        except ShieldwallError as error:
            return error
        return None

    def _tell(self, facts: DeviceFacts, untold: ReportRefusedError | None) -> Told:
        """Say where this device stands, without its report where the server would not take it."""
        if untold is None:
            try:
                return self._report(facts), None
            except ProblemAnswerError as refusal:
                if refusal.problem.status not in _NOT_TAKEN or not self._report_is_due():
                    raise
                untold = ReportRefusedError(f"The report was not taken. {refusal.cause}")
        return self._report(facts, with_report=False), untold

    def _kept_report(self) -> StatusReport | None:
        """Read the last report; one that an older agent kept may be longer than any server takes."""
        report = self.state.find_report()
        return None if report is None else within_budget(report)

    def _report_is_due(self) -> bool:
        report = self._kept_report()
        return report is not None and digest_of(report) != self.state.standing().acknowledged_status

    def _report(self, facts: DeviceFacts, *, with_report: bool = True) -> CheckInAnswer | None:
        standing = self.state.standing()
        stored = self.delivery.stored()
        report = self._kept_report()
        facts_digest = digest_of(facts)
        status_digest = None if report is None else digest_of(report)
        attempts = self.attempts.waiting()
        sequence = self.state.next_sequence()
        request = CheckInRequest(
            seq=sequence.seq,
            epoch=sequence.epoch,
            instance_id=self.installation.id(),
            boot_id=self.machine.boot_id(),
            agent_version=__version__,
            protocol=PROTOCOL,
            have=Have(
                target=None if stored is None else stored[0].target,
                manifest_version=standing.manifest_version,
                facts=facts_digest,
                status=status_digest,
            ),
            facts=facts if facts_digest != standing.acknowledged_facts else None,
            report=report if with_report and status_digest != standing.acknowledged_status else None,
            attempts=tuple(attempts.values()),
        )
        answer = self.gateway.ask("/device/v1/checkin", request, CheckInAnswer)
        self.attempts.told(attempts)
        want = () if answer is None else answer.want
        self.state.put_standing(
            msgspec.structs.replace(
                standing,
                acknowledged_facts=None if "facts" in want else facts_digest,
                acknowledged_status=None if "report" in want or not with_report else status_digest,
                next_check_in_seconds=standing.next_check_in_seconds
                if answer is None
                else until_next(answer.next_check_in_seconds),
                last_check_in=moments.write(self.clock.now()),
            )
        )
        return answer

    def _settled(self, rounds: int, *, changed: bool, unfinished: ShieldwallError | None) -> Settled:
        if unfinished is not None:
            raise unfinished
        return Settled(
            next_check_in_seconds=self.state.standing().next_check_in_seconds,
            manifest_changed=changed,
            rounds=rounds,
            report=self.state.find_report(),
        )


def _wanted(answer: CheckInAnswer, untold: ReportRefusedError | None) -> bool:
    """Tell whether the server asks for something that it may still get in this check-in."""
    return any(part != "report" or untold is None for part in answer.want)
