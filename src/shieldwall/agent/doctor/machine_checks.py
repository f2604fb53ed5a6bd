"""The machine itself: system, room on disk, other managers, products to steer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.host.facts import os_release
from shieldwall.agent.host.survey import CONFIGURATION_MANAGER, Finding, Survey
from shieldwall.agent.service.enrollment import own_code
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode

ENOUGH_BYTES: Final = 64 * 1024 * 1024
_TRIED: Final = frozenset(
    {"debian", "ubuntu", "rhel", "fedora", "centos", "rocky", "almalinux", "sles", "opensuse-leap"}
)


def system(subject: Subject) -> Iterable[Check]:
    """Ask whether this is a system that the agent knows."""
    release = os_release(subject.host)
    name = release.get("PRETTY_NAME") or release.get("NAME") or "unknown"
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if family & _TRIED:
        yield ok("system", "The operating system is one the agent knows.", name)
    else:
        yield warning(
            "system",
            "The operating system is not one the agent was tried on.",
            evidence=name,
            remedy="Settings are still read back, so what shows as succeeded is so; report what does not work.",
        )


def disk(subject: Subject) -> Iterable[Check]:
    """Ask whether state can be written."""
    directory = subject.surroundings.state.directory
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = subject.free_bytes(existing)
    evidence = f"{free // (1024 * 1024)} MiB free at {existing}"
    if free < ENOUGH_BYTES:
        yield error(
            "disk", "The disk that holds the agent's state is nearly full.", evidence=evidence, remedy="Make room."
        )
    else:
        yield ok("disk", "There is room for the agent's state.", evidence)


def managers(subject: Subject) -> Iterable[Check]:
    """Ask who else steers this device."""
    found = subject.surroundings.machine.survey()
    for manager in found.managers:
        yield _manager(found, manager)
    for neighbour in found.neighbours:
        yield warning(
            "neighbour",
            f"{neighbour.product} is here and may change the same things.",
            evidence=str(neighbour.evidence),
            remedy="Decide which of the two is in charge of what they share.",
        )
    if not found.managers and not found.neighbours:
        yield ok("otherManager", "Nobody else manages this device.")


def suitability(subject: Subject) -> Iterable[Check]:
    """Ask whether this machine can be managed, and whether it takes care."""
    found = subject.surroundings.machine.survey()
    sign = found.unsuitable_sign
    if sign is not None:
        code = own_code(found) or EnrollmentCode.FAILED
        yield error(
            "suitability",
            f"{sign.finding} The agent stays passive. Enrollment status {code}.",
            evidence=sign.evidence,
            remedy=STATUSES[code].remedy,
        )
    if found.domain_controller_sign is not None:
        yield ok(
            "domainController",
            "This is a domain controller: it is managed only where the enforcement scope takes them, and never gets "
            "firewall policy.",
            found.domain_controller_sign.evidence,
        )


def engines(subject: Subject) -> Iterable[Check]:
    """Ask which products there are to enforce with."""
    versions = subject.surroundings.machine.engines()
    present = {name: version for name, version in versions.items() if version is not None}
    for name, version in present.items():
        yield ok(f"engine.{name}", f"{name} is here.", version)
    for name in sorted(versions.keys() - present.keys()):
        yield ok(f"engine.{name}", f"{name} is not installed; settings for it are not applicable.")
    if not present:
        yield error(
            "engines",
            "There is no security product on this device that the agent can steer.",
            remedy="Install Microsoft Defender, ClamAV or nftables.",
        )


def _manager(found: Survey, manager: Finding) -> Check:
    evidence = str(manager.evidence)
    if not found.is_passive:
        return warning(
            "otherManager",
            f"{CONFIGURATION_MANAGER} is on this device; the enforcement scope of the tenant says who has authority.",
            evidence=evidence,
            remedy=STATUSES[EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER].remedy,
        )
    code = own_code(found) or EnrollmentCode.MANAGED_BY_MDM
    return error(
        "otherManager",
        f"{manager.product} manages this device; the agent stays passive. Enrollment status {code}.",
        evidence=evidence,
        remedy=STATUSES[code].remedy,
    )
