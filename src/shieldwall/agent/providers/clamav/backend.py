"""What looks at opens, as processes: brought to run with the files at hand, or ended.

Where systemd runs the machine, units do it, which start again what dies. Elsewhere the programs go into the background
by themselves and are found again: the gate by its lock, clamonacc by its program and its configuration file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from shieldwall.agent.broker import settings as broker
from shieldwall.agent.broker import standing
from shieldwall.agent.host.in_time import HungError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import onaccess
from shieldwall.agent.providers.clamav.command_lines import arguments

Backend: TypeAlias = Literal["broker", "clamonacc"]
MODULE: Final = "shieldwall.agent.broker.main"

_UNIT: Final = {"broker": onaccess.BROKER_UNIT, "clamonacc": onaccess.CLAMONACC_UNIT}
_CLAMONACC: Final = "clamonacc"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


def bring_about(host: Host, wanted: Backend | None, python: Sequence[str]) -> None:
    """Let exactly ``wanted`` run, with the settings at hand. Raises: ProviderError, HostError, OSError."""
    by_systemd = systemd.runs(host)
    for name in ("broker", "clamonacc"):
        if name != wanted:
            _end(host, name, by_systemd=by_systemd)  # while systemd still knows how
    if by_systemd:
        systemd.reload(host)
    if wanted == "broker":
        _let_gate_run(host, python, by_systemd=by_systemd)
    elif wanted == "clamonacc":
        _restart_clamonacc(host, by_systemd=by_systemd)


def is_running(host: Host, which: Backend) -> bool:
    """Say whether it runs."""
    if which == "broker":
        return standing.holder(host.root) is not None
    return next(_clamonaccs(host), None) is not None


def kill(host: Host, which: Backend) -> None:
    """End what hangs at once; the kernel then lets everybody go on who waits for it."""
    pids = [standing.holder(host.root)] if which == "broker" else list(_clamonaccs(host))
    for pid in pids:
        if pid is not None and (which != "broker" or _is_gate(pid)):
            _signal_and_wait(pid, signal.SIGKILL)


def takes_settings(host: Host) -> bool:
    """Say whether the running gate works with the settings at hand."""
    state, content = standing.read(host.root), host.read_file(broker.CONFIGURATION)
    return state is not None and content is not None and state.settings == hashlib.sha256(content).hexdigest()


def _let_gate_run(host: Host, python: Sequence[str], *, by_systemd: bool) -> None:
    pid = standing.holder(host.root)
    if pid is not None and _is_gate(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
    elif by_systemd:
        systemd.call(host, "restart", onaccess.BROKER_UNIT)
    else:
        words = [*python, MODULE, "--background", "--root", str(host.root)]
        done = host.run(words, timeout_seconds=_START_SECONDS)
        if done.returncode != 0:
            said = done.stderr[-512:].decode(errors="replace").strip()
            raise ProviderError(f"shieldwall-broker does not start: {said or f'it ended with {done.returncode}'}")
    deadline = time.monotonic() + _START_SECONDS
    while not takes_settings(host):
        if time.monotonic() > deadline:
            raise ProviderError(f"shieldwall-broker does not take its settings within {_START_SECONDS:g} seconds.")
        time.sleep(_POLL_SECONDS)


def _restart_clamonacc(host: Host, *, by_systemd: bool) -> None:
    if by_systemd:
        systemd.call(host, "restart", onaccess.CLAMONACC_UNIT)
        return
    program = host.find_program(_CLAMONACC)
    if program is None:
        raise ProviderError("clamonacc is not on this device.", remedy="Install it, or choose the broker.")
    _end(host, "clamonacc", by_systemd=False)
    host.locate(onaccess.PROBE_DIRECTORY).mkdir(mode=0o700, parents=True, exist_ok=True)  # is to be watched as well
    folders = [str(host.locate(path)) for path in map(type(onaccess.LOCAL), onaccess.CLAMONACC_FOLDERS)]
    present = "".join(f"{folder}\n" for folder in folders if Path(folder).is_dir())
    host.write_file(onaccess.WATCH_LIST, present.encode(), mode=0o600)
    words = [
        *(program, "--fdpass", "--wait", f"--config-file={host.locate(onaccess.CLAMONACC)}"),
        f"--watch-list={host.locate(onaccess.WATCH_LIST)}",
    ]
    done = host.run(words, timeout_seconds=_START_SECONDS)
    if done.returncode != 0:
        said = (done.stderr + done.stdout)[-512:].decode(errors="replace").strip()
        raise ProviderError(f"clamonacc does not start: {said or f'it ended with {done.returncode}'}")


def _end(host: Host, which: Backend, *, by_systemd: bool) -> None:
    if by_systemd:
        systemd.call(host, "stop", _UNIT[which], tolerate=True)  # there may be no such unit
    pids = [standing.holder(host.root)] if which == "broker" else list(_clamonaccs(host))
    for pid in pids:
        if pid is not None and (which != "broker" or _is_gate(pid)):
            # clamonacc takes its time to end otherwise, and has nothing to put in order.
            _signal_and_wait(pid, signal.SIGKILL if which == "clamonacc" else signal.SIGTERM)
    if which == "clamonacc":
        host.write_file(onaccess.WATCH_LIST, None)
        with contextlib.suppress(OSError):
            host.locate(onaccess.PROBE_DIRECTORY).rmdir()
    elif host.locate(standing.DIRECTORY).is_dir():
        standing.spare(host.root, None)


def _signal_and_wait(pid: int, number: signal.Signals) -> None:
    """End a process; one that does not go is killed. Raises: ProviderError when not even that helps."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        for each in (number, signal.SIGKILL):
            signal.pidfd_send_signal(handle, each)
            if poll.poll(_STOP_SECONDS * 1000):
                return
        raise ProviderError(f"Process {pid} does not end.")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _is_gate(pid: int) -> bool:
    try:
        return MODULE in arguments(pid)
    except (OSError, HungError):
        return False


def _clamonaccs(host: Host) -> Iterator[int]:
    """Yield every clamonacc that works with our configuration file. It is root's; others may call theirs so too."""
    ours = f"--config-file={host.locate(onaccess.CLAMONACC)}"
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError, HungError):
                program = (process / "exe").readlink().name.removesuffix(" (deleted)")
                if program != _CLAMONACC or process.stat().st_uid not in (0, os.geteuid()):
                    continue
                if ours in arguments(int(process.name)):
                    yield int(process.name)
