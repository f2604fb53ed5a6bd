"""The agent itself: rights of whoever asks, applier, services, files, package, sandbox; is there one of each?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, info, listed, ok, warning
from shieldwall.agent.host.running_system import own_user
from shieldwall.agent.inspection.services import AGENT, APPLIER

_REINSTALL: Final = "Find out who did that, then install the package shieldwall-agent of this version again."
_AS_ROOT: Final = "Run it as root: sudo shieldwall-agent doctor."
_WHOLLY_EXPOSED: Final = 6.0
"""Score of systemd-analyze above which a service counts as hardly confined; the package's own are far below."""
_APPLIER_UNIT: Final = "shieldwall-applier.service"


def may_see_state(subject: Subject) -> bool:
    """Say whether the agent's own directory may be read; one that is not there hides nothing."""
    directory = subject.surroundings.state.directory
    try:
        directory.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(directory, os.R_OK | os.X_OK)


def rights(subject: Subject) -> Iterable[Check]:
    """Say what whoever asks may not see."""
    if not may_see_state(subject):
        yield warning(
            "rights",
            "You are not root, so most of this device could not be looked at: identity and key, the way to the server, "
            "check-ins, policies, and everything that the applier sees.",
            evidence=f"{subject.surroundings.state.directory} is closed to user {own_user()}",
            remedy=_AS_ROOT,
        )


def silent(subject: Subject, cause: str) -> Check:
    """Say that the applier could not be asked."""
    if not subject.is_root and not may_see_state(subject):
        return info("applier", "The applier answers root and the agent alone.", cause, remedy=_AS_ROOT)
    return error(
        "applier",
        "The applier does not answer. What it enforced holds; nothing new is enforced, and nothing put back.",
        evidence=cause,
        remedy="Look at its service: systemctl status shieldwall-applier, journalctl --unit=shieldwall-applier.",
    )


def unseen(subject: Subject) -> Iterable[Check]:
    """Name what the applier could not look at: it hangs, or is broken."""
    for part, cause in sorted(subject.inspection.unseen.items()):
        yield warning(
            "unseen",
            f"The applier could not look at this: {part}.",
            evidence=cause,
            remedy="Look what hangs or is broken there. The rest of the examination went on without it.",
        )


def pin(subject: Subject) -> Iterable[Check]:
    """Ask whether agent and applier speak of one device and one tenant."""
    if subject.standing is None:
        return
    identity, standing = subject.surroundings.state.find_identity(), subject.standing
    if identity is None:
        if standing.device is not None:
            yield warning(
                "pin",
                "The applier still enforces for a device that the agent does not know any more.",
                evidence=f"device {standing.device.id}, tenant {standing.tenant_id}",
                remedy="Run shieldwall-agent offboard --without-server as root, or onboard this device again.",
            )
        return
    tenant, device = identity.server.tenant_id, identity.device_id
    evidence = f"agent: device {device}, tenant {tenant}"
    if standing.tenant_id is None:
        yield error(
            "pin",
            "The applier obeys nobody yet, so nothing is enforced.",
            evidence=evidence,
            remedy="Run shieldwall-agent pin as root.",
        )
    elif standing.tenant_id != tenant or (standing.device is not None and standing.device.id != device):
        theirs = "none" if standing.device is None else standing.device.id
        yield error(
            "pin",
            "Agent and applier do not speak of the same device and tenant. Enrollment status 15.",
            evidence=f"{evidence}; applier: device {theirs}, tenant {standing.tenant_id}",
            remedy="Run shieldwall-agent offboard as root, then onboard with a package of the right tenant.",
        )
    else:
        yield ok("pin", "Agent and applier speak of the same device and tenant.", evidence)


def two_agents(subject: Subject) -> Iterable[Check]:
    """Ask whether more than one agent, or applier, runs on this machine."""
    for module, word in ((AGENT, "agents"), (APPLIER, "appliers")):
        found = [each for each in subject.inspection.programs if each.module == module]
        if len(found) > 1:
            yield warning(
                "twoAgents",
                f"{len(found)} {word} run on this machine at once; they undo each other's work, or share one identity.",
                evidence=", ".join(f"process {each.pid} {each.state}".strip() for each in found),
                remedy="Keep the one of the service: systemctl status names it. Stop the other, and what starts it.",
            )


def services(subject: Subject) -> Iterable[Check]:
    """Ask whether our services run, start with the machine, and are as the package brought them."""
    onboarded = may_see_state(subject) and subject.surroundings.state.find_identity() is not None
    for each in subject.inspection.services:
        evidence = f"{each.unit} is {each.active or 'unknown'}, {each.enabled or 'not enabled'}"
        if each.active == "not-found":
            yield info("service", f"{each.unit} is not installed on this machine.", "started by hand, perhaps")
        elif each.active not in {"active", "reloading", "activating"} and (onboarded or each.unit == _APPLIER_UNIT):
            yield error(
                "service",
                f"The service {each.unit} does not run.",
                evidence=evidence,
                remedy=f"systemctl status {each.unit} says why; start it with systemctl restart {each.unit}.",
            )
        elif each.enabled not in {"enabled", "enabled-runtime", "static", "alias"}:
            yield warning(
                "service",
                f"The service {each.unit} does not start with the machine.",
                evidence=evidence,
                remedy=f"systemctl enable {each.unit}",
            )
        else:
            yield ok("service", f"The service {each.unit} is as it must be.", evidence)


def sandbox(subject: Subject) -> Iterable[Check]:
    """Ask whether our services are confined as the package asks."""
    for each in subject.inspection.services:
        if each.active == "not-found":
            continue
        score = "" if each.exposure is None else f"exposure {each.exposure:g} of 10 (systemd-analyze security)"
        if each.overlays or each.missing:
            changed = [f"changed by {path}" for path in each.overlays]
            changed += [f"not in effect: {directive}" for directive in each.missing]
            yield warning(
                "sandbox",
                f"{each.unit} is not confined as its package asks.",
                evidence="; ".join(filter(None, (listed(changed, most=8), score))),
                remedy="Remove what changes the unit, then systemctl daemon-reload and restart it.",
            )
        elif each.exposure is not None and each.exposure > _WHOLLY_EXPOSED:
            yield info("sandbox", f"{each.unit} is confined as its package asks, and that is little here.", score)
        else:
            yield ok("sandbox", f"{each.unit} is confined as its package asks.", score)


def files(subject: Subject) -> Iterable[Check]:
    """Ask whether others can change our files, or somebody keeps us from changing them."""
    found = subject.inspection.own_files
    if found is None:
        return
    for each in found:
        yield error(
            "ownFiles",
            f"A file of ours is not as it must be: it {each.fault}.",
            evidence=each.path,
            remedy="Give it back to root and close it to others (chown root:root, chmod go-w; chattr -i -a).",
        )
    if not found:
        yield ok("ownFiles", "Our files belong to root, nobody else can change them, and none is locked.")


def package(subject: Subject) -> Iterable[Check]:
    """Ask whether our files are those that the package brought."""
    if subject.seen is None or "package" in subject.inspection.unseen:
        return
    found = subject.inspection.package
    if found is None:
        yield info("package", "The agent was not installed by a package, so its files cannot be verified.")
        return
    evidence = f"shieldwall-agent {found.version}, verified by {found.manager}"
    if found.changed:
        named = listed(found.changed)
        more = f", and {found.more} beyond that" if found.more else ""
        yield error(
            "package",
            "Files of the agent are not as the package brought them.",
            evidence=f"{evidence}: {named}{more}",
            remedy=_REINSTALL,
        )
    else:
        yield ok("package", "The agent's files are those of its package.", evidence)
