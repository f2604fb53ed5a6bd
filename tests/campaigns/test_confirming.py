"""A-CONFIRM: whatever a policy cuts off and whatever happens meanwhile, eleven minutes later the device is reachable.

Most tries are of a pretended filter, with time that passes as fast as a test likes: kills at any step, boots within the
window, an agent that is dead, clocks that jump, further targets, disks that refuse. Some are of the real firewall.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.campaign import size, told, tries
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.policies import (
    FIREWALL_RULES,
    LEVEL,
    RETENTION,
    RULES,
    choice,
    document,
    firewall_rule,
    items,
    number,
    texts,
)
from tests.support.pretend_products import HandUptime, Killed, PretendDevice, PretendProvider, RiskyProvider
from tests.support.samples import HandClock

from shieldwall.agent.applier.confirming import ConfirmationError
from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.errors import DiskFullError, HostError
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance

LONGEST = 11 * 60.0
"""Seconds from any change of the firewall until the device is reachable again: invariant I9."""
HARMLESS, CUTTING = (10, 11, 12), (90, 91, 92)


def firewall(days: int, level: int) -> list[PolicyDocument]:
    """What the pretended filter calls a number above 89, nobody gets through."""
    return [document(1, number(RETENTION, days)), document(2, choice(LEVEL, f"_{level}"))]


class World:
    """A device, its applier as a process that may die, and an agent that confirms when it gets through."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.chance = chance
        self.device = PretendDevice(
            directory=directory,
            providers=[RiskyProvider("filter", [RETENTION]), PretendProvider("scanner", [LEVEL])],
        )
        self.clock = HandClock()
        self.changed_at = 0.0
        self.agent_lives = True
        self.seen: Counter[str] = Counter()

    def applier(self) -> Applier:
        return self.device.applier()

    def is_cut_off(self) -> bool:
        running = self.device.providers[0].read(
            dict.fromkeys(self.device.providers[0].files(), self.device.loaded.get("filter", b""))
        )
        days = running.get(RETENTION)
        return isinstance(days, int) and days >= CUTTING[0]

    def started(self) -> None:
        self.device.no_more_faults()
        for act in (self.applier().recover, lambda: self.applier().note_start("applier"), self.applier().refresh):
            act()

    def guarded(self, act: Callable[[], object]) -> None:
        """Do something; the process may die of it, and is then started again as its unit says."""
        try:
            act()
        except Killed:
            self.seen["killed"] += 1
            self.device.uptime.pass_by(5)
            self.started()
        except HostError:
            self.seen["refused by the disk"] += 1

    def fault(self) -> None:
        kind = self.chance.choice(["none", "none", "kill", "full"])
        self.device.no_more_faults()
        at = self.chance.randrange(12)
        if kind == "kill":
            self.device.fault = lambda _step, number: _raise(Killed()) if number == at else None
        elif kind == "full":
            self.device.fault = lambda step, number: (
                _raise(DiskFullError("Full.")) if number >= at and step.startswith(("write", "before")) else None
            )

    def event(self) -> None:
        kind = self.chance.choice(
            ["harmless target", "cutting target", "cutting target", "boot", "agent dies", "agent comes back", "clock"]
        )
        self.seen[kind] += 1
        match kind:
            case "harmless target" | "cutting target":
                if self.is_cut_off():
                    return  # nobody could tell us
                days = self.chance.choice(HARMLESS if kind.startswith("harmless") else CUTTING)
                self.fault()
                before = dict(self.device.loaded)
                self.guarded(lambda: self.applier().enforce(firewall(days, self.chance.randrange(3))))
                if self.device.loaded.get("filter") != before.get("filter"):
                    self.changed_at = self.device.uptime.seconds
            case "boot":
                self.device.loaded.clear()
                self.device.uptime.reboot(seconds=self.chance.uniform(1, 3_000))
                self.changed_at = self.device.uptime.seconds
                self.started()
            case "agent dies":
                self.agent_lives = False
            case "agent comes back":
                self.agent_lives = True
            case _:
                self.clock.at += timedelta(seconds=self.chance.choice([-1e8, -3600, 1, 3600, 3e8]))

    def tick(self, seconds: float) -> None:
        """Let time pass, as the applier's own timer and a living agent use it."""
        self.device.uptime.pass_by(seconds)
        self.guarded(self.applier().revert_if_due)
        waiting = self.applier().unconfirmed()
        if waiting is not None and self.agent_lives and not self.is_cut_off():
            try:
                self.guarded(lambda: self.applier().confirm(waiting.nonce))
            except ConfirmationError:
                self.seen["too late"] += 1


def _raise(error: BaseException) -> None:
    raise error


def test_no_history_leaves_a_device_cut_off_for_longer_than_eleven_minutes(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for trial, chance in tries("A-CONFIRM (pretended filter)", size(short=60, full=500)):
        world = World(tmp_path / str(trial), chance)
        world.device.uptime = HandUptime()
        world.started()
        cut_since: float | None = None
        for _ in range(chance.randrange(4, 20)):
            world.event()
            if chance.random() < 0.7:
                world.device.no_more_faults()  # disks recover
            for _ in range(chance.randrange(1, 30)):
                world.tick(chance.choice([1.0, 10.0, 30.0]))
                if not world.is_cut_off():
                    cut_since = None
                    continue
                now = world.device.uptime.seconds
                cut_since = now if cut_since is None else min(cut_since, now)
                assert now - cut_since <= LONGEST, (trial, dict(world.seen))
        world.device.no_more_faults()
        for _ in range(12):
            world.tick(60.0)
        assert not world.is_cut_off(), (trial, dict(world.seen))
        assert world.applier().unconfirmed() is None or not world.agent_lives
        world.applier().refresh()
        assert not world.is_cut_off(), "nor does a look for drift bring it back"
        seen += world.seen
    told("A-CONFIRM (pretended filter)", seen)
    assert {"killed", "refused by the disk", "boot", "cutting target"} <= seen.keys()


SERVER = 8443
"""The server's port, on the other end of the cable."""
DNS = 53


FIREWALL = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")


def rule(protocol: str, *more: SettingInstance, direction: str = "out") -> PolicyDocument:
    """A policy of one rule that blocks."""
    said = (choice(f"{RULES}_item_direction", f"_{direction}"), choice(f"{RULES}_item_protocol", f"_{protocol}"), *more)
    return document(1, items(RULES, firewall_rule("block", "block", *said)), template=FIREWALL_RULES)


def remote(what: str, *values: str) -> SettingInstance:
    return texts(f"{RULES}_item_remote{what}", *values)


def zones(outbound: str) -> PolicyDocument:
    """A firewall in every zone, which lets out what rules allow: none."""
    place = "linux_shieldwall_firewall_{zone}_{setting}"
    return document(
        2,
        *(
            choice(
                place.format(zone=zone, setting="enablefirewall"),
                "_true",
                choice(place.format(zone=zone, setting="defaultoutboundaction"), f"_{outbound}"),
            )
            for zone in ("trusted", "internal", "public")
        ),
        template=FIREWALL,
    )


CUTS = {
    "the server's port": rule("tcp", remote("ports", str(SERVER))),
    "many ports": rule("tcp", remote("ports", "1024-60000")),
    "the server's network": rule("tcp", remote("addresses", "10.99.0.0/24")),
    "names, by address": rule("udp", remote("addresses", "10.99.0.2")),
    "everything, by default": zones("block"),
    "nothing": rule("tcp", remote("ports", "9")),
}
REFUSED = {
    "names": rule("udp", remote("ports", str(DNS))),
    "everything out": rule("any"),
    "everything in": rule("any", direction="in"),
}
HAPPENINGS = ("nothing", "boot", "restart", "clock", "agent dead")


@pytest.mark.root
@pytest.mark.nftables
def test_the_real_firewall_lets_the_device_through_again(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    count = size(short=6, full=60)
    with joined_namespaces() as (device, server), server.listening(SERVER), server.listening(DNS, udp=True):
        for trial, chance in tries("A-CONFIRM (nftables)", count):
            cut, happening = sorted(CUTS)[trial % len(CUTS)], HAPPENINGS[(trial // len(CUTS) + trial) % len(HAPPENINGS)]
            seen[f"{cut} cut, {happening}"] += 1
            _survived(_applier(tmp_path / str(trial), device), (device, server), cut, happening, chance)
    told("A-CONFIRM (nftables)", seen)


def _reaches(device: Namespace, server: Namespace) -> bool:
    """A full check-in needs a name and a connection."""
    return device.reaches(server, DNS, udp=True) and device.reaches(server, SERVER)


@pytest.mark.root
@pytest.mark.nftables
def test_what_would_cut_every_device_off_is_not_even_tried(tmp_path: Path) -> None:
    with joined_namespaces() as (device, server), server.listening(SERVER), server.listening(DNS, udp=True):
        applier = _applier(tmp_path, device)
        for policy in REFUSED.values():
            assert len(applier.enforce([policy]).refused) == 1
            assert applier.unconfirmed() is None
            assert _reaches(device, server)


def _applier(directory: Path, device: Namespace) -> Applier:
    return Applier(
        host=NamespaceHost(directory / "root", device),
        store=Store(directory / "state"),
        providers=[NftablesProvider()],
        platform="linux",
        catalog=load(platform="linux"),
        clock=HandClock(),
        uptime=HandUptime(),
    )


def _survived(
    applier: Applier, ends: tuple[Namespace, Namespace], cut: str, happening: str, chance: random.Random
) -> None:
    (device, server), uptime, clock = ends, applier.uptime, applier.clock
    assert isinstance(uptime, HandUptime)
    assert isinstance(clock, HandClock)
    assert _reaches(device, server)
    report = applier.enforce([CUTS[cut]])
    reachable = _reaches(device, server)
    assert reachable == (cut == "nothing"), (cut, report)
    waiting = applier.unconfirmed()
    assert reachable or waiting is not None, "what cuts off waits to be confirmed"
    uptime.pass_by(chance.uniform(1, 500))
    match happening:
        case "boot":
            device.run("nft", "flush", "ruleset")
            uptime.reboot()
            applier.recover()
        case "restart":
            applier.recover()
        case "clock":
            clock.at += timedelta(days=chance.choice([-4000, 4000]))
        case _:
            pass
    if waiting is not None and reachable and happening in {"nothing", "clock"}:
        applier.confirm(waiting.nonce)
    uptime.pass_by(LONGEST - 1)
    applier.revert_if_due()

    assert _reaches(device, server), (cut, happening)
    applier.refresh()
    assert _reaches(device, server), (cut, happening)
    applier.release()
    assert device.run("nft", "list", "tables").stdout == b""
