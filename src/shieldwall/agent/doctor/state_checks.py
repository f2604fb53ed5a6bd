"""What the agent holds: identity, key, certificate, its last check-in, what is in effect."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from cryptography import x509

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.service.enrollment import view
from shieldwall.agent.service.state_files import KEY
from shieldwall.contract.enrollment_errors import code_of_error
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.contract.status import SettingState
from shieldwall.trust import moments

_ONBOARD: Final = "Run shieldwall-agent onboard PACKAGE with an onboarding package of your organisation."
_ONBOARD_AGAIN: Final = "Offboard this device and onboard it again with a new package."
_NOTHING_DEPENDS: Final = (
    "Nothing needs doing: the key counts, and in this version nothing depends on the certificate's dates. Whoever "
    "wants a new one offboards this device and onboards it again with a new package."
)
_RENEWAL: Final = timedelta(days=14)
_LATE: Final = 3
"""So many intervals without a check-in are worth a warning."""
_MOST_NAMED: Final = 10
REPAIRED: Final = "repaired"
"""The code of a setting that had drifted and was put back."""


def identity(subject: Subject) -> Iterable[Check]:
    """Ask whether the device is onboarded."""
    found = subject.surroundings.state.find_identity()
    if found is None:
        yield error("identity", "This device is not onboarded.", remedy=_ONBOARD)
    else:
        yield ok("identity", "This device is onboarded.", f"device {found.device_id}, tenant {found.server.tenant_id}")


def key(subject: Subject) -> Iterable[Check]:
    """Ask whether the private key is private."""
    state = subject.surroundings.state
    if state.find_key() is None:
        return
    path = state.directory / KEY
    mode = subject.mode(path)
    evidence = f"{path} has mode {mode:04o}"
    if mode & 0o077:
        yield error("key", "Others on this machine can read the device key.", evidence=evidence, remedy=_ONBOARD_AGAIN)
    else:
        yield ok("key", "The device key is readable for its owner alone.", evidence)


def certificate(subject: Subject) -> Iterable[Check]:
    """Ask whether certificate, key and identity belong together, and for how long."""
    state = subject.surroundings.state
    found = state.find_identity()
    if found is None:
        return
    try:
        leaf = x509.load_pem_x509_certificate(found.certificate.encode("ascii"))
        fits = leaf.public_key() == state.get_key().public_key
    except ValueError:
        yield error("certificate", "The device certificate cannot be read.", remedy=_ONBOARD_AGAIN)
        return
    now, end = subject.surroundings.trusted_clock.now(), leaf.not_valid_after_utc
    evidence = f"valid until {moments.write(end)}"
    if not fits:
        yield error("certificate", "The device certificate belongs to another key.", remedy=_ONBOARD_AGAIN)
    elif now > end:
        yield warning("certificate", "The device certificate has expired.", evidence=evidence, remedy=_NOTHING_DEPENDS)
    elif now > end - _RENEWAL:
        yield warning("certificate", "The device certificate ends soon.", evidence=evidence, remedy=_NOTHING_DEPENDS)
    else:
        yield ok("certificate", "The device certificate is valid.", evidence)


def process(subject: Subject) -> Iterable[Check]:
    """Ask whether the agent is running."""
    if subject.surroundings.state.find_identity() is None:
        return
    if subject.running:
        yield ok("process", "The agent is running.")
    else:
        yield error("process", "The agent is not running.", remedy="Start it: shieldwall-agent run, or its service.")


def last_check_in(subject: Subject) -> Iterable[Check]:
    """Ask whether device and server have spoken lately."""
    state = subject.surroundings.state
    if state.find_identity() is None:
        return
    standing = state.standing()
    if standing.trouble is not None:
        trouble = standing.trouble
        yield error(
            "lastCheckIn",
            f"Check-ins fail since {trouble.since}: {trouble.cause}",
            evidence=f"{standing.failures} in a row, code {trouble.code}, enrollment status "
            f"{code_of_error(trouble.code)}",
            remedy=trouble.remedy,
        )
    elif standing.last_check_in is None:
        yield warning("lastCheckIn", "The device has never checked in.", remedy="Run shieldwall-agent sync.")
    else:
        age = subject.surroundings.trusted_clock.now() - moments.parse(standing.last_check_in)
        evidence = f"last at {standing.last_check_in}, expected every {standing.next_check_in_seconds} s"
        if age > timedelta(seconds=_LATE * standing.next_check_in_seconds):
            yield error(
                "lastCheckIn", "The last check-in is long ago.", evidence=evidence, remedy="Run shieldwall-agent sync."
            )
        else:
            yield ok("lastCheckIn", "The device checks in.", evidence)


def enrollment(subject: Subject) -> Iterable[Check]:
    """Ask what the server makes of this device."""
    if subject.surroundings.state.find_identity() is None:
        return
    manifest = subject.surroundings.enrolled().enforcement.delivery.manifest()
    if manifest is None:
        return  # nothing was told; the last check-in says why
    told = view(manifest.enrollment)
    evidence = f"enrollment status {told.code} ({told.status}), by the manifest of {manifest.issued}"
    if manifest.enrollment == MANAGED_CODE:
        yield ok("enrollment", told.cause, evidence)
    else:
        finding = f"The server does not manage this device. {told.cause}"
        yield warning("enrollment", finding, evidence=evidence, remedy=told.remedy)


def settings(subject: Subject) -> Iterable[Check]:
    """Ask whether what should be in effect is in effect."""
    state = subject.surroundings.state
    if state.find_identity() is None:
        return
    stored = subject.surroundings.enrolled().enforcement.stored()
    report = state.find_report()
    if stored is None or report is None:
        yield warning("settings", "No policy has arrived yet.", remedy="Assign a policy to a group of this device.")
        return
    if stored[0].target != state.standing().enforced:
        yield error("settings", "The newest policies are not enforced yet.", remedy="Run shieldwall-agent sync.")
    for refused in report.refused:
        yield error(
            "refusedPolicy",
            f"The policy {refused.policy_id} was refused: {refused.cause}",
            evidence=refused.code,
            remedy="Publish the policy again; if that does not help, look at the server's signer.",
        )
    bad = [status for status in report.settings if status.state in {SettingState.ERROR, SettingState.CONFLICT}]
    for status in bad:
        yield error(
            "setting",
            f"{status.setting}: {status.reason or status.state.value}",
            evidence=f"{status.state.value} {status.code or ''}".strip(),
            remedy="shieldwall-agent effective shows which policies speak about it.",
        )
    if not bad:
        yield ok("settings", "Every setting that applies here is in effect.", f"{len(report.settings)} settings")


def drift(subject: Subject) -> Iterable[Check]:
    """Ask whether somebody else changes what the policies say."""
    report = subject.surroundings.state.find_report()
    if report is None:
        return
    repaired = [status.setting for status in report.settings if status.code == REPAIRED]
    if repaired:
        yield warning(
            "drift",
            "Somebody changed settings that policies hold; the agent put them back.",
            evidence=", ".join(repaired[:_MOST_NAMED]),
            remedy="Find out who changes them on this device, or change the policy.",
        )
    else:
        yield ok("drift", "Nobody has changed what the policies hold since the last look.")
