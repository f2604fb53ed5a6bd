"""The agent's network side as it ships, over a directory of its own: against a real gateway and its TLS."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import msgspec
from tests.support.gateway_world import GatewayWorld
from tests.support.simulated_agent import MemoryEnforcer, MemoryMachine
from tests.support.simulated_applier import pretend_enforcer

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.trust.onboarding import OnboardingPackage


def surroundings_in(world: GatewayWorld, home: Path) -> Surroundings:
    """Return what an agent needs to know this world; machine and products are in memory."""
    return Surroundings(
        state=AgentState(directory=home / "device", disk=LocalDisk()),
        open_transport=lambda server: HttpsTransport(
            context=tls_context(server.tls_roots), monotonic=time.monotonic, proxy=server.proxy
        ),
        machine=MemoryMachine(),
        enforcer=pretend_enforcer(MemoryEnforcer(), MemoryMachine(), home / "applier", world.clock),
        clock=world.clock,
        randomness=os.urandom,
        journal=Journal(out=io.StringIO(), clock=world.clock),
    )


def package_of(world: GatewayWorld, **draft: Any) -> OnboardingPackage:
    """Return an onboarding package that trusts the certificate of this world's gateway."""
    authority = world.settings.tls_authority.read_text()
    return msgspec.structs.replace(world.package(**draft), tls_roots=(authority,))
