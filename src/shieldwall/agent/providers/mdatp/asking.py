"""Asking ``mdatp health``, which answers alike on Linux and macOS."""

from __future__ import annotations

from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.mdatp import health
from shieldwall.contract.errors import ShieldwallError

PROGRAM: Final = "mdatp"
_TIMEOUT_SECONDS: Final = 15.0


def ask_health(host: Host) -> health.Health | Observation:
    """Return the product's health, or what every setting's observation is without it."""
    program = host.find_program(PROGRAM)
    if program is None:
        return Observation(effective=None, code="programMissing", reason="The program mdatp is not on this device.")
    try:
        completed = host.run([program, "health", "--output", "json"], timeout_seconds=_TIMEOUT_SECONDS)
    except ShieldwallError as error:
        return Observation(effective=False, code="engineNotAnswering", reason=f"mdatp health: {error.cause}"[:512])
    if completed.returncode != 0:
        said = completed.stderr or completed.stdout
        reason = f"mdatp health ended with {completed.returncode}: {said[:256].decode(errors='replace').strip()}"
        return Observation(effective=False, code="engineNotAnswering", reason=reason)
    found = health.parse(completed.stdout)
    if found is None:
        return Observation(effective=None, code="unreadableHealth", reason="mdatp health did not print JSON.")
    return found


def product_version(host: Host) -> str:
    """Return the version of a product that is here, or a word on why it is not known."""
    answer = ask_health(host)
    return answer.code if isinstance(answer, Observation) else health.version(answer) or "unknownVersion"
