"""Finding and restarting the clamd that runs with a given configuration file.

``RELOAD`` loads signatures, not the configuration, so a change takes a restart. Where systemd runs the machine, it does
that. Elsewhere the process itself is ended, and its program started again in the background.

Paths inside ``clamd.conf`` are clamd's own view and are taken as written; the configuration file itself is placed under
the host's root. A clamd counts only when that very file is its configuration, so a system under another root never
touches the clamd of the machine that it lies on.

What a process says of itself is not to be trusted with our rights: clamd gave up its own, and could lie. Its program
comes from the kernel and must belong to root or to us; of its words only the configuration file is compared, and none
is used again.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.broker.mounts import parse
from shieldwall.agent.host.errors import HostError, ProgramError
from shieldwall.agent.host.files import read_bytes
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.kernel_files import shown
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import client, configuration
from shieldwall.agent.providers.clamav.command_lines import arguments

CONFIGURATION: Final = PurePosixPath("/etc/clamav/clamd.conf")

_NAME: Final = "clamd"
_UNIT: Final = "clamav-daemon.service"
_SYSTEMD: Final = PurePosixPath("/run/systemd/system")
_START_SECONDS: Final = 180.0  # a full signature database takes its time
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 5.0
_LONGEST_NUMBER: Final = 32
_OF_USERS: Final = frozenset({"fuse", "fuseblk"})


class Daemon(Struct, frozen=True, kw_only=True):
    """A clamd that runs with our configuration file."""

    pid: int
    program: Path
    user: int


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
    ours = host.locate(CONFIGURATION)
    for pid in candidates:
        daemon = _look_at(pid) if pid is not None else None
        if daemon is not None and _works_with(daemon.pid, ours):
            return daemon
    return None


def runs_under_systemd(host: Host) -> bool:
    """Say whether systemd runs this machine and has the unit of clamd."""
    if host.root != Path("/") or not host.locate(_SYSTEMD).is_dir():
        return False
    program = host.find_program("systemctl")
    return program is not None and host.run([program, "cat", _UNIT]).returncode == 0


def unit_pid(host: Host) -> int:
    """Return the process of clamd's unit, 0 when systemd names none. Raises: HostError."""
    text = systemd.show(host, _UNIT, "MainPID").get("MainPID", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def restart_unit(host: Host, content: bytes, *, start: bool) -> None:
    """Let systemd restart clamd; with ``start`` also when it is not running.

    Where a condition of its unit does not hold, systemd leaves it alone and calls that a success: Debian's clamd waits
    for virus definitions like this. It is no failure of ours either; that no engine runs is for whoever looks to say,
    and it is started once there is something to start.

    Raises:
        ProviderError: It does not start, or does not answer.
    """
    program = host.find_program("systemctl")
    assert program is not None, "systemd runs this machine"
    verb = "restart" if start else "try-restart"
    done = host.run([program, verb, _UNIT], timeout_seconds=_START_SECONDS)
    if done.returncode != 0:
        raise ProviderError(f"systemctl {verb} {_UNIT} failed: {done.stderr[:256].decode(errors='replace').strip()}")
    if start and not is_waiting_for_condition(host):
        _wait_for_answer(configuration.first_path(content, "LocalSocket"))


def is_waiting_for_condition(host: Host) -> bool:
    """Say whether systemd last left clamd alone because a condition of its unit does not hold."""
    program = host.find_program("systemctl")
    if program is None or not runs_under_systemd(host):
        return False
    shown = host.run([program, "show", "--property=ConditionResult,ActiveState", _UNIT]).stdout.split()
    return b"ConditionResult=no" in shown and b"ActiveState=active" not in shown


def stop(daemon: Daemon) -> None:
    """End a clamd and wait until it is gone. Raises: ProviderError when it does not go."""
    try:
        handle = os.pidfd_open(daemon.pid)
    except ProcessLookupError:
        return
    try:
        if _look_at(daemon.pid) != daemon:
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


def check_restartable(daemon: Daemon, content: bytes) -> None:
    """Refuse to start again, with our rights, what did not have them. Raises: ProviderError."""
    check_program(daemon.program)
    if configuration.first(content, "User") is None and daemon.user != os.geteuid():
        raise ProviderError(
            "clamd runs as another user, and clamd.conf does not say as which.", remedy="Add User to clamd.conf."
        )


def check_program(program: Path) -> None:
    """Refuse to start, with our rights, what others may have written, or may put in its place.

    Nobody is asked who may answer as he likes, or not at all: what lies on a FUSE file system says of itself whose it
    is, and the kernel's list of mounts says where those are.

    Raises:
        ProviderError, OSError, HungError: It is so, or nobody can tell.
    """
    in_time(f"The program {program}", lambda: _check_program(program))


def _check_program(program: Path) -> None:
    _refuse_fuse(program)
    real = program.resolve(strict=True)
    _refuse_fuse(real)
    for part in dict.fromkeys((program, *program.parents, real, *real.parents)):
        status = part.lstat()
        kind, others = stat.S_IFMT(status.st_mode), status.st_mode & 0o022
        is_kept = kind == stat.S_IFLNK or not others or (kind == stat.S_IFDIR and status.st_mode & stat.S_ISVTX)
        if status.st_uid not in (0, os.geteuid()) or not is_kept:
            raise ProviderError(f"{part} can be changed by others than root, so {program} is not started again.")


def start(host: Host, program: Path, content: bytes) -> None:
    """Start clamd in the background and wait until it answers. Raises: ProviderError.

    The program that was started ends when its child tells it by a signal that all is well. One that comes too early
    kills it, or is lost and it waits for ever: only the answer on the socket says whether clamd runs.
    """
    command = [*systemd.apart(host), str(program), f"--config-file={host.locate(CONFIGURATION)}", "--foreground=no"]
    path = configuration.first_path(content, "LocalSocket")
    try:
        done = host.run(command, timeout_seconds=_START_SECONDS)
    except ProgramError as error:
        said = error.cause
    else:
        if done.returncode == 0:
            return _wait_for_answer(path)
        said = (done.stderr + done.stdout)[:512].decode(errors="replace").strip()
        said = said or f"it ended with {done.returncode}"
    if path is None or not client.is_alive(path):  # else it runs, whoever started it
        raise ProviderError(f"clamd does not start: {said}.")
    return None


def _wait_for_answer(path: Path | None) -> None:
    if path is None:
        return
    deadline = time.monotonic() + _START_SECONDS
    while not client.is_alive(path):
        if time.monotonic() > deadline:
            raise ProviderError(f"clamd does not answer on {path} within {_START_SECONDS:g} seconds.")
        time.sleep(_POLL_SECONDS)


def _recorded_pid(path: Path | None) -> int | None:
    """Read a file that clamd's own user writes: whatever stands in its place must not hold us."""
    try:
        content = None if path is None else in_time(f"The pid file {path}", lambda: read_bytes(path))
        return int(content) if content is not None and len(content) < _LONGEST_NUMBER else None
    except (HostError, ValueError):
        return None


def _look_at(pid: int) -> Daemon | None:
    """Return the process if its program is clamd."""
    process = Path("/proc") / str(pid)
    try:
        program = Path(str((process / "exe").readlink()).removesuffix(" (deleted)"))  # replaced by an update
        user = process.stat().st_uid
    except OSError:
        return None
    return Daemon(pid=pid, program=program, user=user) if program.name == _NAME else None


def _refuse_fuse(program: Path) -> None:
    listed = parse(shown(Path("/proc/self/mountinfo")))
    on = max((mount for mount in listed if program.is_relative_to(mount.point)), key=lambda each: len(each.point))
    # Of two mounts at one place the later one is seen.
    kind = next(mount.kind for mount in reversed(listed) if mount.point == on.point)
    if kind.split(".")[0] in _OF_USERS:
        raise ProviderError(f"{on.point} is served by a program ({kind}), so {program} is not started again.")


def _works_with(pid: int, configuration_file: Path) -> bool:
    """Say whether a clamd's command line names a configuration file, or none and it is the one that it takes then."""
    try:
        named = _named_configuration(arguments(pid)) or Path(CONFIGURATION)
        # What it names is looked at only where it is not that very name: it may lie where nothing ever answers.
        return named == configuration_file or (
            in_time(f"The configuration of process {pid}", named.resolve, seconds=_LOOK_SECONDS)
            == configuration_file.resolve()
        )
    except (OSError, HungError, RuntimeError, ValueError):  # gone; holding us; a loop of links; no path at all
        return False


def _named_configuration(words: Sequence[str]) -> Path | None:
    for word, following in pairwise(words):
        if word in ("-c", "--config-file"):
            return Path(following)
        if word.startswith("--config-file="):
            return Path(word.partition("=")[2])
    return None
