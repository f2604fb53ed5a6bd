"""All checks, in the order in which a person would look; each ends in time, and one that breaks is a finding too."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from shieldwall.agent.applier.examination import Examination as RootsView
from shieldwall.agent.applier.protocol import Standing
from shieldwall.agent.doctor import (
    engine_checks,
    kernel_checks,
    machine_checks,
    network_checks,
    own_checks,
    policy_checks,
    protection_checks,
    state_checks,
    tpm_checks,
)
from shieldwall.agent.doctor.model import ORDER, Check, Examination, Severity, Subject, error
from shieldwall.agent.doctor.sight import Remembered, SeenMachine
from shieldwall.agent.inspection.bounded import Bounded, Unseen
from shieldwall.agent.service.enforcer import AskingEnforcer

EXAMINATIONS: Final[tuple[tuple[str, Examination], ...]] = (
    ("rights", own_checks.rights),
    ("system", machine_checks.system),
    ("dmi", kernel_checks.dmi),
    ("otherManager", machine_checks.managers),
    ("suitability", machine_checks.suitability),
    ("identity", state_checks.identity),
    ("key", state_checks.key),
    ("tpm", tpm_checks.tpm),
    ("certificate", state_checks.certificate),
    ("pin", own_checks.pin),
    ("network.name", network_checks.way_to_server),
    ("network.answer", network_checks.answer_and_clock),
    ("process", state_checks.process),
    ("twoAgents", own_checks.two_agents),
    ("service", own_checks.services),
    ("sandbox", own_checks.sandbox),
    ("ownFiles", own_checks.files),
    ("package", own_checks.package),
    ("lastCheckIn", state_checks.last_check_in),
    ("enrollment", state_checks.enrollment),
    ("signature", policy_checks.signature),
    ("settings", state_checks.settings),
    ("drift", state_checks.drift),
    ("stage", policy_checks.stage),
    ("probation", policy_checks.probation),
    ("engines", engine_checks.engines),
    ("definitions", protection_checks.definitions),
    ("onAccess", protection_checks.on_access),
    ("quarantine", protection_checks.quarantine),
    ("firewall", protection_checks.firewall),
    ("audit", kernel_checks.audit),
    ("limits", kernel_checks.limits),
    ("disk", machine_checks.disk),
    ("room", machine_checks.room),
    ("unseen", own_checks.unseen),
)
"""Each with the id under which it is told that it could not be made."""

_OF_THE_AGENT: Final = frozenset(
    (
        *("identity", "key", "tpm", "certificate", "pin", "network.name", "network.answer", "process"),
        *("lastCheckIn", "enrollment", "signature", "settings", "drift"),
    )
)
"""Those that read the agent's own directory; ``rights`` tells whoever may not."""
_APPLIER_SECONDS: Final = 60.0
"""It makes its looks within half of that, unless it is at work."""
_ONE_SECONDS: Final = 25.0
_ALL_SECONDS: Final = 120.0
_LEAST_SECONDS: Final = 1.0
_HANGS: Final = (
    "Look what is broken, or what it hangs on: a file, a disk, a name server, a TPM. The rest of the examination went "
    "on without it."
)


class Limits(Struct, frozen=True, kw_only=True):
    """How long an examination may take, in seconds."""

    applier: float = _APPLIER_SECONDS
    one: float = _ONE_SECONDS
    all: float = _ALL_SECONDS


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What was found, and the subject as it was seen: whoever goes on with it asks the applier nothing more."""

    checks: tuple[Check, ...]
    subject: Subject

    @property
    def summary(self) -> Mapping[str, int]:
        """Count the findings by severity, the gravest first."""
        return {each.value: sum(check.severity is each for check in self.checks) for each in reversed(ORDER)}


class _Purse(Struct, kw_only=True):
    """What is left of the time for everything."""

    ends: float = field(default_factory=lambda: time.monotonic() + _ALL_SECONDS)

    def take(self, most: float) -> float:
        return min(most, max(_LEAST_SECONDS, self.ends - time.monotonic()))


def diagnose(
    subject: Subject, *, inspect: Literal["checks", "bundle"] = "checks", limits: Limits | None = None
) -> Diagnosis:
    """Make every check. Never raises, changes nothing, and ends in time whatever hangs."""
    limits = limits or Limits()
    subject, silent = _with_sight(subject, inspect, limits.applier)
    purse = _Purse(ends=time.monotonic() + limits.all)
    checks = list(silent)
    closed = not own_checks.may_see_state(subject)
    for name, examination in EXAMINATIONS:
        if closed and name in _OF_THE_AGENT:
            continue
        checks += _made(name, examination, subject, purse.take(limits.one))
    return Diagnosis(checks=tuple(checks), subject=subject)


def examine(subject: Subject) -> tuple[Check, ...]:
    """Make every check; one that cannot be made is a finding too."""
    return diagnose(subject).checks


def gravest(checks: Iterable[Check]) -> Severity:
    """Return the worst severity there is; nothing at all is well."""
    return max((check.severity for check in checks), key=ORDER.index, default=Severity.OK)


def found_errors(checks: Iterable[Check]) -> bool:
    """Tell whether anything keeps this device from being managed or protected."""
    return gravest(checks) is Severity.ERROR


def _with_sight(
    subject: Subject, inspect: Literal["checks", "bundle"], patience: float
) -> tuple[Subject, tuple[Check, ...]]:
    """Ask the applier once for everything; what it does not say is looked at with our own eyes, as far as they go."""
    enforcer = subject.surroundings.enforcer

    def ask() -> tuple[RootsView, Standing]:
        found = enforcer.examine(with_facts=True, with_sources=inspect == "bundle", inspect=inspect)
        return found, enforcer.look()

    found = Bounded(patience_seconds=patience)({"applier": ask})["applier"]
    view, standing = (None, None) if isinstance(found, Unseen) else found
    machine = SeenMachine(host=subject.host, behind=subject.surroundings.machine, view=view)
    seen = msgspec.structs.replace(
        subject,
        surroundings=msgspec.structs.replace(
            subject.surroundings,
            machine=machine,
            enforcer=AskingEnforcer(ask=Remembered(view=view, standing=standing)),
        ),
        seen=view,
        standing=standing,
    )
    return seen, (own_checks.silent(subject, found.cause),) if isinstance(found, Unseen) else ()


def _made(name: str, examination: Examination, subject: Subject, patience: float) -> tuple[Check, ...]:
    bounded = Bounded(patience_seconds=patience)
    found = bounded({name: partial(_all_of, examination, subject)})[name]
    if not isinstance(found, Unseen):
        return found
    return (error(name, "This could not be looked at.", evidence=found.cause, remedy=_HANGS),)


def _all_of(examination: Examination, subject: Subject) -> tuple[Check, ...]:
    return tuple(examination(subject))
