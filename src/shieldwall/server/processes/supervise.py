"""``server run``: start the processes of a server in order, watch over them, end them together.

A process that was killed by somebody else, the kernel for want of memory say, and that keeps nothing of its own
(``ProcessPlan.is_replaceable``) is started again. Nothing else is restarted behind the administrator's back: when a
process ends by itself, or is killed again and again before it serves, the others are ended too, and the service manager
of the machine decides what comes next.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.observing.replacements import Cause
from shieldwall.server.plain_logging import structlog

_log: Final = structlog.get_logger("shieldwall.server")

READY_SECONDS: Final = 60.0
END_SECONDS: Final = 20.0
MOST_KILLED: Final = 3
"""So often in a row a process may be killed before it serves. It may well be its start that is not survived."""
_ASK_AGAIN_SECONDS: Final = 0.05
_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of prctl(2)


class ProcessEndedError(ShieldwallError):
    """One of the server's processes ended, so all were ended."""

    code = "processEnded"
    remedy = "The last lines of the process in the log say why. Then start the server again."


class NotReadyError(ShieldwallError):
    """A process started and did not become ready."""

    code = "notReady"
    remedy = "Look at the log of the process named."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """A process to start, and how to know that it serves."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], Awaitable[bool]]
    is_replaceable: bool = False
    """Whether another may take its place when it was killed: it keeps nothing that the other would have to know."""
    doubts: int | None = None
    """With this status it ends because it no longer trusts what it reads: another may do so once that is settled."""
    settle: Callable[[], None] = lambda: None
    """Done before another takes its place."""
    count: Callable[[Cause], None] = lambda _: None
    """Hears why another shall take its place, before anything is done about it."""


@dataclass(slots=True, kw_only=True)
class _Running:
    plan: ProcessPlan
    process: asyncio.subprocess.Process
    served: bool = False
    killed_before: int = 0
    """How often in a row it was killed before it served."""

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def may_be_replaced(self) -> bool:
        """Whether somebody else ended it, or it did so itself in doubt, and it keeps nothing."""
        status = self.process.returncode
        return self.plan.is_replaceable and status is not None and (status < 0 or status == self.plan.doubts)


def module_command(module: str, data: Path, *more: str) -> tuple[str, ...]:
    """Return the command that runs a process of the server."""
    return (sys.executable, "-m", module, str(data), *more)


async def supervise(stages: Sequence[Sequence[ProcessPlan]], on_ready: Callable[[], None]) -> None:
    """Run the processes until SIGINT or SIGTERM. Each stage is ready before the next one starts.

    Raises:
        ProcessEndedError: One of them ended by itself.
        NotReadyError: One of them did not become ready in time.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    running: list[_Running] = []
    try:
        for stage in stages:
            for plan in stage:
                running.append(await _start(plan))  # noqa: PERF401 - each is in the list before the next can fail
            if not await _until_all_are_ready(running, asked):
                return
        _log.info("server_ready")
        on_ready()
        await _watch(running, asked)
        _log.info("server_ending")
    finally:
        await _end(running)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def is_listening(address: str, port: int) -> bool:
    """Say whether somebody accepts connections at this address."""
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    return True


async def _start(plan: ProcessPlan) -> _Running:
    process = await asyncio.create_subprocess_exec(
        *plan.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        preexec_fn=_end_with_parent(os.getpid()),
        start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the others in order
    )
    _log.info("process_started", name=plan.name, pid=process.pid)
    return _Running(plan=plan, process=process)


def _end_with_parent(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before the fork, where little may be done

    def prepare() -> None:
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # the parent went before we asked to hear of it

    return prepare


async def _watch(running: list[_Running], asked: asyncio.Event) -> None:
    """Watch until somebody asks for the end, putting another in the place of whoever was killed.

    Raises:
        ProcessEndedError: One of them ended by itself, or was killed again and again before it served.
        NotReadyError: Another one did not become ready.
    """
    while (ended := await _first_end(running, asked)) is not None:
        await _replace(ended, running)
        if not await _until_all_are_ready(running, asked):
            return


async def _replace(ended: _Running, running: list[_Running]) -> None:
    """Put another in the place of one that was killed. Raises: ProcessEndedError."""
    killed_before = 0 if ended.served else ended.killed_before + 1
    if not ended.may_be_replaced or killed_before == MOST_KILLED:
        raise _ended(ended)
    status = ended.process.returncode
    is_in_doubt = status == ended.plan.doubts
    event = "process_ended_in_doubt" if is_in_doubt else "process_killed_by_others"
    _log.error(event, name=ended.name, pid=ended.process.pid, status=status)
    ended.plan.count(Cause.FAILED_SYNC if is_in_doubt else Cause.KILLED)
    if is_in_doubt:
        await asyncio.to_thread(ended.plan.settle)
    running[running.index(ended)] = replaced = await _start(ended.plan)
    replaced.killed_before = killed_before


async def _until_all_are_ready(running: list[_Running], asked: asyncio.Event) -> bool:
    """Wait until each of them serves, or somebody asks for the end; say which."""
    while (waited_for := next((each for each in running if not each.served), None)) is not None:
        if not await _until_ready(waited_for, running, asked):
            return False
    return True


async def _until_ready(started: _Running, running: list[_Running], asked: asyncio.Event) -> bool:
    plan = started.plan
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await plan.is_ready():
                if asked.is_set():
                    return False
                for each in list(running):
                    if each.process.returncode is not None:
                        await _replace(each, running)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
    except TimeoutError:
        raise NotReadyError(f"The {plan.name} did not become ready within {READY_SECONDS:.0f} seconds.") from None
    started.served = True
    _log.info("process_ready", name=plan.name)
    return True


async def _first_end(running: Sequence[_Running], asked: asyncio.Event) -> _Running | None:
    """Wait for the end of a process or for the signal to end; return the process, ``None`` for the signal."""
    ends = {asyncio.ensure_future(each.process.wait()): each for each in running}
    signalled = asyncio.ensure_future(asked.wait())
    done, pending = await asyncio.wait({*ends, signalled}, return_when=asyncio.FIRST_COMPLETED)
    for future in pending:
        future.cancel()
    if signalled in done:
        return None
    return next(ends[future] for future in done if future in ends)


async def _end(running: Sequence[_Running]) -> None:
    """End the processes, the last started first: nobody loses what it still needs.

    One that does not serve yet would hear of it only once it does, and has promised nobody anything.
    """
    for each in reversed(running):
        if each.process.returncode is not None:
            continue
        (each.process.terminate if each.served else each.process.kill)()
        try:
            async with asyncio.timeout(END_SECONDS):
                await each.process.wait()
        except TimeoutError:
            _log.error("process_killed", name=each.name, pid=each.process.pid)
            each.process.kill()
            await each.process.wait()
        _log.info("process_ended", name=each.name, status=each.process.returncode)


def _ended(each: _Running) -> ProcessEndedError:
    _log.error("process_ended", name=each.name, pid=each.process.pid, status=each.process.returncode)
    return ProcessEndedError(f"The {each.name} ended by itself with status {each.process.returncode}.")
