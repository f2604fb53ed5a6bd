"""Our own services under systemd: on a protected device they stay as the package brought them, enabled and running.

Whoever is root can end everything; what is made here is that it neither happens by one word nor goes unheard. systemd
is told to refuse stopping our services by hand (``RefuseManualStop``, systemd.unit(5)); a shutdown and a removal with
leave are no such thing. Files of units that were changed, masked or overlaid go back, and the agent is started again.
Without protection nothing of this is done, and what was put there for it is gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.errors import DiskFullError, HostError
from shieldwall.agent.host.ports import Host
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError

AGENT: Final = "shieldwall-agent.service"
SERVICES: Final = ("shieldwall-applier.service", AGENT)
UNITS: Final = (*SERVICES, "shieldwall-agent.path")
_FOLDERS: Final = (*(f"{name}.d" for name in UNITS), "shieldwall-.service.d", "shieldwall-.path.d")
"""Folders of drop-ins for them: by their names, and by what their names begin with."""
PACKAGED: Final = PurePosixPath("/usr/lib/shieldwall-agent/units")
"""Copies of our units, beside the program that they start."""
INSTALLED: Final = PurePosixPath("/usr/lib/systemd/system")
OVERLAYS: Final = tuple(
    map(
        PurePosixPath,
        (
            *("/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system"),
            *("/run/systemd/system", "/run/systemd/transient", "/run/systemd/generator.early"),
            *("/etc/systemd/system.attached", "/run/systemd/system.attached", "/run/systemd/generator"),
            "/usr/local/lib/systemd/system",
        ),
    )
)
"""Where systemd looks before it looks at what was installed (systemd.unit(5))."""
_DROPPED_INTO: Final = (*OVERLAYS, INSTALLED, PurePosixPath("/run/systemd/generator.late"))
"""Where it looks for drop-ins, which count wherever they lie."""
ENABLED: Final = PurePosixPath("/etc/systemd/system/multi-user.target.wants")
PROTECTION: Final = "shieldwall-protected.conf"
REFUSAL: Final = b"# Written by Shieldwall while tamper protection is on.\n[Unit]\nRefuseManualStop=yes\n"
UPGRADING: Final = PurePosixPath("/run/shieldwall/upgrading")
"""Left by the package while it exchanges our programs."""
_SYSTEMD: Final = PurePosixPath("/run/systemd/system")
_BUSY_SECONDS: Final = 60.0
_UPGRADING_SECONDS: Final = 900.0
"""An exchange takes a minute or two; a mark that was left behind must not keep us quiet for good."""

Found = Mapping[PurePosixPath, bytes | None]
"""Files and links that concern our units, with their contents; ``None`` is one that cannot be read, such as a mask."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be put where and what is to go; ``told`` are the paths that somebody else has to answer for."""

    put: Mapping[PurePosixPath, bytes]
    remove: tuple[PurePosixPath, ...]
    told: tuple[str, ...]


def protection_of(service: str) -> PurePosixPath:
    """Say where systemd is told to refuse stopping a service."""
    return PurePosixPath("/etc/systemd/system", f"{service}.d", PROTECTION)


def plan(packaged: Mapping[str, bytes], found: Found, *, protected: bool) -> Plan:
    """Work out how our units get to be as they must. Pure; what is as it must be is left alone."""
    refusals = {protection_of(service): REFUSAL for service in SERVICES}
    if not protected:
        return Plan(put={}, remove=tuple(sorted(set(refusals) & set(found))), told=())
    wanted = {INSTALLED / name: content for name, content in packaged.items()}
    missing = {path: content for path, content in {**wanted, **refusals}.items() if found.get(path) != content}
    strange = tuple(sorted(path for path in found if path not in wanted and path not in refusals))
    told = tuple(str(path) for path in sorted({path for path in missing if path in wanted} | set(strange)))
    # That our own refusal is not there yet is nobody's doing when protection has just begun; that it was changed is.
    told += tuple(str(path) for path in sorted(missing) if path in refusals and path in found)
    return Plan(put=missing, remove=strange, told=told)


class OwnServices(Struct, frozen=True, kw_only=True):
    """Looks after our services on a machine that systemd runs; elsewhere there is nothing to look after."""

    host: Host
    clock: Clock

    def look(self, *, protected: bool, is_onboarded: bool) -> tuple[str, ...]:
        """Put back what somebody changed, and name it: paths, and services that had been stopped or switched off.

        Raises:
            HostError: The disk is full or refuses; the next look tries again.
        """
        systemctl = self.host.find_program("systemctl")
        packaged = self._packaged()
        if systemctl is None or not packaged or not self.host.locate(_SYSTEMD).is_dir():
            return ()
        todo = plan(packaged, self._found(), protected=protected)
        stuck = tuple(self._carried_out(todo))
        if todo.put or todo.remove:
            self._run(systemctl, "daemon-reload")
        return (*todo.told, *stuck, *self._brought_back(systemctl, is_onboarded=is_onboarded)) if protected else ()

    def is_going_down(self) -> bool:
        """Say whether our services end because the machine does, or because the package exchanges them.

        Where systemd does not run the machine nobody can tell, and it is taken for that.
        """
        systemctl = self.host.find_program("systemctl")
        if systemctl is None or not self.host.locate(_SYSTEMD).is_dir() or self._is_upgrading():
            return True
        return self._run(systemctl, "is-system-running").strip() == b"stopping"

    def _is_upgrading(self) -> bool:
        try:
            begun = self.host.locate(UPGRADING).lstat().st_mtime
        except OSError:
            return False
        return abs(self.clock.now().timestamp() - begun) < _UPGRADING_SECONDS

    def _carried_out(self, todo: Plan) -> Iterator[str]:
        """Do as planned; what somebody put in the way of one file keeps us from none of the others, and is named.

        Raises:
            DiskFullError: That is nobody's doing.
        """
        for path in (*todo.remove, *todo.put):
            try:
                located = self.host.locate(path)
                if path in todo.remove or located.is_symlink():  # a link is replaced, and not what it leads to
                    located.unlink(missing_ok=True)
                if path in todo.put:
                    self.host.write_file(path, todo.put[path])
            except DiskFullError:
                raise
            except (HostError, OSError):
                yield f"{path} (in the way)"

    def _brought_back(self, systemctl: str, *, is_onboarded: bool) -> Iterable[str]:
        if self.is_going_down():
            return
        for name in UNITS:
            if not os.path.lexists(self.host.locate(ENABLED / name)):
                self._run(systemctl, "enable", name)
                yield f"{name} (disabled)"
        if is_onboarded and self._run(systemctl, "is-active", AGENT).strip() in {b"inactive", b"failed"}:
            self._run(systemctl, "reset-failed", AGENT)
            self._run(systemctl, "start", "--no-block", AGENT)
            yield f"{AGENT} (stopped)"

    def _packaged(self) -> dict[str, bytes]:
        contents = {name: self.host.read_file(PACKAGED / name) for name in UNITS}
        return {name: content for name, content in contents.items() if content is not None}

    def _found(self) -> Found:
        paths = [place / name for place in (INSTALLED, *OVERLAYS) for name in UNITS]
        for folder in (place / name for place in _DROPPED_INTO for name in _FOLDERS):
            paths += [folder / each.name for each in sorted(_listed(self.host.locate(folder)))]
        return {path: self._content(path) for path in paths if os.path.lexists(self.host.locate(path))}

    def _content(self, path: PurePosixPath) -> bytes | None:
        try:
            return None if self.host.locate(path).is_symlink() else self.host.read_file(path)
        except ShieldwallError:
            return None

    def _run(self, systemctl: str, *words: str) -> bytes:
        return self.host.run([systemctl, *words], timeout_seconds=_BUSY_SECONDS).stdout


def _listed(folder: Path) -> tuple[Path, ...]:
    """List what systemd could read in a folder of drop-ins; folders in it mean nothing."""
    try:
        return tuple(each for each in folder.iterdir() if each.is_symlink() or not each.is_dir())
    except OSError:
        return ()
