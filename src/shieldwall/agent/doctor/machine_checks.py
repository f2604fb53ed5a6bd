"""The machine itself: system, room on disk, other managers, products to steer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, ok, warning
from shieldwall.agent.host.facts import os_release
from shieldwall.agent.host.survey import look, survey

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
    found = survey(look(subject.host))
    for manager in found.managers:
        yield error(
            "otherManager",
            f"{manager.product} manages this device; the agent takes nothing new and puts nothing back.",
            evidence=str(manager.evidence),
            remedy="Take the device out of the other manager, or out of Shieldwall.",
        )
    for neighbour in found.neighbours:
        yield warning(
            "neighbour",
            f"{neighbour.product} is here and may change the same things.",
            evidence=str(neighbour.evidence),
            remedy="Decide which of the two is in charge of what they share.",
        )
    if not found.managers and not found.neighbours:
        yield ok("otherManager", "Nobody else manages this device.")


def engines(subject: Subject) -> Iterable[Check]:
    """Ask which products there are to enforce with."""
    versions = {provider.name: provider.product_version(subject.host) for provider in subject.providers}
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
