"""Places that are watched by the kernel's audit system. It writes down; nothing here denies, and it says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.audit_rules import AuditRule, Unwatched, Watch, is_usable, rules_file
from shieldwall.agent.providers.base import Files, Observation
from shieldwall.agent.providers.hardening import watched_places as known
from shieldwall.agent.providers.hardening.base import NOT_BUILT, AuditingProvider, Refusal
from shieldwall.agent.providers.hardening.rules import DOCUMENT_ROOTS, Mode, Rules

PERSISTENCE: Final = "blockPersistenceLocations"
LOGS: Final = "blockLogTampering"
WEB_SHELLS: Final = "blockWebShellCreation"

_NO_WRITES: Final = (
    "Nothing on Linux denies a write by the program that makes it: file attributes would also stop package managers, "
    "log rotation or uploads. Audit is offered."
)
_NO_BLOCK: Final[Mapping[str, str]] = MappingProxyType(dict.fromkeys((PERSISTENCE, LOGS, WEB_SHELLS), _NO_WRITES))
_NOT_A_PATH: Final = "An audit rule names one path without white space, quotes or patterns."


class WatchesProvider(AuditingProvider):
    """Owns a file of audit rules about places."""

    rules = frozenset(_NO_BLOCK)

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "watches"

    def product_version(self, host: Host) -> str | None:
        """Return a word when there is an audit daemon."""
        return None if host.read_file(AUDITD) is None else "auditd"

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return our audit rules; auditd's configuration tells that there is one."""
        return (self.audit_file, AUDITD)

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:  # noqa: ARG002
        """Refuse to block, with the reason, and to audit without auditd."""
        return Refusal(code=NOT_BUILT, reason=_NO_BLOCK[rule]) if mode is Mode.BLOCK else self.audit_refusal(files)

    def entry_refusal(self, rule: str, entry: str, *, exclusion: bool) -> Refusal | None:  # noqa: ARG002
        """Refuse what an audit rule cannot name."""
        has_pattern = bool(set(_below(entry)) & set("*?"))
        return None if is_usable(entry) and not has_pattern else Refusal(code="pattern", reason=_NOT_A_PATH)

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:  # noqa: ARG002
        """Write the audit rules."""
        audited = [line for rule in self.audited(rules) for line in self._watches(rule, rules)]
        return {self.audit_file: rules_file(audited)} if audited else {}

    def take(self, host: Host, rules: Rules) -> None:  # noqa: ARG002
        """Load them. Raises: HostError."""
        self.load_audit(host)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:  # noqa: ARG002
        """Ask the kernel whether it holds them."""
        return self.observe_audit(host, rule)

    def _watches(self, rule: str, rules: Rules) -> list[AuditRule]:
        key, excluded = self.key(rule), rules.exclusions(rule)
        if rule == WEB_SHELLS:
            roots = (*known.DOCUMENT_ROOTS, *(f"{root.rstrip('/')}/" for root in rules.texts(DOCUMENT_ROOTS)))
            left_out = [Unwatched(key=key, path=f"{_below(path)}/", access="wa") for path in excluded]
            return [*left_out, *(Watch(key=key, path=root, access="wa") for root in dict.fromkeys(roots))]
        is_log = rule == LOGS
        where, usual = (known.LOGS, known.LOG_SERVICES) if is_log else (known.PERSISTENCE, known.PACKAGE_MANAGERS)
        unless = tuple(dict.fromkeys((*usual, *excluded)))
        return [Watch(key=key, path=path, access="wa", unless=unless) for path in where]


def _below(path: str) -> str:
    """Return the directory of ``/srv/shop/*``, or the path itself."""
    return path.removesuffix("/*").rstrip("/")
