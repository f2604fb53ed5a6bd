"""CPU of a full check-in on the server (fresh TLS, signature, durable) against nginx answering 204 over TLS.

Rounds are interleaved and the medians compared; only the servers' own processor time counts. A check-in is what a
device sends when nothing has changed, by the agent's own code.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from benchmarks.bars import CHECK_IN_TO_NGINX
from benchmarks.figures import SQLITE, Figure, Peer
from benchmarks.programs import Server, nginx, processor_seconds
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
from shieldwall.contract.clock import Clock
from shieldwall.contract.events import MAX_EVENTS
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, Envelope, HardwareIds, Manifest
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode
from shieldwall.trust import strict_base64

_AT_ONCE = 8


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment."""
        return datetime.now(UTC)


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


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure in interleaved rounds."""
    rounds, requests = (3, 80) if quick else (7, 400)
    server = Server(home, admin_port=18443, gateway_port=18444)
    with server.running() as ours:
        devices = [_onboarded(home / "devices" / str(number), server.package) for number in range(_AT_ONCE)]
        with nginx(home / "nginx", port=18445, certificate=server.certificate, key=server.key) as theirs:
            context = ssl.create_default_context(cadata=server.authority())
            our_costs, their_costs = [], []
            for _ in range(rounds):
                before = processor_seconds(ours)
                _spread(devices, requests)
                our_costs.append((processor_seconds(ours) - before) / requests)
                before = processor_seconds(theirs)
                _fetch(context, 18445, requests)
                their_costs.append((processor_seconds(theirs) - before) / requests)
    return [
        Figure.of(
            f"full check-in without news, {_AT_ONCE} devices at a time",
            [each * 1e6 for each in our_costs],
            "µs CPU",
            engine=SQLITE,
            peer=Peer.of("nginx, 204 over TLS", [each * 1e6 for each in their_costs]),
            bar=CHECK_IN_TO_NGINX,
            note=f"gateway and signer; {rounds} interleaved rounds of {requests}",
        )
    ]


def _onboarded(directory: Path, package: Path) -> Enrolled:
    directory.mkdir(parents=True)
    clock: Clock = SystemClock()
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


def _spread(devices: list[Enrolled], requests: int) -> None:
    def work(device: Enrolled) -> None:
        for _ in range(requests // len(devices)):
            settled = device.check_in.check_in()
            assert settled.rounds == 1, "a check-in without news takes one round"

    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work, devices))


def _fetch(context: ssl.SSLContext, port: int, requests: int) -> None:
    def work(_: int) -> None:
        for _ in range(requests // _AT_ONCE):
            connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
            connection.request("GET", "/")
            assert connection.getresponse().status == 204
            connection.close()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(work, range(_AT_ONCE)))
