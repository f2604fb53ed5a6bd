"""What a check-in without news costs a device: processor time of the agent's own code, in process, over fresh TLS."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.bars import AGENT_CHECK_IN
from benchmarks.figures import Figure
from benchmarks.programs import Server
from shieldwall.agent.applier.authority import Claim
from shieldwall.agent.applier.examination import Examination, Surveyed
from shieldwall.agent.applier.pin import Authority
from shieldwall.agent.applier.protocol import Happened, Outcome, Standing
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Enrolled, Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.enforcer import Policies
from shieldwall.agent.service.package_file import read_package
from shieldwall.agent.service.records import Server as AgentServer
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.contract.events import MAX_EVENTS
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, Envelope, HardwareIds, Manifest
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode
from shieldwall.server.system import SystemClock
from shieldwall.trust import strict_base64

_CHECK_INS: Final = 20


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure rounds of check-ins of one device."""
    server, costs = Server(home, admin_port=18523, gateway_port=18524), []
    with server.running():
        device = _onboarded(home / "device", server.package)
        for _ in range(2 if quick else 7):
            before = time.process_time()
            for _ in range(_CHECK_INS):
                assert device.check_in.check_in().rounds == 1, "a check-in without news takes one round"
            costs.append((time.process_time() - before) / _CHECK_INS * 1e3)
    return [Figure.of("agent: a check-in without news, in process over TLS", costs, "ms CPU", bar=AGENT_CHECK_IN)]


@dataclass(frozen=True, slots=True)
class PlainMachine:
    """A machine with nothing special about it."""

    name: str

    def facts(self) -> DeviceFacts:
        """Say what it is."""
        return DeviceFacts(display_name=self.name, os_type="Linux", os_version="Debian 12")

    def hardware(self, _tenant_id: TenantId) -> HardwareIds:
        """Tell nothing about its hardware."""
        return HardwareIds()

    def engines(self) -> Mapping[str, str | None]:
        """Have nothing to steer."""
        return {}

    def survey(self) -> Survey:
        """Find no other manager."""
        return Survey(managers=(), neighbours=())

    def boot_id(self) -> str:
        """Name its one boot."""
        return "benchmark"

    def uptime(self) -> float:
        """Stand still."""
        return 0.0


class NothingToEnforce:
    """An applier for devices without policies: it believes everybody, and what it says costs nothing."""

    obeys_at_once = True

    def start(self) -> None:
        """Have nothing to finish."""

    def stop(self) -> Standing:
        """Have nothing to note."""
        return self.look()

    def look(self) -> Standing:
        """Stand anywhere."""
        return Standing(nonce="0" * 32)

    def adopt(self, *, authority: Authority | None = None, claim: Claim | None = None) -> None:
        """Take anybody's word."""

    def enforce(self, manifest: Envelope, policies: Policies, *, time: Envelope | None = None) -> Outcome:  # noqa: ARG002 - as the interface has it
        """Report an empty target."""
        wanted = decode(strict_base64.decode(manifest.payload), Manifest)
        return Outcome(report=StatusReport(target=wanted.target))

    def refresh(self) -> Outcome:
        """Find no drift."""
        return Outcome(report=StatusReport())

    def confirm(self, statement: Envelope) -> None:
        """Have nothing to confirm."""

    def release(
        self, *, manifest: Envelope | None = None, package: Envelope | None = None, time: Envelope | None = None
    ) -> None:
        """Give nothing back."""

    def examine(
        self,
        *,
        with_facts: bool = False,  # noqa: ARG002 - as the interface has it
        tenant_id: TenantId | None = None,  # noqa: ARG002
        with_sources: bool = False,  # noqa: ARG002
        inspect: Literal["checks", "bundle"] | None = None,  # noqa: ARG002
    ) -> Examination:
        """See nothing."""
        return Examination(survey=Surveyed())

    def events(self, *, acknowledged: str | None = None, most: int = MAX_EVENTS) -> Happened:  # noqa: ARG002 - as above
        """Have seen nothing happen."""
        return Happened()


def _onboarded(directory: Path, package: Path) -> Enrolled:
    directory.mkdir(parents=True)
    clock = SystemClock()
    surroundings = Surroundings(
        state=AgentState(directory=directory, disk=LocalDisk()),
        open_transport=_transport,
        machine=PlainMachine(directory.name),
        enforcer=NothingToEnforce(),
        clock=clock,
        randomness=os.urandom,
        journal=Journal(out=sys.stderr, clock=clock),
    )
    surroundings.onboard()(read_package(package, clock.now()))
    enrolled = surroundings.enrolled()
    enrolled.check_in.check_in()
    return enrolled


def _transport(server: AgentServer) -> HttpsTransport:
    return HttpsTransport(context=tls_context(server.tls_roots), monotonic=time.monotonic)
