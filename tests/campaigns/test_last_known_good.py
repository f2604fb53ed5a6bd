"""A-LKG: policies that are signed as they should be, and harmful, or nonsense.

The device returns to what was good after at most three crashes, reaches safe mode where that does not help, is never
weaker for it than what was good, and no document of any shape breaks the applier.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from tests.support.campaign import size, told, tries
from tests.support.policies import (
    DAY,
    FILE_SYSTEMS,
    LEVEL,
    RETENTION,
    THREADS,
    catalog,
    choice,
    document,
    number,
    texts,
)
from tests.support.pretend_products import Killed, PretendDevice, PretendProvider

from shieldwall.agent.applier.state import Stage
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.contract.status import SettingState, StatusReport
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.resolve import resolve
from shieldwall.policy.values import SettingValue

GOOD = [document(1, choice(LEVEL, "_1"), number(RETENTION, 60), number(THREADS, 4))]
SETTINGS = (LEVEL, RETENTION, THREADS, DAY, FILE_SYSTEMS)


def some_policies(chance: random.Random) -> list[PolicyDocument]:
    """Make policies that are valid, and say anything."""
    made = []
    for policy in range(1, chance.randrange(2, 5)):
        options: list[SettingInstance] = [
            choice(LEVEL, f"_{chance.randrange(4)}"),
            number(RETENTION, chance.randrange(1, 180)),
            number(THREADS, chance.randrange(1, 64)),
            choice(DAY, f"_{chance.randrange(8)}"),
            texts(FILE_SYSTEMS, *chance.sample(["nfs", "fuse", "cifs", "smb"], chance.randrange(1, 4))),
        ]
        made.append(document(policy, *chance.sample(options, chance.randrange(1, len(options)))))
    return made


def nonsense(chance: random.Random) -> list[PolicyDocument]:
    """Make documents that a signature may stand below all the same."""
    wrong: list[SettingInstance] = [
        number(RETENTION, chance.randrange(-(10**9), 10**9)),
        choice(LEVEL, "_99"),
        choice("unheard_of", "_1"),
        texts(FILE_SYSTEMS, *["x" * chance.randrange(1, 5000)] * chance.randrange(1, 700)),
        number(LEVEL, 3),
        choice(RETENTION, "_1"),
        texts(FILE_SYSTEMS, "\u202e", "a\nb", ""),
    ]
    changes: list[dict[str, Any]] = [
        {},
        {"platforms": "windows10"},
        {"template_id": TemplateId("00000000-0000-4000-8000-000000000000_1")},
        {"catalog_version": "2999.1.1"},
        {"modified_at": "yesterday"},
        {"name": "\0" * 10},
    ]
    policies = [document(each, *chance.sample(wrong, chance.randrange(1, 4))) for each in range(chance.randrange(1, 4))]
    return [msgspec.structs.replace(policy, **chance.choice(changes)) for policy in policies]


class World:
    """A device on which some settings are deadly: at once, or some time after they took hold."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.chance = chance
        first = PretendProvider("first", [LEVEL, RETENTION, FILE_SYSTEMS])
        second = PretendProvider("second", [THREADS, DAY])
        self.device = PretendDevice(directory=directory, providers=[first, second])
        self.deadly: dict[SettingId, SettingValue] = {}
        self.at_once = chance.random() < 0.3
        self.cursed = False
        """Whether the device dies whatever is on it."""

    def holds(self) -> dict[SettingId, SettingValue]:
        found: dict[SettingId, SettingValue] = {}
        for provider in self.device.providers:
            loaded = self.device.loaded.get(provider.name, b"")
            found |= provider.read(dict.fromkeys(provider.files(), loaded))
        return found

    def is_deadly(self) -> bool:
        now = self.holds()
        return self.cursed or any(now.get(setting) == value for setting, value in self.deadly.items())

    def fault(self, step: str, _number: int) -> None:
        if self.at_once and step == "before save" and self.is_deadly():
            raise Killed

    def start(self) -> Stage:
        """Start as the unit does, which may be the next death."""
        applier = self.device.applier()
        self.device.fault = self.fault
        with suppress(Killed):
            applier.recover()
            applier.note_start("applier")
        self.device.no_more_faults()
        return applier.stage()

    def enforce(self, policies: list[PolicyDocument]) -> StatusReport | None:
        self.device.fault = self.fault
        try:
            return self.device.applier().enforce(policies)
        except Killed:
            return None
        finally:
            self.device.no_more_faults()

    def crash(self) -> Stage:
        if self.chance.random() < 0.4:
            self.device.uptime.reboot(seconds=self.chance.uniform(5, 200))
        else:
            self.device.uptime.pass_by(self.chance.uniform(1, 150))
        return self.start()

    def settle(self) -> None:
        for _ in range(11):
            self.device.uptime.pass_by(60)
            self.device.applier().refresh()


def targets(world: World, policies: list[PolicyDocument]) -> Iterator[int]:
    """Let the device crash for as long as it is deadly; the agent hands the same target over after every start."""
    crashes = 0
    while world.enforce(policies) is None or world.is_deadly():
        yield crashes
        crashes += 1
        world.crash()
        if not world.is_deadly() and world.device.applier().stage() is not Stage.NORMAL:
            return


def test_harmful_policies_hold_for_three_crashes_at_most(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for trial, chance in tries("A-LKG (harmful)", size(short=40, full=1_000)):
        world = World(tmp_path / str(trial), chance)
        world.start()
        world.enforce(GOOD)
        world.settle()
        good = world.holds()
        bad = some_policies(chance)
        wanted = resolve(catalog(), bad).decided()
        different = [setting for setting in wanted if wanted[setting] != good.get(setting)]
        if not different:
            continue
        world.deadly = {setting: wanted[setting] for setting in chance.sample(different, 1)}

        crashes = sum(1 for _ in targets(world, bad))

        assert crashes <= 3, (trial, crashes)
        assert world.device.applier().stage() is Stage.LAST_KNOWN_GOOD, trial
        assert world.holds() == good, trial
        report = world.enforce(bad)
        assert report is not None
        assert {status.code for status in report.settings if status.state is SettingState.ERROR} == {"lastKnownGood"}
        seen[f"harmful {'at once' if world.at_once else 'later'}, {crashes} crashes"] += 1

        world.settle()
        world.deadly = {}
        healed = world.enforce([document(9, number(RETENTION, 7))])
        assert healed is not None
        assert world.holds() == {RETENTION: 7}, trial
    told("A-LKG (harmful)", seen)


def test_where_even_the_good_do_not_help_safe_mode_is_reached_and_nothing_gets_weaker(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for trial, chance in tries("A-LKG (safe mode)", size(short=30, full=500)):
        world = World(tmp_path / str(trial), chance)
        world.at_once = False
        world.start()
        world.enforce(GOOD)
        world.settle()
        good = world.holds()
        world.enforce(some_policies(chance))
        if world.device.applier().store.load().footing.trial is None:
            continue
        world.cursed = True
        stages = [world.crash() for _ in range(6)]
        assert stages[2:5] == [Stage.LAST_KNOWN_GOOD] * 3, (trial, stages)
        assert stages[5] is Stage.SAFE_MODE, (trial, stages)
        assert world.holds() == good
        for _ in range(chance.randrange(1, 5)):
            world.enforce(some_policies(chance))
            now = world.holds()
            for setting in {*good, *now}:
                change = classify(catalog(), setting, good.get(setting), now.get(setting))
                assert change in {ChangeClass.NEUTRAL, ChangeClass.STRENGTHEN}, (trial, setting, change)
            seen["stronger" if now != good else "as strong"] += 1
        world.device.applier().release()
        assert world.device.files == {}
    told("A-LKG (safe mode)", seen)
    assert set(seen) == {"stronger", "as strong"}


def test_nonsense_breaks_nothing_and_weakens_nothing(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for trial, chance in tries("A-LKG (nonsense)", size(short=60, full=1_000)):
        world = World(tmp_path / str(trial), chance)
        world.start()
        world.enforce(GOOD)
        good = world.holds()

        rubbish = nonsense(chance)
        report = world.enforce(
            [*GOOD, *rubbish[:-1], msgspec.structs.replace(rubbish[-1], policy_id=GOOD[0].policy_id)]
        )

        assert report is not None
        seen["refused" if report.refused else "without meaning here"] += 1
        valid = [
            policy
            for policy in rubbish
            if not validate(catalog(), policy.template_id, policy.platforms, policy.technologies, policy.settings)
        ]
        assert world.holds() == good or valid, trial
        world.device.applier().refresh()
        world.device.applier().release()
        assert world.device.files == {}
    told("A-LKG (nonsense)", seen)
