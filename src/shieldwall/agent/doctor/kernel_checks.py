"""The kernel: its audit system, the limits that watching runs into, and what the firmware tells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, info, listed, ok, warning

_LOCKED: Final = 2
_NEARLY: Final = 0.8
_FEW: Final = {"inotify.max_user_watches": 8192, "inotify.max_user_instances": 64, "fanotify.max_user_groups": 16}
"""Fewer than that leave nothing for the agent beside a usual desktop."""


def audit(subject: Subject) -> Iterable[Check]:
    """Ask whether the kernel writes down what policies want written down."""
    found = subject.inspection.audit
    if found is None:
        return
    if not found.installed:
        if found.wanted:
            yield error(
                "audit",
                "Audit rules of ours lie on this device, and there is no auditctl to load them.",
                remedy="Install auditd, or leave this device out of policies that audit.",
            )
        else:
            yield info("audit", "There is no auditd on this device; settings that need it are not applicable.")
        return
    if found.refused:
        yield warning(
            "audit",
            "The kernel does not let its audit system be asked.",
            evidence=found.refused,
            remedy="In a container that is so: audit on the host. Elsewhere look at journalctl --unit=auditd.",
        )
        return
    evidence = (
        f"enabled {found.enabled}, {found.rules} rules, {found.ours} of them ours, daemon "
        f"{found.daemon or 'none'}, backlog {found.backlog} of {found.backlog_limit}, lost {found.lost}"
    )
    faults = list(_faults(subject, evidence))
    yield from faults
    if found.enabled == _LOCKED:
        yield info(
            "audit",
            "The audit rules are locked until the next restart (auditctl -e 2): new ones wait for that.",
            evidence,
            remedy="Restart this device when policies about auditing have changed.",
        )
    elif not faults:
        yield ok("audit", "The audit system is as policies need it.", evidence)


def limits(subject: Subject) -> Iterable[Check]:
    """Ask whether the kernel lets enough be watched."""
    found = subject.inspection.limits
    tight = []
    for each in found:
        if each.used is not None and each.value and each.used > each.value * _NEARLY:
            tight.append(f"{each.name}: {each.used} of {each.value} in use")
        elif each.value < _FEW.get(each.name, 0):
            tight.append(f"{each.name}: only {each.value}")
    if tight:
        yield warning(
            "limits",
            "The kernel lets little be watched; drift and opens may go unseen.",
            evidence=listed(tight),
            remedy="Raise the value below /proc/sys/fs, and keep it by a file in /etc/sysctl.d.",
        )
    elif found:
        used = [f"{each.name} {each.used}/{each.value}" for each in found if each.used is not None]
        yield ok("limits", "The kernel lets enough be watched.", listed(used, most=8))


def dmi(subject: Subject) -> Iterable[Check]:
    """Ask whether the firmware says what machine this is."""
    found = subject.inspection.hardware
    if found is None:
        return
    if not found.present:
        yield info("dmi", "The firmware does not describe this machine (no DMI); it is known by its machine id alone.")
    elif found.unreadable:
        yield info(
            "dmi",
            "The firmware leaves out a part of what describes this machine; nothing depends on it.",
            listed(found.unreadable),
        )
    else:
        yield ok("dmi", "The firmware says what machine this is.")


def _faults(subject: Subject, evidence: str) -> Iterable[Check]:
    found = subject.inspection.audit
    assert found is not None
    if found.wanted and found.enabled == 0:
        yield error(
            "audit",
            "Policies want things audited, and auditing is switched off.",
            evidence=evidence,
            remedy="Start auditd: systemctl restart auditd, or auditctl -e 1.",
        )
    elif found.wanted and not found.ours:
        yield error(
            "audit",
            "The kernel does not hold our audit rules.",
            evidence=evidence,
            remedy="Load them: augenrules --load. Where rules are locked, restart this device.",
        )
    if found.wanted and not found.daemon:
        yield warning(
            "audit",
            "Nobody takes the records of the audit system, so they are not kept.",
            evidence=evidence,
            remedy="Start auditd: systemctl restart auditd.",
        )
    if found.lost:
        yield warning(
            "audit",
            f"The audit system has lost {found.lost} records since the start.",
            evidence=evidence,
            remedy="Raise its backlog (auditctl -b), or let fewer rules match.",
        )
    if found.wanted and not found.at_boot:
        yield info(
            "audit",
            "What starts before auditd is not audited: the kernel was started without audit=1.",
            remedy="Add audit=1 to the kernel's command line.",
        )
