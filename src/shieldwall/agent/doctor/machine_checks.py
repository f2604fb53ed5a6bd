"""The machine itself: system, room on disk, other managers, products to steer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, info, ok, warning
from shieldwall.agent.host.facts import os_release, read_text
from shieldwall.agent.host.running_system import processor
from shieldwall.agent.host.survey import CONFIGURATION_MANAGER, Finding, Survey
from shieldwall.agent.service.enrollment import own_code
from shieldwall.contract.enrollment import STATUSES, EnrollmentCode

ENOUGH_BYTES: Final = 64 * 1024 * 1024
LITTLE_BYTES: Final = 256 * 1024 * 1024
_ARCHITECTURES: Final = frozenset({"x86_64", "aarch64"})
_RELEASE: Final = PurePosixPath("/proc/sys/kernel/osrelease")
_TRIED: Final = frozenset(
    {"debian", "ubuntu", "rhel", "fedora", "centos", "rocky", "almalinux", "sles", "opensuse-leap"}
)


def system(subject: Subject) -> Iterable[Check]:
    """Ask whether this is a system that the agent knows."""
    release = os_release(subject.host)
    name = release.get("PRETTY_NAME") or release.get("NAME") or "unknown"
    architecture = processor()
    kernel = read_text(subject.host, _RELEASE).strip() or "unknown"
    evidence = f"{name}, kernel {kernel}, {architecture}"
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if architecture not in _ARCHITECTURES:
        yield warning(
            "system",
            "The agent was not tried on processors of this kind.",
            evidence=evidence,
            remedy="Settings are still read back, so what shows as succeeded is so; report what does not work.",
        )
    elif family & _TRIED:
        yield ok("system", "The operating system is one the agent knows.", evidence)
    else:
        yield warning(
            "system",
            "The operating system is not one the agent was tried on.",
            evidence=evidence,
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


def room(subject: Subject) -> Iterable[Check]:
    """Ask whether there is room wherever something of ours grows: state, events, quarantine, definitions, audit."""
    for place in subject.inspection.places:
        evidence = f"{place.free // 2**20} of {place.size // 2**20} MiB free"
        if place.read_only:
            yield error(
                "room",
                f"The file system of {place.path} cannot be written, so nothing new is enforced.",
                evidence="read-only",
                remedy="Look at dmesg: the kernel makes a damaged file system read-only. Repair it, or mount it anew.",
            )
        elif place.free < ENOUGH_BYTES:
            yield error("room", f"There is no room left at {place.path}.", evidence=evidence, remedy="Make room.")
        elif place.free < LITTLE_BYTES:
            yield warning("room", f"There is little room left at {place.path}.", evidence=evidence, remedy="Make room.")
        else:
            yield ok("room", f"There is room at {place.path}.", evidence)


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
    if subject.seen is None:
        return  # our own process has few rights, and nothing follows from that for the machine
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
        yield info(
            "domainController",
            "This is a domain controller: it is managed only where the enforcement scope takes them, and never gets "
            "firewall policy.",
            found.domain_controller_sign.evidence,
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
