"""Modules that are not loaded, and the door that closes after start-up: modprobe's configuration and one lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.audit_rules import Calls, rules_file
from shieldwall.agent.providers.base import Files, Observation
from shieldwall.agent.providers.hardening import irreversible, systemd
from shieldwall.agent.providers.hardening.base import UNAVAILABLE, AuditingProvider, Refusal
from shieldwall.agent.providers.hardening.module_lists import (
    LISTS,
    LOCKED,
    REFUSED,
    configuration,
    loaded,
    modules_of,
    normal,
)
from shieldwall.agent.providers.hardening.rules import Mode, Rules

CONFIGURATION: Final = PurePosixPath("/etc/modprobe.d/shieldwall.conf")
UNIT: Final = "shieldwall-module-lock.service"

_TARGET: Final = "multi-user.target"
_LOADED: Final = PurePosixPath("/proc/modules")
_STARTING: Final = frozenset({"initializing", "starting"})


class ModulesProvider(AuditingProvider):
    """Tells modprobe what not to load, and locks the kernel's modules when start-up is over."""

    rules = frozenset({*LISTS, LOCKED})

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "modules"

    @property
    def takes_exclusions_of_all(self) -> bool:
        """Modules have names, not paths."""
        return False

    def product_version(self, host: Host) -> str | None:
        """Return modprobe's version where the kernel loads modules."""
        modprobe = host.find_program("modprobe")
        if modprobe is None or host.read_file(irreversible.MODULES.path) is None:
            return None
        return host.run([modprobe, "--version"]).stdout.decode(errors="replace").split("\n")[0][:64]

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return modprobe's file, the unit, the audit rules; the lock is only read."""
        units = (systemd.unit_path(UNIT), systemd.starter_path(_TARGET, UNIT))
        return (CONFIGURATION, *units, self.audit_file, AUDITD, irreversible.MODULES.path)

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:  # noqa: ARG002
        """Refuse where the kernel loads no modules at all, and auditing without auditd."""
        if files.get(irreversible.MODULES.path) is None:
            return Refusal(code=UNAVAILABLE, reason=f"Engine unavailable: {irreversible.MODULES.unavailable}")
        return self.audit_refusal(files) if mode is Mode.AUDIT and rule == LOCKED else None

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:  # noqa: ARG002
        """Write modprobe's file, and the unit or the audit rule for the lock."""
        contents: dict[PurePosixPath, bytes] = {}
        if (lines := configuration(rules)) is not None:
            contents[CONFIGURATION] = lines
        if rules.mode(LOCKED) is Mode.BLOCK:
            contents[systemd.unit_path(UNIT)] = _unit(rules.exclusions(LOCKED))
            contents[systemd.starter_path(_TARGET, UNIT)] = systemd.starter(UNIT)
        if rules.mode(LOCKED) is Mode.AUDIT:
            calls = Calls(key=self.key(LOCKED), names=("init_module", "finit_module", "delete_module"))
            contents[self.audit_file] = rules_file([calls])
        return contents

    def take(self, host: Host, rules: Rules) -> None:
        """Lock at once where start-up is over; while it goes on, the unit does it when everything is loaded."""
        systemd.reload(host)
        self.load_audit(host)
        if rules.mode(LOCKED) is not Mode.BLOCK or _is_starting(host):
            return
        if systemd.runs(host):  # whoever enforces may load no module itself
            systemd.systemctl(host, "restart", UNIT)
            return
        modprobe = host.find_program("modprobe")
        for name in rules.exclusions(LOCKED):
            if modprobe is not None:
                host.run([modprobe, "--quiet", "--", name])
        irreversible.lock(host, irreversible.MODULES)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Ask modprobe what it would do, and the kernel what it has loaded."""
        if rule == LOCKED:
            is_audited = rules.mode(rule) is Mode.AUDIT
            return self.observe_audit(host, rule) if is_audited else _observed_lock(host)
        modprobe = host.find_program("modprobe")
        if modprobe is None:
            return Observation(effective=None, code="notShown", reason="There is no modprobe to ask.")
        wanted = modules_of(rule, rules)
        sign = REFUSED if rules.mode(rule) is Mode.BLOCK else "/usr/bin/logger -t shieldwall"
        for name in wanted:
            plan = host.run([modprobe, "--dry-run", "--verbose", "--", name]).stdout.decode(errors="replace")
            if not plan.startswith(f"install {sign}"):
                reason = f"modprobe would load {name} by another rule of /etc/modprobe.d."
                return Observation(effective=False, code="moduleLoads", reason=reason)
        if already := sorted(loaded(host.read_file(_LOADED)) & set(wanted)):
            reason = f"Loaded already, until the next restart: {', '.join(already)}."
            return Observation(effective=None, code="loadedUntilRestart", reason=reason)
        return Observation(effective=True)


def _observed_lock(host: Host) -> Observation:
    if _is_starting(host):
        reason = "The machine is still starting; modules are locked when that is over."
        return Observation(effective=None, code="startingUp", reason=reason)
    return irreversible.observe(host, irreversible.MODULES)


def _unit(preloaded: tuple[str, ...]) -> bytes:
    load = "".join(f"ExecStart=-/sbin/modprobe --quiet -- {normal(name)}\n" for name in preloaded)
    return f"""\
# Written by shieldwall-agent; a change made here is put back.
[Unit]
Description=Load no module any more, as Shieldwall's policies say
DefaultDependencies=no
After={_TARGET}
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
{load}ExecStart=/bin/sh -c 'echo 1 > {irreversible.MODULES.path}'
""".encode()


def _is_starting(host: Host) -> bool:
    if not systemd.runs(host):
        return False
    state = host.run([host.find_program("systemctl") or "systemctl", "is-system-running"]).stdout
    return state.decode(errors="replace").strip() in _STARTING
