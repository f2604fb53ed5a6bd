"""How the parts of the network side fit together, whoever hands in the machine, the disk and the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.attempts import Attempts
from shieldwall.agent.service.broker_line import BrokerLine, OpenLine
from shieldwall.agent.service.check_in import CheckIn
from shieldwall.agent.service.delivery import Delivery
from shieldwall.agent.service.enforcement import Enforcement
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.existing import ExistingState
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.guard import Guard
from shieldwall.agent.service.instance import Installation
from shieldwall.agent.service.joining import Join
from shieldwall.agent.service.loop import SteadyCheckIn
from shieldwall.agent.service.offboarding import Offboard
from shieldwall.agent.service.onboarding import Onboard
from shieldwall.agent.service.own_files import OwnFiles
from shieldwall.agent.service.policy_sync import PolicySync
from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.promoting import Promote
from shieldwall.agent.service.proving import Prove
from shieldwall.agent.service.records import Identity, Server
from shieldwall.agent.service.resync import Resync
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.state_files import ATTEMPTS
from shieldwall.agent.service.telling import Telling
from shieldwall.agent.service.transport import Transport, parse_proxy_url, parse_server_url
from shieldwall.agent.service.troubleshooting import Troubleshooting
from shieldwall.agent.service.trusted_time import AskSignedTime, TrustedClock
from shieldwall.agent.service.upkeep import Upkeep
from shieldwall.contract.clock import Clock
from shieldwall.trust.device_key import SigningKey

LinesTo: TypeAlias = Callable[[Server], OpenLine]
"""Makes lines to the message broker of one server: its TLS roots."""
OpenTransport: TypeAlias = Callable[[Server], Transport]
"""Makes the network for one server: its TLS roots, its proxy."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """Everything outside the network side's own logic."""

    state: AgentState
    open_transport: OpenTransport
    machine: Machine
    enforcer: Enforcer
    clock: Clock
    randomness: Randomness
    journal: Journal
    lines_to: LinesTo | None = None
    """Absent where no line to a broker is to be opened."""
    own_files: tuple[Path, ...] = ()
    """Files of the agent beside its state: its program, its unit. Whoever changes them is told of."""

    @property
    def trusted_clock(self) -> TrustedClock:
        """Time as signed statements have corrected it."""
        return TrustedClock(local=self.clock, state=self.state)

    @property
    def guard(self) -> Guard:
        """What notices that somebody tries to undo what is managed."""
        attempts = Attempts(directory=self.state.directory / ATTEMPTS, disk=self.state.disk, clock=self.trusted_clock)
        return Guard(state=self.state, attempts=attempts, own_files=OwnFiles(state=self.state, paths=self.own_files))

    @property
    def troubleshooting(self) -> Troubleshooting:
        """Whether somebody may work at this device for a while."""
        return Troubleshooting(state=self.state, machine=self.machine, clock=self.trusted_clock)

    def connect(self, server: Server, key: SigningKey) -> Gateway:
        """Open a conversation with a server in the name of a key. Raises: UnusableAddressError."""
        if server.proxy is not None:
            parse_proxy_url(server.proxy)
        return Gateway(
            transport=self.open_transport(server),
            urls=tuple(parse_server_url(url) for url in server.urls),
            key=key,
            clock=self.trusted_clock,
            randomness=self.randomness,
        )

    def onboard(self) -> Onboard:
        """Put onboarding together."""
        return Onboard(
            state=self.state,
            machine=self.machine,
            connect=self.connect,
            clock=self.trusted_clock,
            randomness=self.randomness,
            existing=self.existing,
        )

    @property
    def existing(self) -> ExistingState:
        """The registration that this machine may have in the directory beside its identity."""
        return ExistingState(directory=self.state.directory, disk=self.state.disk)

    def join(self) -> Join:
        """Put the full join together."""
        return Join(existing=self.existing, machine=self.machine, connect=self.connect, randomness=self.randomness)

    def promote(self) -> Promote:
        """Put promotion together."""
        return Promote(state=self.state, existing=self.existing, connect=self.connect, journal=self.journal)

    def enrolled(self) -> Enrolled:
        """Put together what an onboarded device can do. Raises: NotOnboardedError, StateCorruptError, HostError."""
        identity = self.state.get_identity()
        key = self.state.get_key()
        gateway = self.connect(identity.server, key)
        delivery = Delivery(
            identity=identity,
            state=self.state,
            gateway=gateway,
            clock=self.trusted_clock,
        )
        installation = Installation(
            identity=identity, state=self.state, machine=self.machine, randomness=self.randomness
        )
        prove = Prove(identity=identity, gateway=gateway, enforcer=self.enforcer, journal=self.journal)
        enforcement = Enforcement(
            state=self.state,
            delivery=delivery,
            enforcer=self.enforcer,
            prove=prove,
            machine=self.machine,
            troubleshooting=self.troubleshooting,
            guard=self.guard,
        )
        offboard = Offboard(
            identity=identity, state=self.state, gateway=gateway, enforcement=enforcement, guard=self.guard
        )
        check_in = CheckIn(
            state=self.state,
            gateway=gateway,
            machine=self.machine,
            installation=installation,
            delivery=delivery,
            enforcement=enforcement,
            offboard=offboard,
            attempts=self.guard.attempts,
            clock=self.trusted_clock,
        )
        ask_signed_time = AskSignedTime(
            gateway=gateway,
            server=identity.server,
            state=self.state,
            local=self.clock,
            randomness=self.randomness,
        )
        return Enrolled(
            identity=identity,
            enforcement=enforcement,
            check_in=SteadyCheckIn(
                check_in=check_in,
                ask_signed_time=ask_signed_time,
                resync=Resync(identity=identity, state=self.state, gateway=gateway, installation=installation),
                promote=self.promote(),
                prove=prove,
                upkeep=Upkeep(state=self.state, gateway=gateway, clock=self.trusted_clock, journal=self.journal),
                state=self.state,
                clock=self.trusted_clock,
                journal=self.journal,
            ),
            policy_sync=PolicySync(state=self.state, gateway=gateway, line=self._line(identity.server, gateway)),
            offboard=offboard,
            telling=Telling(state=self.state, gateway=gateway, enforcer=self.enforcer, journal=self.journal),
        )

    def _line(self, server: Server, gateway: Gateway) -> BrokerLine | None:
        """Wait by a broker, unless a proxy stands in between: it carries HTTP and nothing else."""
        if self.lines_to is None or server.proxy is not None:
            return None
        return BrokerLine(
            state=self.state,
            gateway=gateway,
            open_line=self.lines_to(server),
            journal=self.journal,
            chance=self._chance,
        )

    def _chance(self) -> float:
        return int.from_bytes(self.randomness(8), "big") / 2**64


class Enrolled(Struct, frozen=True, kw_only=True):
    """What an onboarded device can do."""

    identity: Identity
    enforcement: Enforcement
    check_in: SteadyCheckIn
    policy_sync: PolicySync
    offboard: Offboard
    telling: Telling
