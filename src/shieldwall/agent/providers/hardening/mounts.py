"""Directories and sticks from which nothing runs: flags of mounts, now and at the next start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.audit_rules import AuditRule, Unwatched, Watch, is_usable, rules_file
from shieldwall.agent.providers.base import Files, Observation
from shieldwall.agent.providers.hardening import mounting, systemd
from shieldwall.agent.providers.hardening.base import NOT_BUILT, AuditingProvider, Refusal
from shieldwall.agent.providers.hardening.mount_plan import (
    EXECUTION,
    REMOVABLE,
    SETUID,
    MountPlan,
    below,
    directories_of,
    is_fit,
    plan_of,
    script,
)
from shieldwall.agent.providers.hardening.rules import EVERY_RULE, Mode, Rules
from shieldwall.contract.status import SettingState

UNIT: Final = "shieldwall-mounts.service"
SCRIPT: Final = PurePosixPath("/etc/shieldwall/hardening-mounts.sh")
UDEV: Final = PurePosixPath("/etc/udev/rules.d/90-shieldwall-removable.rules")

_TARGET: Final = "sysinit.target"
_UNIT_FILE: Final = f"""\
# Written by shieldwall-agent; a change made here is put back.
[Unit]
Description=Mount directories as Shieldwall's policies say
DefaultDependencies=no
After=local-fs.target
Before={_TARGET}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {SCRIPT}
""".encode()
_UDEV_RULES: Final = b"""\
# Written by shieldwall-agent; a change made here is put back. What udisks mounts has these options from the beginning.
SUBSYSTEM=="block", ENV{ID_BUS}=="usb", ENV{UDISKS_MOUNT_OPTIONS_DEFAULTS}="noexec,nosuid,nodev"
SUBSYSTEM=="block", ATTRS{removable}=="1", ENV{UDISKS_MOUNT_OPTIONS_DEFAULTS}="noexec,nosuid,nodev"
"""
_NO_AUDIT: Final = "Nothing writes down what runs from removable storage without also watching every other program."
_PATTERN: Final = "A mount has one path; patterns cannot be left out."
_NOT_BELOW: Final = "This does not lie below a directory that the rule is about."
_UNFIT: Final = "The path is not absolute and in its shortest form."


class MountsProvider(AuditingProvider):
    """Mounts directories with ``noexec``, ``nosuid`` and ``nodev``, and gives them the options of before."""

    rules = frozenset({EXECUTION, SETUID, REMOVABLE})

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "mounts"

    def product_version(self, host: Host) -> str | None:
        """Return a word when mounts can be changed."""
        return "mount" if host.find_program("mount") is not None else None

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return script and unit for the next start, the rules of udev and of auditd."""
        starter = systemd.starter_path(_TARGET, UNIT)
        return (SCRIPT, systemd.unit_path(UNIT), starter, UDEV, self.audit_file, AUDITD)

    def lacking(self, host: Host, rule: str) -> str | None:  # noqa: ARG002
        """Without the program mount nothing can be done."""
        return None if host.find_program("mount") is not None else "The program mount is not on this device."

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:  # noqa: ARG002
        """Refuse auditing without auditd, and of sticks."""
        if mode is not Mode.AUDIT:
            return None
        return Refusal(code=NOT_BUILT, reason=_NO_AUDIT) if rule == REMOVABLE else self.audit_refusal(files)

    def entry_refusal(self, rule: str, entry: str, *, exclusion: bool) -> Refusal | None:
        """Refuse exclusions that no mount can express."""
        if not exclusion:
            return None
        if rule == EVERY_RULE:
            return Refusal(code="pattern", reason=_PATTERN) if set(entry) & set("*?") or not is_fit(entry) else None
        if not is_fit(entry):
            return Refusal(code="invalidExclusion", reason=_UNFIT, state=SettingState.ERROR)
        if rule == EXECUTION and not below([PurePosixPath(entry)], directories_of(Rules())):
            return Refusal(code="invalidExclusion", reason=_NOT_BELOW, state=SettingState.ERROR)
        return None

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:  # noqa: ARG002
        """Write script, unit and rules."""
        plan = plan_of(rules)
        contents: dict[PurePosixPath, bytes] = {}
        if plan.flags:
            contents[SCRIPT] = script(plan)
            contents[systemd.unit_path(UNIT)] = _UNIT_FILE
            contents[systemd.starter_path(_TARGET, UNIT)] = systemd.starter(UNIT)
        if plan.removable:
            contents[UDEV] = _UDEV_RULES
        if rules.mode(EXECUTION) is Mode.AUDIT:
            contents[self.audit_file] = rules_file(self._audit_rules(rules))
        return contents

    def take(self, host: Host, rules: Rules) -> None:
        """Mount now what the script mounts at the next start. Raises: MountError, HostError."""
        mounting.reconcile(host, plan_of(rules))
        systemd.reload(host)
        if systemd.runs(host) and (udevadm := host.find_program("udevadm")) is not None:
            host.run([udevadm, "control", "--reload"])
        self.load_audit(host)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Ask the kernel for the flags of every mount concerned."""
        if rules.mode(rule) is Mode.AUDIT:
            return self.observe_audit(host, rule)
        plan = _only(rule, plan_of(rules))
        if host.read_file(mounting.mounts_file(host)) is None:
            return Observation(effective=None, code="notShown", reason="The kernel shows no mounts here.")
        if faults := mounting.shortfalls(host, plan):
            return Observation(effective=False, code="mountedOtherwise", reason=" ".join(faults[:10]))
        if rule == REMOVABLE:
            return Observation(effective=True)
        absent = ", ".join(map(str, mounting.missing(host, plan.flags)))
        reason = f"Not there, or a link to a place that is mounted like this: {absent}." if absent else ""
        return Observation(effective=True, code="directoryMissing" if absent else "", reason=reason)

    def monitor(self, host: Host) -> Sequence[str] | None:
        """Watch for mounts that come, go and change."""
        findmnt = host.find_program("findmnt")
        words = ("--poll", "--task", "1", "--noheadings", "--output", "ACTION,TARGET")
        return None if findmnt is None else [findmnt, *words]

    def _audit_rules(self, rules: Rules) -> list[AuditRule]:
        directories = directories_of(rules)
        excluded = below(map(PurePosixPath, rules.exclusions(EXECUTION)), directories)
        key = self.key(EXECUTION)
        return [
            *(Unwatched(key=key, path=f"{path}/", access="x") for path in excluded if is_usable(str(path))),
            *(Watch(key=key, path=f"{path}/", access="x") for path in directories),
        ]


def _only(rule: str, plan: MountPlan) -> MountPlan:
    """Leave of a plan what one rule is about."""
    if rule == REMOVABLE:
        return MountPlan(removable=plan.removable, left_out=plan.left_out)
    own = frozenset({"noexec"}) if rule == EXECUTION else frozenset({"nosuid", "nodev"})
    flags = {path: flags & own for path, flags in plan.flags.items() if flags & own}
    return MountPlan(flags=flags, open=plan.open)
