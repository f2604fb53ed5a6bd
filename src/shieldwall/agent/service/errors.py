"""What can go wrong between this device and its server, each with its code.

``ShieldwallError``
 ├── ``GatewayUnreachableError``: no answer of ours came back: nothing listens, TLS fails, a captive portal answers
 ├── ``ProblemAnswerError``: the server answered, and said no
 ├── ``UnusableAnswerError``: the server answered something this protocol does not know
 ├── ``UnusableAddressError``: of a server or a proxy
 ├── ``CheckInFailedError``: what the running agent met, told by ``sync``
 ├── ``ManagedElsewhereError``: the survey found another manager
 ├── ``AlreadyOnboardedError``, ``NotOnboardedError``, ``UnsuitablePackageError``: onboarding
 ├── ``AgentBusyError``: another agent process holds the state directory
 └── ``StateCorruptError``: a file in the state directory is not what the agent wrote
"""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Problem


class GatewayUnreachableError(ShieldwallError):
    """Nobody who speaks our protocol answered."""

    code = "gatewayUnreachable"
    remedy = (
        "Check network, DNS and proxy between this device and the server; shieldwall-agent doctor says how far it gets."
    )

    def __init__(self, cause: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(cause)
        self.retry_after_seconds = retry_after_seconds


class ProblemAnswerError(ShieldwallError):
    """The server answered with a problem document."""

    code = "refusedByServer"

    def __init__(self, problem: Problem, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(
            f"The server answered {problem.code} ({problem.status}): {problem.detail or problem.title}",
            remedy=problem.remedy or "Look at this device in the admin center; the server's log has the reason.",
        )
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds


def retry_after_seconds(error: ShieldwallError) -> int | None:
    """Return after how many seconds the server wants to be asked again, when it said."""
    match error:
        case GatewayUnreachableError() | ProblemAnswerError():
            return error.retry_after_seconds
        case _:
            return None


class UnusableAnswerError(ShieldwallError):
    """The server's answer does not make sense in this protocol."""

    code = "unusableAnswer"
    remedy = "Bring agent and server to versions that fit each other."


class UnusableAddressError(ShieldwallError):
    """The address of a server or a proxy makes no sense."""

    code = "unusableAddress"
    remedy = "Servers are https://HOST[:PORT], proxies http://HOST[:PORT], without user names."


class CheckInFailedError(ShieldwallError):
    """The running agent tried to check in and could not."""

    code = "checkInFailed"


class ManagedElsewhereError(ShieldwallError):
    """Another manager owns this device; the agent stays passive."""

    code = "managedElsewhere"
    remedy = "Take the device out of the other manager first, then onboard again."


class AlreadyOnboardedError(ShieldwallError):
    """The state directory holds an identity."""

    code = "alreadyOnboarded"
    remedy = "Nothing needs doing. To move the device to another server, run shieldwall-agent offboard first."


class NotOnboardedError(ShieldwallError):
    """The state directory holds no identity."""

    code = "notOnboarded"
    remedy = "Run shieldwall-agent onboard PACKAGE with an onboarding package of your organisation."


class UnsuitablePackageError(ShieldwallError):
    """The package file must not be used as it is."""

    code = "unsuitablePackage"
    remedy = "Ask for a new package, store it readable for root alone (chmod 600), and try again."


class AgentBusyError(ShieldwallError):
    """Another agent process works in the state directory."""

    code = "agentBusy"
    remedy = "Wait for it to finish, or stop it, and try again."


class StateCorruptError(ShieldwallError):
    """A file in the state directory is not what the agent wrote."""

    code = "stateCorrupt"
    remedy = "Move the file named away and onboard again with a new package; what is enforced stays as it is meanwhile."
