"""Everybody comes back at once to a real server, each with a report: who is served, what is lost, what it gets done.

The devices of ``shieldwall-sim load``, over TLS: they come within a third of a minute, from many networks as a fleet
does, and again when they were told to. So that one machine can be too much for its own server, the gateway is held four
fifths of the time, and was before: what it gets done while it has to send others away is compared with what it gets
done with sixteen at a time. In the end every device was served, and every report that was acknowledged is there.
"""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from tests.support.slowing import slowed
from tests.support.storm_server import StormServer

from benchmarks.bars import GOODPUT, HERD_LOST
from benchmarks.clusters import Storage, on_each_engine
from benchmarks.figures import Bar, Engine, Figure, Peer
from shieldwall.agent.service.transport import tls_context
from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.load.client import Client
from shieldwall.simulator.load.devices import LoadDevice
from shieldwall.simulator.load.driving import Drive, Manner, Tally
from shieldwall.simulator.load.enrolling import InTables

_AT_ONCE: Final = 1_500
"""Connections of the herd at one time: more than the gateway has places, and the kernel behind them."""
_CALM_AT_ONCE: Final = 16
_SOURCES: Final = tuple(f"127.1.{network}.1" for network in range(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many come, and how long that may take."""

    calm: int
    herd: int
    within: float
    """Seconds in which all of the herd start."""
    hurry: float
    """So many times as fast as they were told to, they come back."""
    most_seconds: float


FULL: Final = Scale(calm=2_000, herd=20_000, within=20.0, hurry=1.0, most_seconds=1_800.0)
QUICK: Final = Scale(calm=60, herd=300, within=0.2, hurry=20.0, most_seconds=120.0)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Let a herd come to a server on either engine, one after the other."""
    scale = QUICK if quick else FULL
    _may_open(2 * _AT_ONCE)
    return on_each_engine(home, lambda there: _returned(there, scale, is_held=not quick))


def _returned(there: Storage, scale: Scale, *, is_held: bool) -> list[Figure]:
    """``is_held`` says whether the figures are held to the bars of the product."""
    engine = there.engine
    server = StormServer.made(there.home, there.url)
    tables = InTables(server.settings, "returning")
    fleet = tables.enrol(scale.calm + scale.herd, lambda _made: None)
    calm, herd = fleet[: scale.calm], fleet[scale.calm :]
    with ExitStack() as stack:
        stack.enter_context(server.running())
        server.until(server.is_ready, "all of it serving")
        gateway = server.pids()["gateway"]
        stack.enter_context(slowed(gateway))
        before, _ = _come(server, calm, scale, within=0.0, at_once=_CALM_AT_ONCE)
        tally, took = _come(server, herd, scale, within=scale.within, at_once=_AT_ONCE)
        peak = _peak_mebibytes(gateway)
    unserved, lost = len(herd) - len(tally.served), tables.lost(fleet)
    answers = ", ".join(f"{count:,} times {name}" for name, count in sorted(tally.answers.items()))
    told = f"{tally.reports:,} reports acknowledged, {lost} lost; {unserved} devices not served; {answers}"
    bars = (HERD_LOST, GOODPUT) if is_held else (None, None)
    wrong = lost + unserved + tally.errors()
    return [
        Figure(_lost(scale), wrong, "", engine=engine, bar=bars[0], note=told),
        Figure(
            "… until the last was served",
            took / 60,
            "min",
            engine=engine,
            note=f"the gateway on a fifth of a processor, at most {peak:.0f} MiB; they came within {scale.within:g} s",
        ),
        _goodput(before, tally, engine, bars[1]),
    ]


def _lost(scale: Scale) -> str:
    return f"everybody of {scale.herd:,} devices returns: reports lost, devices not served, answers 5xx other than 503"


def _goodput(calm: Tally, herd: Tally, engine: Engine, bar: Bar | None) -> Figure:
    what = "… served a second, while others are sent away"
    busy = herd.served_while_busy()
    if not busy:
        return Figure.missing(what, "", "nobody had to be sent away", engine=engine, bar=bar)
    whole = [calm.served_in[second] for second in sorted(calm.served_in)[1:-1]] or list(calm.served_in.values())
    peer = Peer.of(f"{_CALM_AT_ONCE} at a time", whole)
    note = f"in {len(busy)} seconds, {sum(herd.sent_away_in.values()):,} sent away"
    return Figure(what, sum(busy) / len(busy), "", min(busy), max(busy), engine, peer, bar, note)


def _come(
    server: StormServer, fleet: list[LoadDevice], scale: Scale, *, within: float, at_once: int
) -> tuple[Tally, float]:
    """Let a fleet come until each is served; return what came of it, and after how many seconds the last was served."""
    roots = [server.settings.tls_authority.read_text()]
    drive = Drive(
        client=Client(
            host="127.0.0.1",
            port=server.settings.gateway_port,
            server_name="localhost",
            tls=tls_context(roots),
            sources=_SOURCES,
        ),
        authority=server.authority,
        chance=chance_of(1, "returning"),
        manner=Manner(reports=1.0),
        wall=time.time,
        most_at_once=at_once,
        hurry=scale.hurry,
    )

    async def come() -> float:
        begun = asyncio.get_running_loop().time()
        await drive.herd(fleet, within=within, most_seconds=scale.most_seconds)
        return max(0.0, drive.tally.last_served - begun)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return drive.tally, runner.run(come())


def _may_open(files: int) -> None:
    """Let this process have so many open files, where its shell gave it fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (files if hard == resource.RLIM_INFINITY else min(files, hard), hard)
        )


def _peak_mebibytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
