"""The course of a day: an outage, a policy push and a rule change, second by second."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Final

import numpy as np

from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.day.aiming import Aiming
from shieldwall.simulator.day.gateway import TAKEN, UNHEARD, DayGateway, Served
from shieldwall.simulator.day.people import DAY, HOUR, Floats, People, Whole, people
from shieldwall.simulator.day.plan import DayPlan
from shieldwall.simulator.day.records import Change, Day, Herd, Minutes
from shieldwall.simulator.day.waiting import KNOCKS, after_failures, after_refusals

MINUTE: Final = 60.0
NEVER: Final = np.inf
PATIENCE: Final = 30.0
"""Seconds that an agent waits for an answer."""


class Course:
    """One day. ``progress`` hears which share of it is over."""

    def __init__(self, plan: DayPlan, progress: Callable[[float], None] = lambda _share: None) -> None:
        """Make up the fleet, and tell the targeting index of it."""
        self.plan, self.progress = plan, progress
        self.chance = np.random.default_rng(plan.seed)
        self.fleet: People = people(plan.devices, self.chance)
        self.aiming = Aiming(self.fleet)
        self.gateway = DayGateway(plan.costs, chance_of(plan.seed, "coming back").randint)
        size = plan.devices
        self.next_at: Floats = np.where(self.fleet.on < 0, self.chance.random(size) * self.fleet.period, self.fleet.on)
        self.failures: Whole = np.zeros(size, np.int64)
        self.knocked: Whole = np.zeros(size, np.int8)
        """How often the kernel of a device has knocked in vain, this time."""
        self.has = self.aiming.marks[:size].copy()
        self.struck: Whole = np.zeros(size, np.bool_)
        """Whether the outage turned a device away that has not come again since."""
        self.minutes = Minutes.of(int(DAY / MINUTE))
        self.changes: list[Change] = []
        self.herds: list[Herd] = []

    def run(self) -> Day:
        """Live through the day."""
        begun, cpu = perf_counter(), process_time()
        todo = [(self.plan.push_at * HOUR, "policy pushed"), (self.plan.rule_at * HOUR, "rule changed")]
        if self.plan.storm_at is not None:
            todo.append((self.plan.storm_at * HOUR, "storm"))
        todo.sort(reverse=True)
        for minute in range(int(DAY / MINUTE)):
            start = minute * MINUTE
            while todo and todo[-1][0] <= start:
                self._happen(todo.pop()[1], start)
            self._minute(minute, start)
            self.progress((minute + 1) * MINUTE / DAY)
        for change in self.changes:
            change.close()
        return Day(
            plan=self.plan,
            minutes=self.minutes,
            changes=tuple(self.changes),
            herds=tuple(self.herds),
            built_seconds=self.aiming.built_seconds,
            seconds=perf_counter() - begun,
            cpu_seconds=process_time() - cpu,
            digest=self._digest(),
        )

    @property
    def _outage(self) -> tuple[float, float]:
        begins = self.plan.outage_at * HOUR
        return begins, begins + self.plan.outage_minutes * MINUTE

    def _awake(self, at: float) -> Whole:
        found: Whole = (self.fleet.on <= at) & (at < self.fleet.off)
        return found

    def _happen(self, name: str, at: float) -> None:
        if name == "storm":
            everybody = np.flatnonzero(self._awake(at))
            self.next_at[everybody] = at + MINUTE * self.chance.random(len(everybody))
            self.failures[everybody] = 0
            self.herds.append(Herd.of("everybody starts anew", at, everybody, len(self.has)))
            return
        self._change(name, at)

    def _change(self, name: str, at: float) -> None:
        changed, cost = self.aiming.push_policy() if name == "policy pushed" else self.aiming.change_rule()
        awake = self._awake(at)[changed]
        self.changes.append(
            Change(name=name, at=at, devices=changed[awake], asleep=int((~awake).sum()), cpu_seconds=cost)
        )
        if self.plan.woken_per_second > 0:
            woken = self.chance.permutation(changed[awake])
            come = at + np.arange(len(woken)) / self.plan.woken_per_second
            self.next_at[woken] = np.minimum(self.next_at[woken], come)

    def _minute(self, minute: int, start: float) -> None:
        soon = np.flatnonzero(self.next_at < start + MINUTE)
        before = self.gateway.busy_seconds
        begins, ends = self._outage
        for second in range(int(MINUTE)):
            end = start + second + 1
            due = soon[self.next_at[soon] < end]
            due = due[np.argsort(self.next_at[due], kind="stable")]
            arrivals = self.next_at[due]
            if begins <= end - 1 < ends:
                self._fail(minute, due, arrivals)
                if end >= ends:
                    self._come_back_up(end)
                continue
            self._serve(minute, due, arrivals)
            self.gateway.settle(end)
        self.minutes.awake[minute] = self.fleet.awake(start)
        self.minutes.behind[minute] = np.count_nonzero(self.has != self.aiming.marks[: len(self.has)])
        self.minutes.busy[minute] = (self.gateway.busy_seconds - before) / (MINUTE * self.plan.costs.processors)

    def _fail(self, minute: int, due: Whole, arrivals: Floats) -> None:
        """Nobody answers."""
        self.minutes.unanswered[minute] += len(due)
        self.struck[due] = True
        self.failures[due] += 1
        self._again(due, arrivals + after_failures(self.failures[due], self.chance.random(len(due))))

    def _come_back_up(self, at: float) -> None:
        self.gateway.restart()
        self.gateway.busy_until = at
        back = np.flatnonzero(self.struck & (self.next_at < NEVER))
        self.herds.append(Herd.of("the server is back", at, back, len(self.has)))

    def _serve(self, minute: int, due: Whole, arrivals: Floats) -> None:
        if not len(due):
            return
        wanted = self.aiming.marks[due]
        has_news = self.has[due] != wanted
        for herd in self.herds:
            herd.came(due, arrivals)
        served: Served = self.gateway.serve(arrivals, has_news)
        taken, unheard = served.retry_after == TAKEN, served.retry_after == UNHEARD
        self.minutes.note(minute, served.ended - arrivals, taken, has_news, self.gateway.backlog)
        self.minutes.unheard[minute] += int(unheard.sum())
        self.knocked[due[~unheard]] = 0
        if taken.any():
            self._taken(due[taken], served.ended[taken], wanted[taken], has_news[taken])
        self._knock_again(due[unheard], arrivals[unheard])
        away = ~taken & ~unheard
        self.minutes.sent_away[minute] += int(away.sum())
        if away.any():
            whom = due[away]
            self.failures[whom] += 1
            waits = after_refusals(self.failures[whom], self.chance.random(len(whom)), served.retry_after[away])
            self._again(whom, served.ended[away] + waits)

    def _knock_again(self, whom: Whole, at: Floats) -> None:
        """Let kernels knock again; whose patience is over waits like after any failure."""
        tries = self.knocked[whom]
        gives_up = tries >= len(KNOCKS)
        waits = np.array((*KNOCKS, 0.0))[np.minimum(tries, len(KNOCKS))]
        self.knocked[whom] = np.where(gives_up, 0, tries + 1)
        given_up = whom[gives_up]
        self.failures[given_up] += 1
        left = PATIENCE - sum(KNOCKS)
        waits[gives_up] = left + after_failures(self.failures[given_up], self.chance.random(len(given_up)))
        self._again(whom, at + waits)

    def _taken(self, whom: Whole, ended: Floats, wanted: Whole, has_news: Whole) -> None:
        heard = self.chance.random(len(whom)) >= self.plan.lost_answers
        lost = ~heard
        self.failures[whom[heard]] = 0
        self.failures[whom[lost]] += 1
        waits = self.fleet.period[whom]
        waits[lost] = after_failures(self.failures[whom[lost]], self.chance.random(int(lost.sum())))
        self._again(whom, ended + waits)
        news = whom[heard & has_news]
        self.has[news] = wanted[heard & has_news]
        for change in self.changes:
            change.reached(news, ended[heard & has_news])
        for herd in self.herds:
            herd.served(whom, ended)

    def _again(self, whom: Whole, at: Floats) -> None:
        stays = at < self.fleet.off[whom]
        self.next_at[whom] = np.where(stays, at, NEVER)
        for herd in self.herds:
            herd.lost(whom[~stays])

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for column in self.minutes.columns():
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(self.next_at.tobytes() + self.has.tobytes())
        return digest.hexdigest()
