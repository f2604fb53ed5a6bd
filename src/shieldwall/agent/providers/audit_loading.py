"""Files of audit rules and the kernel that takes them: load, take out, and say whether they are in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_rules import keys_in
from shieldwall.agent.providers.base import Files, Observation

AUDITD: Final = PurePosixPath("/etc/audit/auditd.conf")
"""Where this is, there is an audit daemon that loads rules at every start and writes down what they find."""

NOT_INSTALLED: Final = "Auditing needs auditd, which is not on this device."
_ATTEMPTS: Final = 3
_IMMUTABLE: Final = "The audit rules are locked until the next restart (auditctl -e 2); they are loaded then."


def is_installed(files: Files) -> bool:
    """Say whether there is an audit daemon, from the content of ``AUDITD``. Pure."""
    return files.get(AUDITD) is not None


def load(host: Host, path: PurePosixPath, keys: Iterable[str]) -> None:
    """Make the kernel hold exactly the rules of one file among those with ``keys``; without a file, none of them.

    Where there is no auditctl, or where the rules are locked, nothing happens: ``observe`` says so.

    Raises:
        HostError: auditctl did not run to its end.
    """
    auditctl = host.find_program("auditctl")
    if auditctl is None or _enabled(host, auditctl) == "2":
        return
    wanted = host.read_file(path)
    take_out(host, auditctl, frozenset(keys).__contains__)
    if wanted is not None:
        host.run([auditctl, "-R", str(host.locate(path))])


def listing(host: Host, auditctl: str) -> str:
    """Return what auditctl says of the rules that the kernel holds. Raises: HostError."""
    return host.run([auditctl, "-l"]).stdout.decode(errors="replace")


def take_out(host: Host, auditctl: str, is_ours: Callable[[str], bool]) -> frozenset[str]:
    """Take all rules with keys of ours out of the kernel, and return the keys of those that stay.

    Several times, if need be: on a machine under pressure auditctl has been seen to leave all rules of a key in place.

    Raises:
        HostError: auditctl did not run to its end.
    """
    for _ in range(_ATTEMPTS):
        if not (held := _held(host, auditctl, is_ours)):
            return held
        for key in sorted(held):
            host.run([auditctl, "-D", "-k", key])
    return _held(host, auditctl, is_ours)


def observe(host: Host, key: str) -> Observation:
    """Say whether the kernel writes down what the rules with this key describe."""
    auditctl = host.find_program("auditctl")
    if auditctl is None:
        return Observation(effective=None, code="notShown", reason="There is no auditctl to ask.")
    try:
        enabled, loaded = _enabled(host, auditctl), _loaded(host, auditctl)
    except HostError as error:
        return Observation(effective=None, code=error.code, reason=error.cause[:512])
    if key in loaded and enabled in {"1", "2"}:
        return Observation(effective=True)
    if enabled == "2":
        return Observation(effective=False, code="auditLocked", reason=_IMMUTABLE)
    if key not in loaded:
        return Observation(effective=False, code="auditRuleMissing", reason="The kernel does not hold the audit rule.")
    return Observation(effective=False, code="auditOff", reason="Auditing is switched off; start auditd.")


def _enabled(host: Host, auditctl: str) -> str:
    for line in host.run([auditctl, "-s"]).stdout.decode(errors="replace").splitlines():
        name, _, value = line.partition(" ")
        if name == "enabled":
            return value.strip()
    return ""


def _loaded(host: Host, auditctl: str) -> frozenset[str]:
    return keys_in(listing(host, auditctl))


def _held(host: Host, auditctl: str, is_ours: Callable[[str], bool]) -> frozenset[str]:
    return frozenset(filter(is_ours, _loaded(host, auditctl)))
