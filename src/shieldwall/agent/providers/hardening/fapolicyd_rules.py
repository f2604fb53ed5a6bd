"""Rules of fapolicyd (fapolicyd.rules(5)): the first that matches decides, so their order is what they mean. Pure.

On Debian fapolicyd cannot read the package database. There a program counts as installed by a package when it lies
where only packages and root put something; elsewhere fapolicyd's own trust decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from shieldwall.agent.providers.hardening.network_services import SERVICES, SHELLS
from shieldwall.agent.providers.hardening.rules import Mode, Rules
from shieldwall.agent.providers.hardening.watched_places import CREDENTIAL_PROGRAMS, CREDENTIALS

EXECUTABLES: Final = "blockUntrustedExecutables"
LIBRARIES: Final = "blockUntrustedLibraries"
SCRIPTS: Final = "blockUntrustedScripts"
SHELL: Final = "blockShellFromNetworkServices"
CREDENTIAL: Final = "blockCredentialAccess"

CANARY_PROGRAM: Final = "/usr/bin/cksum"
"""The one program that must not read the canary while our rules are in force."""
TRUSTED_DIRECTORIES: Final = (
    *("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libx32/", "/usr/libexec/"),
    *("/usr/share/", "/usr/games/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/etc/", "/opt/"),
    # Where dpkg and debconf run the scripts of packages from, and where other package managers install to.
    *("/var/lib/dpkg/", "/var/cache/debconf/", "/snap/", "/var/lib/snapd/", "/var/lib/flatpak/"),
)
SCRIPT_DIRECTORIES: Final = ("/tmp/", "/var/tmp/", "/dev/shm/", "/home/")  # noqa: S108 - subjects of the rule

_LIBRARY: Final = "application/x-sharedlib"
_SCRIPT_TYPES: Final = (
    *("text/x-shellscript", "text/x-python", "text/x-perl", "text/x-php", "text/x-ruby", "text/x-lua", "text/x-awk"),
    *("text/x-gawk", "text/x-tcl", "application/javascript", "text/javascript", "application/x-bytecode.python"),
)
_INTERPRETERS: Final = (
    *(f"/usr/bin/{name}" for name in ("dash", "bash", "zsh", "ksh93", "mksh", "fish", "busybox", "perl", "node")),
    *(f"/usr/bin/python3.{minor}" for minor in range(6, 15)),
    *(f"/usr/bin/php{version}" for version in ("7.4", "8.0", "8.1", "8.2", "8.3", "8.4")),
    *("/usr/bin/ruby3.1", "/usr/bin/ruby3.3", "/usr/bin/lua5.3", "/usr/bin/lua5.4", "/usr/bin/gawk", "/usr/bin/mawk"),
    *("/usr/bin/tclsh8.6", "/usr/bin/php", "/usr/bin/ruby", "/usr/bin/lua"),
)
_USABLE: Final = re.compile(r"/[A-Za-z0-9/._@+~-]*\Z")
_HEADING: Final = "# Written by shieldwall-agent; a change made here is put back.\n"


class Surroundings(Struct, frozen=True, kw_only=True):
    """What else speaks in fapolicyd, and what it knows."""

    canary: str
    """A file that nobody but the canary program is kept from reading."""
    rules_of_others: bool
    """Whether somebody else runs fapolicyd here, so that rules after ours count."""
    trust: bool
    """Whether fapolicyd's own trust knows what packages installed."""


def rules_file(rules: Rules, surroundings: Surroundings) -> bytes:
    """Write the file for ``/etc/fapolicyd/rules.d``."""
    return (_HEADING + "".join(f"{line}\n" for line in _lines(rules, surroundings))).encode()


def places(path: str) -> tuple[str, ...] | None:
    """Return the conditions on an object that an excluded path means; ``None`` when fapolicyd has none for it."""
    below = path.removesuffix("*") if path.endswith("/*") else path
    if not _USABLE.match(below) or below in {"/", ""} or "//" in below or "/../" in f"{below}/":
        return None
    if below.endswith("/"):
        return (f"dir={below}",)
    return (f"path={below}", f"dir={below}/")


def is_trusted_place(path: str, rules: Rules) -> bool:
    """Say whether a program would still run where directories are trusted."""
    allowed = [place for entry in rules.exclusions(EXECUTABLES) for place in places(entry) or ()]
    return any(path.startswith(directory) for directory in TRUSTED_DIRECTORIES) or any(
        path == place.removeprefix("path=") or path.startswith(place.removeprefix("dir="))
        for place in allowed
        if place == f"path={path}" or place.startswith("dir=")
    )


def _lines(rules: Rules, surroundings: Surroundings) -> Iterator[str]:
    yield f"%shieldwall_services={','.join(SERVICES)}"
    yield f"%shieldwall_scripts={','.join(_SCRIPT_TYPES)}"
    yield f"%shieldwall_interpreters={','.join(_INTERPRETERS)}"
    yield f"deny perm=open exe={CANARY_PROGRAM} : path={surroundings.canary}"
    if rules.mode(CREDENTIAL) is Mode.BLOCK:
        yield from _credentials(rules)
    if rules.mode(SHELL) is not Mode.OFF:
        yield from _shells(rules)
    # What is only written down is let pass by that, so it comes after all that is denied.
    for mode in (Mode.BLOCK, Mode.AUDIT):
        if rules.mode(SCRIPTS) is mode:
            yield from _scripts(rules, mode)
        if rules.mode(EXECUTABLES) is mode:
            yield from _executables(rules, mode, surroundings)
        if rules.mode(LIBRARIES) is mode:
            yield from _libraries(rules, mode, surroundings)
    if not surroundings.rules_of_others:
        yield "allow perm=any all : all"


def _decision(mode: Mode) -> str:
    return "deny_syslog" if mode is Mode.BLOCK else "allow_syslog"


def _credentials(rules: Rules) -> Iterator[str]:
    programs = dict.fromkeys((*CREDENTIAL_PROGRAMS, *rules.exclusions(CREDENTIAL)))
    yield f"%shieldwall_readers={','.join(programs)}"
    for path in CREDENTIALS:
        place = f"dir={path}" if path.endswith("/") else f"path={path}"
        yield f"allow perm=open exe=%shieldwall_readers : {place}"
        yield f"deny_syslog perm=open all : {place}"


def _shells(rules: Rules) -> Iterator[str]:
    left_out = {path if path.startswith("/usr/") else f"/usr{path}" for path in rules.exclusions(SHELL)}
    shells = [shell for shell in SHELLS if shell not in left_out]
    if shells:
        yield f"%shieldwall_shells={','.join(shells)}"
        yield f"{_decision(rules.mode(SHELL))} perm=execute exe=%shieldwall_services : path=%shieldwall_shells"


def _scripts(rules: Rules, mode: Mode) -> Iterator[str]:
    for place in _excluded(rules, SCRIPTS):
        yield f"allow perm=any all : ftype=%shieldwall_scripts {place}"
    for directory in SCRIPT_DIRECTORIES:
        yield f"{_decision(mode)} perm=execute all : ftype=%shieldwall_scripts dir={directory}"
        yield f"{_decision(mode)} perm=open exe=%shieldwall_interpreters : ftype=%shieldwall_scripts dir={directory}"


def _executables(rules: Rules, mode: Mode, surroundings: Surroundings) -> Iterator[str]:
    for place in _excluded(rules, EXECUTABLES):
        yield f"allow perm=execute all : {place}"
    yield f"{_decision(mode)} perm=any pattern=ld_so : all"
    if surroundings.trust:
        yield f"{_decision(mode)} perm=execute all : trust=0"
        return
    for directory in TRUSTED_DIRECTORIES:
        yield f"allow perm=execute all : dir={directory}"
    yield f"{_decision(mode)} perm=execute all : all"


def _libraries(rules: Rules, mode: Mode, surroundings: Surroundings) -> Iterator[str]:
    for place in _excluded(rules, LIBRARIES):
        yield f"allow perm=open all : ftype={_LIBRARY} {place}"
    if surroundings.trust:
        yield f"{_decision(mode)} perm=open all : ftype={_LIBRARY} trust=0"
        return
    for directory in TRUSTED_DIRECTORIES:
        yield f"allow perm=open all : ftype={_LIBRARY} dir={directory}"
    yield f"{_decision(mode)} perm=open all : ftype={_LIBRARY}"


def _excluded(rules: Rules, rule: str) -> Iterable[str]:
    return [place for entry in rules.exclusions(rule) for place in places(entry) or ()]
