"""The kernel's own switches: a file of sysctl.d for the next start, and the values themselves for now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.kernel_files import is_read_only
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.audit_rules import AuditRule, Calls, rules_file
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation
from shieldwall.agent.providers.hardening import interfaces, irreversible
from shieldwall.agent.providers.hardening.base import UNAVAILABLE, AuditingProvider, Refusal
from shieldwall.agent.providers.hardening.held import unmanaged
from shieldwall.agent.providers.hardening.knobs import (
    INTERFACE_KEYS,
    KNOB_RULES,
    Knob,
    knobs_of,
    locked_paths,
    shown_value,
    value_paths,
)
from shieldwall.agent.providers.hardening.rules import EVERY_RULE, Mode, Rules
from shieldwall.agent.providers.hardening.sysctl_files import SYSCTL_FILE, later_words, sysctl_file, values_in

_USER: Final = ("uid>=1000",)
_NEW_USER_NAMESPACE: Final = "0x10000000"
"""CLONE_NEWUSER of linux/sched.h, the first argument of both calls."""
_AUDITED: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "restrictPtrace": (("ptrace",), _USER),
    "blockUnprivilegedUserNamespaces": (("clone", "unshare"), (f"a0&{_NEW_USER_NAMESPACE}", *_USER)),
    "blockUnprivilegedBpf": (("bpf",), _USER),
    "blockKexec": (("kexec_load", "kexec_file_load"), ()),
}
"""System calls and conditions by which a rule's audit mode sees what block would stop."""


class KernelProvider(AuditingProvider):
    """Holds values of the kernel, and never weakens one that somebody set stronger."""

    rules = frozenset({*KNOB_RULES, *irreversible.LOCKS})

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "kernel"

    @property
    def takes_exclusions_of_all(self) -> bool:
        """No rule about the kernel leaves paths out."""
        return False

    def product_version(self, host: Host) -> str | None:
        """Return the kernel's release."""
        return shown_value(host.read_file(PurePosixPath("/proc/sys/kernel/osrelease")))

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return the files for the next start and the values for now; locks are read alone."""
        locks = (lock.path for lock in irreversible.LOCKS.values())
        return (SYSCTL_FILE, self.audit_file, AUDITD, *value_paths(), *locks)

    def lacking(self, host: Host, rule: str) -> str | None:
        """In a container the values are those of the machine outside, and audit rules are its business too."""
        files = {path: host.read_file(path) for path in value_paths()} if rule in KNOB_RULES else {}
        paths = [knob.path for knob in self._knobs(rule, files, Rules()) if files.get(knob.path) is not None]
        if rule in irreversible.LOCKS:
            paths.append(irreversible.LOCKS[rule].path)
        fixed = [path for path in paths if is_read_only(host.locate(path))]
        return f"{fixed[0]} is read-only here, as in a container." if fixed else None

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:
        """Refuse what this kernel lacks, and auditing without auditd."""
        if mode is Mode.AUDIT:
            return self.audit_refusal(files)
        if rule in irreversible.LOCKS:
            lock = irreversible.LOCKS[rule]
            missing = files.get(lock.path) is None
            return Refusal(code=UNAVAILABLE, reason=f"Engine unavailable: {lock.unavailable}") if missing else None
        needed = [knob for knob in knobs_of(rule, files, ptrace_scope=rules.ptrace_scope) if not knob.optional]
        if any(files.get(knob.path) is not None for knob in needed):
            return None
        names = ", ".join(knob.key for knob in needed)
        return Refusal(code=UNAVAILABLE, reason=f"Engine unavailable: this kernel has no {names}.")

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:
        """Compute values and files; a value that is stronger already stays."""
        contents: dict[PurePosixPath, bytes] = {}
        values: dict[str, str] = {}
        for rule in sorted(rules.among(Mode.BLOCK) & self.rules):
            for knob in self._knobs(rule, files, rules):
                found = shown_value(files.get(knob.path))
                values[knob.name] = knob.value if found is None else knob.stronger(found)
                if found is not None and found not in knob.locked:
                    contents[knob.path] = f"{values[knob.name]}\n".encode()
            values |= dict.fromkeys(INTERFACE_KEYS.get(rule, ()), "0")
            if rule == "blockKexec":
                values["kernel/kexec_load_disabled"] = "1"
        if values:
            contents[SYSCTL_FILE] = sysctl_file(dict(sorted(values.items())))
        if audited := [self._audit_rule(rule) for rule in self.audited(rules)]:
            contents[self.audit_file] = rules_file(audited)
        return contents

    def stuck(self, files: Files) -> frozenset[PurePosixPath]:
        """Return the values of which the kernel shows one that it does not take back."""
        return locked_paths(files)

    def held(self, files: Files, rules: Rules) -> frozenset[str]:
        """Judge rule by rule: one value that somebody changed says nothing about the others."""
        values = values_in(files.get(SYSCTL_FILE))
        audit = files.get(self.audit_file)
        audit_holds = audit is None or audit == self.contents(files, rules).get(self.audit_file)
        lost = set() if audit_holds else set(self.audited(rules))
        for rule in rules.among(Mode.BLOCK) & self.rules:
            for knob in self._knobs(rule, files, rules):
                found = shown_value(files.get(knob.path))
                if not knob.is_enough(values.get(knob.name, "")) or (found is not None and not knob.is_enough(found)):
                    lost.add(rule)
        if audit is None:
            lost |= set(self.audited(rules))
        return self.rules - lost | {EVERY_RULE}

    def take(self, host: Host, rules: Rules) -> None:
        """Go on to what is no file: interfaces, locks, the audit rules. The values stand already."""
        blocked = rules.among(Mode.BLOCK)
        interfaces.switch_off(host, [key for rule in sorted(blocked) for key in INTERFACE_KEYS.get(rule, ())])
        for rule in sorted(blocked & irreversible.LOCKS.keys()):
            irreversible.lock(host, irreversible.LOCKS[rule])
        if rules.mode("restrictPtrace") is Mode.BLOCK and rules.ptrace_scope == 3:
            irreversible.lock(host, irreversible.PTRACE)
        self.load_audit(host)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Ask the kernel: its value is the effect."""
        if rules.mode(rule) is Mode.AUDIT:
            return self.observe_audit(host, rule)
        if rule in irreversible.LOCKS:
            return irreversible.observe(host, irreversible.LOCKS[rule])
        if rule == "restrictPtrace" and rules.ptrace_scope == 3:
            return irreversible.observe(host, irreversible.PTRACE)
        if still := interfaces.still_on(host, INTERFACE_KEYS.get(rule, ())):
            return Observation(effective=False, code="valueDiffers", reason=f"{still[0]} is not 0.")
        files = {path: host.read_file(path) for path in value_paths()}
        knobs = self._knobs(rule, files, rules)
        for knob in knobs:
            found = shown_value(files.get(knob.path))
            if found is not None and not knob.is_enough(found):
                return Observation(effective=False, code="valueDiffers", reason=f"{knob.key} is {found[:64]}.")
        return _with_later_words(host, knobs)

    def local(self, files: Files, kept: Kept) -> Desired:
        """Say which rules hold without us: block where every value is strong enough by itself, off otherwise."""
        before = unmanaged(files, kept, stuck=self.stuck(files))
        modes = {
            rule: "block" if all(_holds(knob, before) for knob in knobs_of(rule, before)) else "off"
            for rule in sorted(KNOB_RULES)
            if any(before.get(knob.path) is not None for knob in knobs_of(rule, before))
        }
        return {
            setting: f"{setting}_{modes[rule]}"
            for setting in self._words.places
            if self._words.is_rule(setting) and (rule := self._words.rule_of(setting)) in modes
        }

    def _knobs(self, rule: str, files: Files, rules: Rules) -> tuple[Knob, ...]:
        return knobs_of(rule, files, ptrace_scope=rules.ptrace_scope) if rule in KNOB_RULES else ()

    def _audit_rule(self, rule: str) -> AuditRule:
        names, conditions = _AUDITED[rule]
        return Calls(key=self.key(rule), names=names, conditions=conditions)


def _holds(knob: Knob, files: Files) -> bool:
    found = shown_value(files.get(knob.path))
    return found is None or knob.is_enough(found)


def _with_later_words(host: Host, knobs: tuple[Knob, ...]) -> Observation:
    """Say that it is in effect, and whose file will weaken it for a moment at the next start."""
    said = later_words(host, [knob.name for knob in knobs])
    for knob in knobs:
        path, value = said.get(knob.name, (None, knob.value))
        if path is not None and not knob.is_enough(value):
            reason = f"{path} is read after ours and sets {knob.key} to {value[:64]}; it is put back after each start."
            return Observation(effective=True, code="overriddenAtStart", reason=reason)
    return Observation(effective=True)
