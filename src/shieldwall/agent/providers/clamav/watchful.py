"""Keeping clamd and the look at opens running as the files at hand say."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.broker import standing
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import Observation, ProviderError
from shieldwall.agent.providers.clamav import access, backend, canary, client, configuration, daemon, onaccess, probes
from shieldwall.agent.providers.clamav.levels import Level

_PROGRAM: Final = "clamd"
_NOTICE_SECONDS: Final = 5.0
_NOTICE_PAUSE_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 60.0
_SETTLE_PAUSE_SECONDS: Final = 1.5
"""clamonacc holds an open for twenty seconds that comes while it starts; so it is given a moment before it is tried."""


class _Started(Struct, frozen=True, kw_only=True):
    """A clamd that we started, and what it read then."""

    pid: int
    digest: str


class Watch:
    """Remembers, between two looks, what was started and what hung."""

    def __init__(self, python: Sequence[str]) -> None:
        self._python = tuple(python)
        self._program: Path | None = None
        """The program of a clamd that was seen to run, so that it can be brought back."""
        self._must_start = False
        """Whether a clamd was ended by us and has not come back, so that a roll-back brings it back."""
        self._started: _Started | None = None
        self._hung = False

    def activate(self, host: Host) -> None:
        """Let run what the files ask for, and end what they do not. Raises: ProviderError, HostError, OSError."""
        content = host.read_file(daemon.CONFIGURATION)
        if content is not None:
            self._restart_clamd(host, content)
        wanted = _wanted(host)
        if wanted is not None or _has_run(host):
            self._bring_about(host, wanted)
        if wanted == "broker":
            standing.spare(host.root, os.getpid())
            _let_gate_find_engine(host)

    def note(self, seen: Mapping[str, Observation]) -> None:
        """Remember what was observed, for the next time that somebody looks after it."""
        self._hung = any(observation.code == "engineHung" for observation in seen.values())

    def supervise(self, host: Host) -> Sequence[str]:
        """Bring back what is down and end what hangs; say what was done. Never raises."""
        done: list[str] = []
        for step in (self._bring_clamd_back, self._bring_gate_back):
            try:
                done += step(host)
                if done and _wanted(host) == "broker":
                    _let_gate_find_engine(host)
            except (ProviderError, HostError) as error:
                done.append(error.cause)
            except OSError as error:
                done.append(str(error))
        return done

    def _restart_clamd(self, host: Host, content: bytes) -> None:
        """Restart clamd, because it reads its configuration only once; one that read the very same is left alone."""
        digest = _digest(host, content)
        if daemon.runs_under_systemd(host):
            if self._started != _Started(pid=daemon.unit_pid(host), digest=digest) or not self._sees(host, content):
                daemon.restart_unit(host, content, start=configuration.is_managed(content))
                self._started = _Started(pid=daemon.unit_pid(host), digest=digest)
            return
        running = daemon.find(host, content)
        if running is not None:
            if self._started == _Started(pid=running.pid, digest=digest) and self._sees(host, content):
                return
            daemon.check_restartable(running, content)
            self._program, self._must_start = running.program, True
            daemon.stop(running)
        if self._must_start and self._program is not None:
            self._start_clamd(host, content, self._program)

    def _start_clamd(self, host: Host, content: bytes, program: Path) -> None:
        daemon.start(host, program, content)
        self._must_start = False
        started = daemon.find(host, content)
        self._started = _Started(pid=started.pid, digest=_digest(host, content)) if started is not None else None

    def _sees(self, host: Host, content: bytes) -> bool:
        has_canary = host.read_file(canary.SIGNATURES) == canary.signatures()[canary.SIGNATURES]
        return probes.engine(daemon.address(host, content), has_canary=has_canary).effective is not False

    def _bring_clamd_back(self, host: Host) -> Iterable[str]:
        content = host.read_file(daemon.CONFIGURATION)
        address = configuration.first_path(content, "LocalSocket") if content is not None else None
        if content is None or address is None or not configuration.is_managed(content):
            return ()
        running = daemon.find(host, content)
        if running is not None:
            self._program = running.program
        if running is not None or client.is_alive(address):
            return ()
        if daemon.runs_under_systemd(host):
            daemon.restart_unit(host, content, start=True)
            return () if daemon.is_waiting_for_condition(host) else ("clamd was down and was started again.",)
        found = host.find_program(_PROGRAM) if host.root == Path("/") else None
        program = self._program or (Path(found) if found is not None else None)
        if program is None:
            return ()
        daemon.check_program(program)
        self._start_clamd(host, content, program)
        return ("clamd was down and was started again.",)

    def _bring_gate_back(self, host: Host) -> Iterable[str]:
        wanted = _wanted(host)
        if wanted is None:
            return ()
        if wanted == "broker":
            standing.spare(host.root, os.getpid())
        if self._hung:
            self._hung = False
            backend.kill(host, wanted)
        elif backend.is_running(host, wanted) and (wanted != "broker" or backend.takes_settings(host)):
            return ()
        self._bring_about(host, wanted)
        return ("What looks at files as they are opened was down and was started again.",)

    def _bring_about(self, host: Host, wanted: backend.Backend | None) -> None:
        """Let run what is wanted; of clamonacc nobody knows that it watches before it has denied something."""
        backend.bring_about(host, wanted, self._python)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while wanted == "clamonacc" and time.monotonic() < deadline:
            time.sleep(_SETTLE_PAUSE_SECONDS)
            if access.observe(host, Level.REAL_TIME, wanted).effective:
                return


def _let_gate_find_engine(host: Host) -> None:
    """Wait a moment until the gate has noticed that clamd is back, which it asks for several times a second."""
    content = host.read_file(daemon.CONFIGURATION)
    address = configuration.first_path(content, "LocalSocket") if content is not None else None
    deadline = time.monotonic() + _NOTICE_SECONDS
    while address is not None and time.monotonic() < deadline:
        state = standing.read(host.root)
        if (state is not None and state.engine_answers) or not client.is_alive(address):
            return
        time.sleep(_NOTICE_PAUSE_SECONDS)


def _wanted(host: Host) -> backend.Backend | None:
    return onaccess.running({path: host.read_file(path) for path in onaccess.FILES})


def _has_run(host: Host) -> bool:
    """Say whether there is anything to end: a process of ours, or a unit that might start one again."""
    if any(backend.is_running(host, which) for which in ("broker", "clamonacc")):
        return True
    units = (onaccess.BROKER_UNIT, onaccess.CLAMONACC_UNIT)
    return systemd.runs(host) and any(
        systemd.show(host, unit, "LoadState").get("LoadState") == "loaded" for unit in units
    )


def _digest(host: Host, content: bytes) -> str:
    """Name what clamd reads at its start: lines that are no comments, and our signatures."""
    lines = [line for line in content.split(b"\n") if line.strip() and not line.lstrip().startswith(b"#")]
    parts = [*lines, *(host.read_file(path) or b"" for path in canary.signatures())]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()
