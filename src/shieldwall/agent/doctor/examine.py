"""All checks, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor import machine_checks, network_checks, state_checks, tpm_checks
from shieldwall.agent.doctor.model import Check, Examination, Severity, Subject, error
from shieldwall.contract.errors import ShieldwallError

EXAMINATIONS: Final[tuple[Examination, ...]] = (
    machine_checks.system,
    machine_checks.disk,
    machine_checks.managers,
    machine_checks.suitability,
    machine_checks.engines,
    state_checks.identity,
    state_checks.key,
    tpm_checks.tpm,
    state_checks.certificate,
    network_checks.way_to_server,
    network_checks.clock,
    state_checks.process,
    state_checks.last_check_in,
    state_checks.enrollment,
    state_checks.settings,
    state_checks.drift,
)


def examine(subject: Subject) -> tuple[Check, ...]:
    """Make every check; one that cannot be made is a finding too."""
    return tuple(check for examination in EXAMINATIONS for check in _made(examination, subject))


def found_errors(checks: Iterable[Check]) -> bool:
    """Tell whether anything keeps this device from being managed or protected."""
    return any(check.severity is Severity.ERROR for check in checks)


def _made(examination: Examination, subject: Subject) -> tuple[Check, ...]:
    name = getattr(examination, "__name__", "check")
    try:
        return tuple(examination(subject))
    except ShieldwallError as failure:
        return (error(name, "This could not be looked at.", evidence=failure.cause, remedy=failure.advice),)
