"""Finding and restarting the clamd that runs with a given configuration file.

``RELOAD`` loads signatures, not the configuration, so a change takes a restart. Where systemd runs the machine, it does
that. Elsewhere the process itself is ended and started again with the words it was started with.

Paths inside ``clamd.conf`` are clamd's own view and are taken as written; the configuration file itself is placed under
the host's root. A clamd counts only when that very file is its configuration, so a system under another root never
touches the clamd of the machine that it lies on.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import client, configuration

CONFIGURATION: Final = PurePosixPath("/etc/clamav/clamd.conf")

_NAME: Final = "clamd"
_UNIT: Final = "clamav-daemon.service"
_SYSTEMD: Final = PurePosixPath("/run/systemd/system")
_START_SECONDS: Final = 180.0  # a full signature database takes its time
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A clamd that runs with our configuration file."""

    pid: int
    command: tuple[str, ...]


def address(host: Host, content: bytes) -> Path | None:
    """Return the socket at which the clamd of this host answers; ``None`` when it has none or is not running."""
    path = configuration.first_path(content, "LocalSocket")
    if path is None or (host.root != Path("/") and find(host, content) is None):
        return None
    return path


def find(host: Host, content: bytes) -> Daemon | None:
    """Return the running clamd, by who listens on its socket, else by its PidFile."""
    socket_path = configuration.first_path(content, "LocalSocket")
    candidates = (
        client.listener(socket_path) if socket_path is not None else None,
        _recorded_pid(configuration.first_path(content, "PidFile")),
    )
    for pid in candidates:
        command = _command(pid) if pid is not None else None
        if pid is not None and command and _configuration_of(command) == host.locate(CONFIGURATION).resolve():
            return Daemon(pid=pid, command=command)
    return None


def runs_under_systemd(host: Host) -> bool:
    """Say whether systemd runs this machine and has the unit of clamd."""
    if host.root != Path("/") or not host.locate(_SYSTEMD).is_dir():
        return False
    program = host.find_program("systemctl")
    return program is not None and host.run([program, "cat", _UNIT]).returncode == 0


def restart_unit(host: Host, content: bytes, *, start: bool) -> None:
    """Let systemd restart clamd; with ``start`` also when it is not running. Raises: ProviderError."""
    program = host.find_program("systemctl")
    assert program is not None, "systemd runs this machine"
    verb = "restart" if start else "try-restart"
    done = host.run([program, verb, _UNIT], timeout_seconds=_START_SECONDS)
    if done.returncode != 0:
        raise ProviderError(f"systemctl {verb} {_UNIT} failed: {done.stderr[:256].decode(errors='replace').strip()}")
    if start:
        _wait_for_answer(configuration.first_path(content, "LocalSocket"))


def stop(daemon: Daemon) -> None:
    """End a clamd and wait until it is gone. Raises: ProviderError when it does not go."""
    try:
        handle = os.pidfd_open(daemon.pid)
    except ProcessLookupError:
        return
    try:
        if _command(daemon.pid) != daemon.command:
            return  # it ended meanwhile, and its number went to another
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(_STOP_SECONDS * 1000):
            raise ProviderError(f"clamd (process {daemon.pid}) does not end within {_STOP_SECONDS:g} seconds.")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def start(host: Host, command: Sequence[str], content: bytes) -> None:
    """Start clamd in the background with the words it ran with, and wait until it answers. Raises: ProviderError."""
    done = host.run(in_background(command), timeout_seconds=_START_SECONDS)
    path = configuration.first_path(content, "LocalSocket")
    if done.returncode != 0 and not (path is not None and client.is_alive(path)):  # else somebody else started it
        said = (done.stderr + done.stdout)[:512].decode(errors="replace").strip()
        raise ProviderError(f"clamd does not start: {said or f'it ended with {done.returncode}'}.")
    _wait_for_answer(path)


def in_background(command: Sequence[str]) -> list[str]:
    """Return a command line of clamd with nothing in it that keeps it in the foreground."""
    kept = [word for word in command if word != "-F" and not word.startswith("--foreground")]
    return [*kept, "--foreground=no"]


def _wait_for_answer(path: Path | None) -> None:
    if path is None:
        return
    deadline = time.monotonic() + _START_SECONDS
    while not client.is_alive(path):
        if time.monotonic() > deadline:
            raise ProviderError(f"clamd does not answer on {path} within {_START_SECONDS:g} seconds.")
        time.sleep(_POLL_SECONDS)


def _recorded_pid(path: Path | None) -> int | None:
    try:
        return int(path.read_text()) if path is not None else None
    except (OSError, ValueError):
        return None


def _command(pid: int) -> tuple[str, ...] | None:
    """Return the command line of a process if that is a clamd."""
    process = Path("/proc") / str(pid)
    try:
        if (process / "comm").read_text().strip() != _NAME:
            return None
        words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return None
    return tuple(os.fsdecode(word) for word in words if word)


def _configuration_of(command: Sequence[str]) -> Path:
    """Return the configuration file that a command line names, else the one built into Debian's clamd."""
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word in ("-c", "--config-file"):
            return Path(following).resolve()
        if word.startswith("--config-file="):
            return Path(word.partition("=")[2]).resolve()
    return Path(CONFIGURATION).resolve()
