"""What can go wrong between this device and its server, each with its code.

``ShieldwallError``
 ├── ``GatewayUnreachableError``: no answer of ours came back
 │    ├── ``NameUnknownError``, ``NameServiceSilentError``: the way ends at DNS
 │    ├── ``ProxyFailedError``: it ends at the proxy
 │    ├── ``NotTheGatewayError``: it ends at somebody else, who answers
 │    └── ``ServerNotTrustedError``: what answers has a certificate that we do not accept
 ├── ``ProblemAnswerError``: the server answered, and said no
 │    └── ``OffboardRefusedError``: it does not take this device's word that it leaves
 ├── ``ReportRefusedError``: the server takes this device's check-ins, and not its report
 ├── ``UnusableAnswerError``: the server answered something this protocol does not know
 ├── ``UnusableAddressError``: of a server or a proxy
 ├── ``CheckInFailedError``: what the running agent met, told by ``sync``
 ├── ``RegistrationPendingError``: the server knows this device and does not let it in yet
 ├── ``AlreadyOnboardedError``, ``NotOnboardedError``, ``UnsuitablePackageError``: onboarding
 ├── ``TamperProtectedError``: this device does not leave by the word of whoever is at it
 ├── ``ApplierSilentError``, ``ApplierAnswerError``: the process that enforces
 ├── ``KeyInFileError``: what only a key in a TPM can do
 ├── ``AgentBusyError``: another agent process holds the state directory
 └── ``StateCorruptError``: a file in the state directory is not what the agent wrote
"""

from __future__ import annotations

from typing import Final

from shieldwall.agent.applier.refusals import TamperProtectedError as TamperProtectedError  # noqa: PLC0414 - one of ours
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Problem
from shieldwall.contract.registration import PendingAnswer


class GatewayUnreachableError(ShieldwallError):
    """Nobody who speaks our protocol answered."""

    code = "gatewayUnreachable"
    remedy = (
        "Check network, DNS and proxy between this device and the server; shieldwall-agent doctor says how far it gets."
    )

    def __init__(self, cause: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(cause)
        self.retry_after_seconds = retry_after_seconds


class NameUnknownError(GatewayUnreachableError):
    """The name of the server, or of the proxy, is not known to this device."""

    code = "nameUnknown"
    remedy = "Check the DNS settings of this device, and that the name is published there."


class NameServiceSilentError(GatewayUnreachableError):
    """No name server answered."""

    code = "nameServiceSilent"
    remedy = "Check the network of this device and the name servers it is given."


class ProxyFailedError(GatewayUnreachableError):
    """The proxy does not answer, or does not let through to the server."""

    code = "proxyFailed"
    remedy = "Check that the proxy runs and allows CONNECT to the server; onboard again to use another one, or none."


class NotTheGatewayError(GatewayUnreachableError):
    """Something that is not the gateway answers in its place: a captive portal, a proxy with a page of its own."""

    code = "notTheGateway"
    remedy = (
        "Sign in to the network where it asks for that (a captive portal), or have the proxy pass on what goes to the "
        "server, unchanged."
    )


class ServerNotTrustedError(GatewayUnreachableError):
    """What answers for the server has a certificate that this device does not accept."""

    code = "serverNotTrusted"
    remedy = "Look for a proxy that opens TLS; if the server has a new authority, use a new onboarding package."


_LEAVE_AND_COME_BACK: Final = (
    "run shieldwall-agent offboard --without-server, then shieldwall-agent onboard PACKAGE with a new package."
)
_NO_LONGER_KNOWN: Final = (
    "The server no longer takes this device for one of its own: it was removed or disabled there, or the server was "
    f"restored from an older backup. If it is only disabled, enable it in the admin center; else {_LEAVE_AND_COME_BACK}"
)
MANAGED_ELSEWHERE: Final = "managedElsewhere"
"""The server's code for a registration that another manager owns."""
_REMEDIES: Final = {
    MANAGED_ELSEWHERE: (
        "Another manager owns the registration of this machine, so the agent stays passive. Take the machine out of "
        "it, or say in the directory that it is managed no more; then onboard again."
    ),
    "badSignature": _NO_LONGER_KNOWN,
    "deviceNotActive": _NO_LONGER_KNOWN,
    "seqConflict": (
        "This device's state was set back to an older one, or copied to or from another machine. On the machine that "
        f"shall have an identity of its own, {_LEAVE_AND_COME_BACK}"
    ),
}
"""What a person at the device can do where the server's own remedy speaks to whoever writes an agent."""


class ProblemAnswerError(ShieldwallError):
    """The server answered with a problem document; the remedy is the agent's own or the server's."""

    code = "refusedByServer"
    remedy = "Look at this device in the admin center; the server's log has the reason."

    def __init__(self, problem: Problem, *, retry_after_seconds: int | None = None, remedy: str | None = None) -> None:
        super().__init__(
            f"The server answered {problem.code} ({problem.status}): {problem.detail or problem.title}",
            remedy=remedy or _REMEDIES.get(problem.code) or problem.remedy,
        )
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds


class OffboardRefusedError(ProblemAnswerError):
    """The settings are as they were before management, and the server does not take this device's goodbye."""

    code = "offboardRefused"
    remedy = (
        "Every setting is back as it was before management. Run shieldwall-agent offboard --without-server to forget "
        "the identity as well; after that the device can be onboarded again."
    )

    def __init__(self, refusal: ProblemAnswerError) -> None:
        super().__init__(
            refusal.problem, retry_after_seconds=refusal.retry_after_seconds, remedy=OffboardRefusedError.remedy
        )


class ReportRefusedError(ShieldwallError):
    """The server does not take this device's report; what it wants enforced was taken all the same."""

    code = "reportRefused"
    remedy = (
        "The device is managed, but the server cannot show its settings; look there with shieldwall-agent effective. "
        "Bring agent and server to versions that fit each other."
    )


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
    remedy = "Run shieldwall-agent doctor: it examines the way to the server and what the agent met last."


class AlreadyOnboardedError(ShieldwallError):
    """The state directory holds an identity."""

    code = "alreadyOnboarded"
    remedy = "Nothing needs doing. To move the device to another server, run shieldwall-agent offboard first."


_WAITS_FOR: Final = {
    "approval": "an administrator has to let it in",
    "duplicateHardware": "a machine with the same hardware is there already, and an administrator has to look at both",
    "attestation": "its TPM has to prove itself",
}


class RegistrationPendingError(ShieldwallError):
    """The server has registered this device and does not let it in yet."""

    code = "registrationPending"
    remedy = (
        "The agent asks again until an administrator has decided: systemd starts it where the package is installed "
        "(systemctl status shieldwall-agent), elsewhere start it with shieldwall-agent run. Or run shieldwall-agent "
        "onboard with the same package again, with --wait to wait here."
    )

    def __init__(self, answer: PendingAnswer) -> None:
        super().__init__(f"The server knows this device as {answer.device_id}; {_WAITS_FOR[answer.reason]}.")
        self.answer = answer


class NotOnboardedError(ShieldwallError):
    """The state directory holds no identity."""

    code = "notOnboarded"
    remedy = "Run shieldwall-agent onboard PACKAGE with an onboarding package of your organisation."


class UnsuitablePackageError(ShieldwallError):
    """The package file must not be used as it is."""

    code = "unsuitablePackage"
    remedy = "Ask for a new package, store it readable for root alone (chmod 600), and try again."


class ApplierSilentError(ShieldwallError):
    """The process that enforces does not answer; what it enforced holds."""

    code = "applierSilent"
    remedy = "Look at the service shieldwall-applier: systemctl status shieldwall-applier."


class ApplierAnswerError(ShieldwallError):
    """The process that enforces says what this agent does not understand."""

    code = "applierAnswer"
    remedy = "Agent and applier are of one package and one version: restart shieldwall-applier and shieldwall-agent."


class KeyInFileError(ShieldwallError):
    """The device key is in a file, and a TPM is asked for."""

    code = "keyInFile"
    remedy = "On a machine with a TPM, let the agent make a new key there: shieldwall-agent rotate-key."


class AgentBusyError(ShieldwallError):
    """Another agent process works in the state directory."""

    code = "agentBusy"
    remedy = "Wait for it to finish, or stop it, and try again."


class StateCorruptError(ShieldwallError):
    """A file in the state directory is not what the agent wrote."""

    code = "stateCorrupt"
    remedy = "Move the file named away and onboard again with a new package; what is enforced stays as it is meanwhile."
