"""Files of audit rules and the kernel that takes them: load, take out, and say whether they are in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final

from shieldwall.agent.host.errors import HostError, ProgramError
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_rules import Place, keys_in, places_in
from shieldwall.agent.providers.base import Files, Observation, ProviderError

AUDITD: Final = PurePosixPath("/etc/audit/auditd.conf")
"""Where this is, there is an audit daemon that loads rules at every start and writes down what they find."""

NOT_INSTALLED: Final = "Auditing needs auditd, which is not on this device."
_ATTEMPTS: Final = 3
_LOOK_SECONDS: Final = 1.0
_IMMUTABLE: Final = "The audit rules are locked until the next restart (auditctl -e 2); they are loaded then."


class AuditRefusedError(ProviderError):
    """The kernel did not take what auditctl asked of it."""

    code: ClassVar[str] = "auditRefused"
    remedy: ClassVar[str] = (
        "Look at what auditctl -s and auditctl -l say on the device; in a container the audit belongs to the host."
    )


def is_installed(files: Files) -> bool:
    """Say whether there is an audit daemon, from the content of ``AUDITD``. Pure."""
    return files.get(AUDITD) is not None


def load(host: Host, path: PurePosixPath, keys: Iterable[str]) -> None:
    """Make the kernel hold exactly the rules of one file among those with ``keys``; without a file, none of them.

    Where there is no auditctl, or where the rules are locked, nothing happens: ``observe`` says so.

    Raises:
        AuditRefusedError: Rules stay that have to go.
        HostError: auditctl did not run to its end, or without an answer of the kernel.
    """
    auditctl = host.find_program("auditctl")
    if auditctl is None or _enabled(host, auditctl) == "2":
        return
    wanted = host.read_file(path)
    refuse_left(take_out(host, auditctl, frozenset(keys).__contains__))
    if wanted is not None:
        host.run([auditctl, "-R", str(host.locate(path))])


def listing(host: Host, auditctl: str) -> str:
    """Return what auditctl says of the rules that the kernel holds. Raises: as ``answer``."""
    return answer(host, auditctl, "-l")


def answer(host: Host, auditctl: str, question: str) -> str:
    """Return what auditctl prints. It prints something, if only that there are no rules.

    On a machine under pressure it waits some seconds for the kernel's answer, says nothing, and calls that a success.

    Raises:
        HostError: It did not run to its end, or the kernel's answer did not come in time.
    """
    done = host.run([auditctl, question])
    if done.returncode == 0 and not (done.stdout + done.stderr).strip():
        raise ProgramError(f"{auditctl} {question} ended before the kernel had answered.")
    return done.stdout.decode(errors="replace")


def refuse_left(keys: Iterable[str]) -> None:
    """Raise where rules with keys of ours stay in the kernel. Raises: AuditRefusedError."""
    if left := sorted(keys):
        raise AuditRefusedError(f"The kernel does not let go of the rules of {', '.join(left)}.")


def lost(host: Host, rules: bytes | None, held: str) -> Mapping[str, Sequence[str]]:
    """Return, by key, the places that are there and that rules are about, while of those held by the kernel none is.

    It drops what it holds of a directory together with that, and takes nothing for one that comes later: a package that
    is removed and put back. Other rules with the same key tell nothing of it. Of any root but the machine's own the
    kernel knows no places.
    """
    if host.root != Path("/"):
        return {}
    known = {(place.key, place.path) for place in places_in(held)}
    found: dict[str, list[str]] = {}
    for place in sorted(places_in((rules or b"").decode(errors="replace")), key=lambda each: each.path):
        if (place.key, place.path) not in known and _is_there(host, place):
            found.setdefault(place.key, []).append(place.path)
    return found


def _is_there(host: Host, place: Place) -> bool:
    """Say whether the kernel could take a rule about a place: of a file, its directory is enough."""
    path = PurePosixPath(place.path)
    located = host.locate(path if place.is_directory else path.parent)
    try:
        return in_time(str(located), located.is_dir, seconds=_LOOK_SECONDS)
    except HungError:
        return False


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


def observe(host: Host, path: PurePosixPath, key: str) -> Observation:
    """Say whether the kernel writes down what the rules of a file with this key describe."""
    auditctl = host.find_program("auditctl")
    if auditctl is None:
        return Observation(effective=None, code="notShown", reason="There is no auditctl to ask.")
    try:
        enabled, held = _enabled(host, auditctl), listing(host, auditctl)
        loaded, gone = keys_in(held), lost(host, host.read_file(path), held).get(key, ())
    except HostError as error:
        return Observation(effective=None, code=error.code, reason=error.cause[:512])
    missing = "The kernel does not hold the audit rule." if key not in loaded else unwatched(gone)
    if not missing and enabled in {"1", "2"}:
        return Observation(effective=True)
    if enabled == "2":
        return Observation(effective=False, code="auditLocked", reason=_IMMUTABLE)
    if missing:
        return Observation(effective=False, code="auditRuleMissing", reason=missing)
    return Observation(effective=False, code="auditOff", reason="Auditing is switched off; start auditd.")


def unwatched(places: Sequence[str]) -> str:
    """Say of places that they are there and not watched; nothing where there are none."""
    if not places:
        return ""
    return f"The kernel holds no rule about {', '.join(places[:5])}, which came after the others were loaded."[:512]


def _enabled(host: Host, auditctl: str) -> str:
    for line in answer(host, auditctl, "-s").splitlines():
        name, _, value = line.partition(" ")
        if name == "enabled":
            return value.strip()
    return ""


def _held(host: Host, auditctl: str, is_ours: Callable[[str], bool]) -> frozenset[str]:
    return frozenset(filter(is_ours, keys_in(listing(host, auditctl))))
