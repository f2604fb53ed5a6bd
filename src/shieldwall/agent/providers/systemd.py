"""systemd, where it runs the machine: units of ours are files, and it is told to look at them again.

Nothing is *enabled*: links that ``systemctl enable`` makes are no files that a provider could render and take back. A
drop-in of the target wants our timers instead, so that what starts at boot is plain content as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError

UNITS: Final = PurePosixPath("/etc/systemd/system")
HEAD: Final = "# Written by Shieldwall; a change made here is put back.\n"
TIMERS: Final = "timers.target"
PATHS: Final = "paths.target"
_BOOTED: Final = PurePosixPath("/run/systemd/system")
_FIRST_PROCESS: Final = PurePosixPath("/proc/1/comm")
_SECONDS: Final = 60.0
_GOES_ON: Final = frozenset({"active", "activating", "reloading", "refreshing", "deactivating"})


def runs(host: Host) -> bool:
    """Say whether systemd runs this machine (``sd_booted(3)``) and can be told something."""
    if host.root != Path("/") or host.find_program("systemctl") is None:
        return False
    return host.locate(_BOOTED).is_dir() or (host.read_file(_FIRST_PROCESS) or b"").strip() == b"systemd"


def apart(host: Host) -> tuple[str, ...]:
    """Return the words before those of a daemon that goes into the background, by which it gets a unit of its own.

    A child of ours would have to live, as long as it runs, with the rights that we have given up. Where systemd does
    not run the machine there are no such words.
    """
    program = host.find_program("systemd-run") if runs(host) else None
    return () if program is None else (program, "--quiet", "--collect", "--service-type=forking", "--")


def wanted_by(target: str, name: str, wanted: Sequence[str]) -> tuple[PurePosixPath, bytes | None]:
    """Return the drop-in by which a target starts units; where there are none to start, no file."""
    path = UNITS / f"{target}.d/{name}.conf"
    if not wanted:
        return path, None
    return path, f"{HEAD}[Unit]\nWants={' '.join(wanted)}\n".encode()


def reload(host: Host) -> None:
    """Let systemd read its units again. Raises: HostError, ProviderError."""
    call(host, "daemon-reload")


def settle(host: Host, units: Sequence[str]) -> None:
    """Have systemd take units of ours as their files are now: start those that are there, stop those that are gone.

    What is gone is stopped first, while systemd still knows what it was: a timer without a file stays active.

    Raises:
        HostError, ProviderError: systemd refuses.
    """
    gone = [unit for unit in units if host.read_file(UNITS / unit) is None]
    stop(host, *gone)
    reload(host)
    if gone:
        call(host, "reset-failed", *gone, tolerate=True)
    for unit in units:
        if unit not in gone:
            call(host, "restart", unit)


def stop(host: Host, *units: str) -> None:
    """Stop units, some of which may not be there, and see whether they have ended.

    Raises:
        HostError, ProviderError: One goes on.
    """
    if units and not call(host, "stop", *units, tolerate=True):
        going_on = [unit for unit in units if show(host, unit, "ActiveState").get("ActiveState") in _GOES_ON]
        if going_on:
            raise ProviderError(f"systemctl stop failed: {', '.join(going_on)} goes on.")


def call(host: Host, *words: str, tolerate: bool = False) -> bool:
    """Run ``systemctl``; say whether it succeeded. Raises: HostError; ProviderError unless ``tolerate``."""
    done = host.run([_program(host), *words], timeout_seconds=_SECONDS)
    if done.returncode != 0 and not tolerate:
        said = done.stderr[:256].decode(errors="replace").strip()
        raise ProviderError(f"systemctl {' '.join(words)} failed: {said or f'it ended with {done.returncode}'}")
    return done.returncode == 0


def show(host: Host, unit: str, *properties: str) -> Mapping[str, str]:
    """Return properties of a unit; one that stands on several lines has them joined. Raises: HostError."""
    done = host.run([_program(host), "show", unit, f"--property={','.join(properties)}"], timeout_seconds=_SECONDS)
    found: dict[str, str] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def _program(host: Host) -> str:
    program = host.find_program("systemctl")
    if program is None:
        raise ProviderError("The program systemctl is not on this device.")
    return program
