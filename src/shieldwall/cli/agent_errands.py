"""What the agent's service does for whoever types, where nobody else has its key: on Windows."""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING, Final

from shieldwall.agent.service.errands import DIRECTORY, Errand, Errands, Outcome
from shieldwall.agent.service.errors import AgentBusyError
from shieldwall.agent.service.lock import ask_to_check_in
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    from shieldwall.agent.main import LocalAgent

IS_NEEDED: Final = sys.platform == "win32"
PATIENCE_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.2


class ErrandFailedError(ShieldwallError):
    """The agent's service was asked, and could not do it; code and words are its own."""

    code = "errandFailed"
    remedy = "Do what the cause says, and ask again."


def done_by_the_agent(agent: LocalAgent, errand: Errand) -> None:
    """Let the agent's service do an errand, and wait until it has.

    Raises:
        AgentBusyError: The service does not run, or does not come to it.
        ShieldwallError: It was refused; the code says why.
    """
    state = agent.surroundings.state
    errands = Errands(directory=state.directory / DIRECTORY, disk=state.disk)
    name = secrets.token_hex(8)
    holder = agent.lock.holder()
    if holder is None:
        raise AgentBusyError(
            "The service ShieldwallAgent does not run, and nobody else has the device key.",
            remedy="Start it with `sc.exe start ShieldwallAgent`, and ask again.",
        )
    errands.ask(name, errand)
    ask_to_check_in(holder)
    outcome = _awaited(errands, name)
    if outcome.code:
        kind = type("ErrandFailedError", (ErrandFailedError,), {"code": outcome.code})
        raise kind(outcome.cause, remedy=outcome.remedy or None)


def _awaited(errands: Errands, name: str) -> Outcome:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (outcome := errands.outcome(name)) is None:
        if time.monotonic() > deadline:
            raise AgentBusyError("The agent's service has not done what it was asked within five minutes.")
        time.sleep(_POLL_SECONDS)
    return outcome
