"""Programs that may run, by way of fapolicyd: a file of rules before all others, and a daemon that is restarted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.audit_rules import Watch
from shieldwall.agent.providers.audit_rules import rules_file as audit_file_of
from shieldwall.agent.providers.base import Files, Observation, ProviderError
from shieldwall.agent.providers.hardening import systemd
from shieldwall.agent.providers.hardening.base import UNAVAILABLE, AuditingProvider, Refusal
from shieldwall.agent.providers.hardening.fapolicyd_rules import (
    CANARY_PROGRAM,
    CREDENTIAL,
    EXECUTABLES,
    LIBRARIES,
    SCRIPTS,
    SHELL,
    Surroundings,
    is_trusted_place,
    places,
    rules_file,
)
from shieldwall.agent.providers.hardening.rules import Mode, Rules
from shieldwall.agent.providers.hardening.watched_places import CREDENTIALS, MOST_FREQUENT

RULES: Final = PurePosixPath("/etc/fapolicyd/rules.d/05-shieldwall.rules")
CONFIGURATION: Final = PurePosixPath("/etc/fapolicyd/fapolicyd.conf")
ENABLED: Final = PurePosixPath("/etc/systemd/system/multi-user.target.wants/fapolicyd.service")
"""Where this is, somebody else decided that fapolicyd runs, and by rules of theirs."""
STARTED: Final = PurePosixPath("/var/lib/shieldwall-applier/fapolicyd-started")
"""That fapolicyd runs because of us, so that it stops with us."""
COMPILED: Final = PurePosixPath("/etc/fapolicyd/compiled.rules")
"""What was made of all files when fapolicyd was started last."""

_DEBIAN: Final = PurePosixPath("/etc/debian_version")
_UNIT: Final = "fapolicyd.service"
_TARGET: Final = "multi-user.target"
_STARTER: Final = systemd.starter_path(_TARGET, "shieldwall-fapolicyd.service")
_MUST_RUN: Final = ("sh", "bash", "login", "sshd", "sudo", "su", "systemctl", "dpkg", "apt-get", "rpm", "dnf", "zypper")
"""Without these nobody could mend anything any more."""
_NO_SYSTEMD: Final = "fapolicyd is run by systemd, which is not the init of this device."
_NOT_HERE: Final = "Engine unavailable: fapolicyd is not on this device."
_THEIRS: Final = "fapolicyd is run with rules of others here; what is only written down would get past them."
_UNITS: Final = "fapolicyd knows programs, not the units that they run in."
_NO_PLACE: Final = "fapolicyd has no patterns: a path with letters, digits and ._@+~- only, or all below a directory."


class FapolicydError(ProviderError):
    """fapolicyd must not be, or could not be, run with the rules of a policy."""

    code = "fapolicydFailed"
    remedy = "Look at `systemctl status fapolicyd`; programs that are named need an exclusion."


class FapolicydProvider(AuditingProvider):
    """Puts rules before those of others, and never a rule by which the device could not be mended."""

    rules = frozenset({EXECUTABLES, LIBRARIES, SCRIPTS, SHELL, CREDENTIAL})

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "fapolicyd"

    def product_version(self, host: Host) -> str | None:
        """Return whether fapolicyd is there, and runs."""
        if host.read_file(CONFIGURATION) is None:
            return None
        return "running" if systemd.runs(host) and systemd.is_active(host, _UNIT) else "notRunning"

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return our rules and the drop-in that starts the daemon; the others tell what is here."""
        return (RULES, _STARTER, self.audit_file, AUDITD, CONFIGURATION, ENABLED, _DEBIAN)

    def lacking(self, host: Host, rule: str) -> str | None:
        """Only systemd starts fapolicyd again when it ends; credentials can be audited without it."""
        return None if rule == CREDENTIAL or systemd.runs(host) else _NO_SYSTEMD

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:  # noqa: ARG002
        """Refuse without fapolicyd, and to let pass what others deny."""
        if mode is Mode.AUDIT and rule == CREDENTIAL:
            return self.audit_refusal(files)
        if files.get(CONFIGURATION) is None:
            return Refusal(code=UNAVAILABLE, reason=_NOT_HERE)
        if mode is Mode.AUDIT and files.get(ENABLED) is not None:
            return Refusal(code="rulesOfOthers", reason=_THEIRS)
        return None

    def entry_refusal(self, rule: str, entry: str, *, exclusion: bool) -> Refusal | None:
        """Refuse units, and paths that cannot be said."""
        if not exclusion:
            return Refusal(code="unitsUnknown", reason=_UNITS) if rule == SHELL else None
        can_be_said = places(entry) is not None
        return None if can_be_said else Refusal(code="pattern", reason=_NO_PLACE)

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:
        """Write our rules, and that fapolicyd is started."""
        audit = {self.audit_file: audit_file_of(self._watches(rules))} if rules.mode(CREDENTIAL) is Mode.AUDIT else {}
        if not _is_needed(rules):
            return audit
        theirs = files.get(ENABLED) is not None
        trust = theirs or files.get(_DEBIAN) is None
        surroundings = Surroundings(canary=str(self.memory), rules_of_others=theirs, trust=trust)
        starter = {} if theirs else {_STARTER: systemd.starter(_UNIT)}
        return {RULES: rules_file(rules, surroundings), **starter, **audit}

    def take(self, host: Host, rules: Rules) -> None:
        """Restart fapolicyd with our rules; without them stop it, if it runs because of us.

        Raises:
            FapolicydError: A program would be kept from running without which nobody could mend the device, or
                somebody else's fapolicyd does not run, or ours does not start.
            HostError: What must be remembered cannot be written.
        """
        self.load_audit(host)
        if host.read_file(RULES) is None or not _is_needed(rules):
            _let_go(host)
            return
        if not systemd.runs(host):
            raise FapolicydError(_NO_SYSTEMD)
        systemd.reload(host)
        is_active, theirs = systemd.is_active(host, _UNIT), host.read_file(ENABLED) is not None
        if theirs and not is_active:
            raise FapolicydError("fapolicyd is switched on here by somebody else and does not run.")
        _refuse_lockout(host, rules, trust=theirs or host.read_file(_DEBIAN) is None)
        if not is_active:
            host.write_file(STARTED, b"", mode=0o600)
        systemd.systemctl(host, "restart", _UNIT)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Try what our first rule denies, and see whether all of them are among those that fapolicyd was given."""
        if rule == CREDENTIAL and rules.mode(rule) is Mode.AUDIT:
            return self.observe_audit(host, rule)
        program = host.find_program(PurePosixPath(CANARY_PROGRAM).name)
        if program is None:
            return Observation(effective=None, code="notShown", reason="There is no cksum to try it with.")
        tried = host.run([program, str(host.locate(self.memory))])
        if tried.returncode == 0 or b"not permitted" not in tried.stderr:
            reason = "fapolicyd does not deny what our first rule denies; it may be down."
            return Observation(effective=False, code="engineBlind", reason=reason)
        if not _are_compiled(host):
            reason = f"{COMPILED} does not hold all of our rules; was there room for it, and in /tmp?"
            return Observation(effective=False, code="rulesNotCompiled", reason=reason)
        return Observation(effective=True)

    def _watches(self, rules: Rules) -> list[Watch]:
        unless = tuple(dict.fromkeys((*MOST_FREQUENT, *rules.exclusions(CREDENTIAL))))
        return [Watch(key=self.key(CREDENTIAL), path=path, access="r", unless=unless) for path in CREDENTIALS]


def _are_compiled(host: Host) -> bool:
    """Say whether what fapolicyd reads at its start holds our rules, in their order and with nothing between them.

    What puts the files together (``fagenrules``) does not notice a disk without room: it leaves what was there before,
    or half of what there should be, and ends well.
    """
    ours, all_of_them = (_counting(host.read_file(path) or b"") for path in (RULES, COMPILED))
    return ours in all_of_them


def _counting(content: bytes) -> bytes:
    """Return the lines that mean something, each between two line feeds."""
    lines = (line.strip() for line in content.split(b"\n"))
    return b"\n" + b"".join(line + b"\n\n" for line in lines if line and not line.startswith(b"#"))[:-1]


def _is_needed(rules: Rules) -> bool:
    """Say whether any rule is one for fapolicyd."""
    by_fapolicyd = (EXECUTABLES, LIBRARIES, SCRIPTS, SHELL)
    return rules.mode(CREDENTIAL) is Mode.BLOCK or any(rules.mode(rule) is not Mode.OFF for rule in by_fapolicyd)


def _let_go(host: Host) -> None:
    if not systemd.runs(host):
        return
    systemd.reload(host)
    if host.read_file(STARTED) is not None:
        systemd.stop(host, _UNIT)
        host.write_file(STARTED, None)
    elif (host.read_file(COMPILED) or b"").find(b"%shieldwall_") != -1 and systemd.is_active(host, _UNIT):
        systemd.systemctl(host, "restart", _UNIT)


def _refuse_lockout(host: Host, rules: Rules, *, trust: bool) -> None:
    """Raise when what has to run would not. Raises: FapolicydError."""
    if rules.mode(EXECUTABLES) is not Mode.BLOCK:
        return
    known = _trusted_programs(host) if trust else frozenset[str]()
    for program in _needed_programs(host):
        if program not in known if trust else not is_trusted_place(program, rules):
            raise FapolicydError(f"{program} would not run any more, and without it nobody could mend this device.")


def _needed_programs(host: Host) -> Iterator[str]:
    found = [Path(program) for name in _MUST_RUN if (program := host.find_program(name)) is not None]
    ours = [Path(sys.executable)] if host.root == Path("/") else []
    init = host.locate(PurePosixPath("/sbin/init"))
    for path in (*found, *ours, *([init] if init.exists() else [])):
        real = path.resolve()
        yield f"/{real.relative_to(host.root)}" if real.is_relative_to(host.root) else str(real)


def _trusted_programs(host: Host) -> frozenset[str]:
    cli = host.find_program("fapolicyd-cli")
    if cli is None:
        return frozenset()
    listing = host.run([cli, "--dump-db"], timeout_seconds=120.0).stdout.decode(errors="replace")
    return frozenset(words[1] for line in listing.splitlines() if len(words := line.split(" ")) >= 2)
