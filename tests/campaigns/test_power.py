"""A-APPLY, the power cut: what was not synced is lost, torn or there, at any instant of whatever the applier does.

After the boot the applier starts; what is on disk is old or new and never mixed, and what the applier remembers is what
is there, so that nothing is taken for somebody's change. What was acknowledged holds, whoever was killed before.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.campaign import size, told, tries
from tests.support.power import File, Folder, Node, PowerDisk, PowerLostError
from tests.support.pretend_products import HandUptime
from tests.support.steered_device import (
    ACTS,
    BEFORE,
    NEW,
    OLD,
    Device,
    Files,
    by_product,
    enforce,
    managed,
    remembers_what_is_there,
    where_nobody_dies,
)

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.status import SettingState

ALL = ACTS | {"first": enforce(OLD)}
"""Whatever the applier does, and the very first time it does anything."""


@dataclass(frozen=True)
class Whole:
    """What an act comes to where the power never goes: so many calls that change names or sync, then these files."""

    calls: int
    contents: Files


def fresh(directory: Path) -> Device:
    """A device that was never managed."""
    device = Device(directory=directory, uptime=HandUptime())
    for path, content in BEFORE.items():
        device.host.write_file(path, content)
    return device


def prepared(name: str, directory: Path) -> Device:
    return fresh(directory) if name == "first" else managed(directory)


def boot(device: Device) -> None:
    """Boot: each product loads its own file, and the applier starts."""
    device.uptime.reboot()
    for product in device.products:
        product.activate(device.host)
    device.applier().recover()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return where_nobody_dies(tmp_path_factory.mktemp("ends"))


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Whole]:
    """What each act comes to, a boot included."""
    directory, found = tmp_path_factory.mktemp("wholes"), {}
    for name, act in ALL.items():
        device = prepared(name, directory / name)
        disk = disk_of(device, random.Random(0))  # noqa: S311 - tries, not secrets
        assert living(disk, lambda: act(device), None)  # noqa: B023 - called at once
        boot(device)
        found[name] = Whole(calls=disk.calls, contents=device.contents())
    return found


@pytest.fixture(autouse=True)
def _no_waiting_for_the_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def disk_of(device: Device, chance: random.Random, *, lies_about: type[Node] | None = None) -> PowerDisk:
    in_memory = device.directory / "root" / "runtime"
    return PowerDisk(device.directory, chance, in_memory=in_memory, lies_about=lies_about)


def living(disk: PowerDisk, act: Callable[[], object], calls: int | None, *, exactly: bool = False) -> bool:
    """Act as a process that may end at some call; say whether it lived."""
    try:
        with disk.ends_after(None if calls is None else disk.calls + calls, exactly=exactly):
            act()
    except PowerLostError:
        return False
    assert not disk.missed()
    return True


def tried(
    directory: Path,
    chance: random.Random,
    ends: dict[str, Files],
    wholes: dict[str, Whole],
    *,
    lies_about: type[Node] | None = None,
) -> str:
    """Let one device lose power, and look at it; say what happened."""
    name = chance.choice(sorted(ALL))
    whole, device = wholes[name], prepared(name, directory)
    disk = disk_of(device, chance, lies_about=lies_about)
    killed = 0

    def begun() -> None:
        if killed:
            device.applier().recover()
        ALL[name](device)

    while chance.random() < 0.5 and not living(disk, begun, chance.randrange(whole.calls)):
        killed += 1
    calls = None if chance.random() < 0.2 else chance.randrange(whole.calls)
    if is_left_there := killed > 0 and chance.random() < 0.3:
        living(disk, device.applier().recover, calls)
    ended = not is_left_there and living(disk, begun, calls)
    disk.lose_power()
    again = 0
    while chance.random() < 0.3 and not living(disk, lambda: boot(device), chance.randrange(20)):
        disk.lose_power()
        again += 1
    boot(device)

    sides = [by_product(files) for files in ends.values()]
    found = by_product(device.contents())
    broken = [
        product
        for product, contents in found.items()
        if contents not in [side[product] for side in sides]
        and not (name == "put back" and product == "values")  # somebody removed one of its files
    ]
    assert not broken, (name, killed, ended, broken)
    if ended and not killed:
        assert device.contents() == whole.contents, (name, "what was acknowledged is lost")
    if ended and name == "released":
        assert device.contents() == whole.contents, (name, "what was let go of came back")
    assert device.applier().unconfirmed() is None
    if name != "put back":
        assert remembers_what_is_there(device), (name, killed, ended)
        assert all(product.is_in_step(device.host) for product in device.products), name
        report = device.applier().refresh()
        assert not [each for each in report.settings if each.state is SettingState.ERROR and not each.code], name

    device.applier().release()
    device.applier().enforce(NEW, target=None)
    device.confirm()
    assert device.contents() == ends["new"], name
    device.applier().release()
    assert device.contents() == ends["nothing"], name
    return (
        f"{name}, {'killed, then ' * bool(killed)}cut {'afterwards' if ended else 'at work'}{', again' * bool(again)}"
    )


def test_after_a_power_cut_a_device_is_old_or_new(
    tmp_path: Path, ends: dict[str, Files], wholes: dict[str, Whole]
) -> None:
    seen: Counter[str] = Counter()
    for trial, chance in tries("A-APPLY (power cut)", size(short=30, full=2_000)):
        try:
            seen[tried(tmp_path / str(trial), chance, ends, wholes)] += 1
        except Exception as error:
            raise AssertionError(f"Try {trial}: {error}") from error
        shutil.rmtree(tmp_path / str(trial))
    told("A-APPLY (power cut)", seen)
    assert sum(count for what, count in seen.items() if "at work" in what) > sum(seen.values()) // 2


@pytest.mark.parametrize("name", ["changed", "first", "released"])
def test_what_a_killed_process_left_unsynced_is_on_disk_once_its_successor_built_on_it(
    tmp_path: Path, wholes: dict[str, Whole], name: str
) -> None:
    """Every place to be killed at: the successor reads what no disk holds yet, and finds nothing left to do."""
    for calls in range(wholes[name].calls):
        device = prepared(name, tmp_path / str(calls))
        disk = disk_of(device, random.Random(calls))  # noqa: S311 - tries, not secrets
        living(disk, lambda: ALL[name](device), calls, exactly=True)  # noqa: B023 - called at once

        assert living(disk, lambda: (device.applier().recover(), ALL[name](device)), None)  # noqa: B023 - as above
        disk.lose_power(with_all_unsynced=True)
        boot(device)

        assert device.contents() == wholes[name].contents, calls


@pytest.mark.parametrize("name", ["changed", "released"])
def test_who_goes_back_may_be_killed_as_well(
    tmp_path: Path, ends: dict[str, Files], wholes: dict[str, Whole], name: str
) -> None:
    """Killed before the commit, and again at every place of going back: the journal is not let go of too early."""
    for calls in itertools.count():
        device = prepared(name, tmp_path / str(calls))
        disk = disk_of(device, random.Random(calls))  # noqa: S311 - tries, not secrets
        assert not living(disk, lambda: ALL[name](device), wholes[name].calls - 5)  # noqa: B023 - called at once
        if living(disk, device.applier().recover, calls, exactly=True):
            break

        assert living(disk, device.applier().recover, None)
        disk.lose_power(with_all_unsynced=True)
        boot(device)

        assert device.contents() == ends["old"], calls
    assert calls > 10


@pytest.mark.parametrize("kind", [File, Folder], ids=["files", "names"])
def test_a_disk_that_only_says_it_synced_is_found_out(
    tmp_path: Path, ends: dict[str, Files], wholes: dict[str, Whole], kind: type[Node]
) -> None:
    """What cannot fail proves nothing: without the syncs of one kind, the very same tries do."""

    def is_found_out(trial: int, chance: random.Random) -> bool:
        try:
            tried(tmp_path / str(trial), chance, ends, wholes, lies_about=kind)
        except (AssertionError, ShieldwallError):
            return True
        return False

    assert any(is_found_out(trial, chance) for trial, chance in tries("A-APPLY (a disk that lies)", 100))
