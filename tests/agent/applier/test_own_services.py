"""A protected device keeps its services as the package brought them; an unprotected one is left in peace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import HandClock

from shieldwall.agent.applier import own_services
from shieldwall.agent.applier.own_services import (
    AGENT,
    ENABLED,
    INSTALLED,
    OVERLAYS,
    PACKAGED,
    UNITS,
    OwnServices,
    plan,
)
from shieldwall.agent.host.local import LocalHost

NOW = HandClock()
PACKAGE = {name: f"[Unit]\nDescription={name}\n".encode() for name in UNITS}
WHOLE = {INSTALLED / name: content for name, content in PACKAGE.items()}
MASK = OVERLAYS[2] / AGENT
OVERLAID = OVERLAYS[2] / f"{AGENT}.d" / "harmless.conf"

_paths = st.sampled_from(
    [*WHOLE, MASK, OVERLAID, *(own_services.protection_of(service) for service in own_services.SERVICES)]
)
_found = st.dictionaries(_paths, st.none() | st.sampled_from([own_services.REFUSAL, *PACKAGE.values(), b"[Unit]\n"]))


@given(found=_found)
def test_what_is_put_back_once_needs_nothing_more(found: dict[PurePosixPath, bytes | None]) -> None:
    first = plan(PACKAGE, found, protected=True)
    after = {path: content for path, content in {**found, **first.put}.items() if path not in first.remove}

    assert plan(PACKAGE, after, protected=True) == own_services.Plan(put={}, remove=(), told=())
    assert {path: after[path] for path in WHOLE} == WHOLE


@given(found=_found)
def test_without_protection_only_our_own_refusal_goes(found: dict[PurePosixPath, bytes | None]) -> None:
    todo = plan(PACKAGE, found, protected=False)

    assert not todo.put
    assert not todo.told
    assert all(path.name == own_services.PROTECTION for path in todo.remove)


def test_protection_that_begins_is_nobodys_doing_and_that_is_changed_is() -> None:
    begun = plan(PACKAGE, WHOLE, protected=True)
    refusal = own_services.protection_of(AGENT)
    changed = plan(PACKAGE, {**WHOLE, **begun.put, refusal: b"[Unit]\n"}, protected=True)

    assert begun.told == ()
    assert changed.told == (str(refusal),)


SYSTEMCTL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in is-system-running) echo {system};; is-active) echo {agent};; esac
"""


class Machine:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = LocalHost(root)
        self.log = root / "said"
        (root / "run/systemd/system").mkdir(parents=True)
        for place in (PACKAGED, INSTALLED):
            for name, content in PACKAGE.items():
                self.host.write_file(place / name, content)
        wants = self.host.locate(ENABLED)
        wants.mkdir(parents=True)
        for name in UNITS:
            (wants / name).symlink_to(f"/usr/lib/systemd/system/{name}")
        self.says()

    def says(self, *, system: str = "running", agent: str = "active") -> None:
        program = self.root / "usr/bin/systemctl"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(SYSTEMCTL.format(log=self.log, system=system, agent=agent))
        program.chmod(0o755)

    def look(self, *, protected: bool = True, is_onboarded: bool = True) -> tuple[str, ...]:
        return OwnServices(host=self.host, clock=NOW).look(protected=protected, is_onboarded=is_onboarded)

    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    assert made.look() == ()
    yield made
    made.says()
    assert made.look(protected=False) == ()
    assert not list(tmp_path.rglob(own_services.PROTECTION))


def test_units_that_were_changed_masked_or_overlaid_go_back(machine: Machine) -> None:
    machine.host.write_file(INSTALLED / AGENT, b"[Service]\nExecStart=/bin/true\n")
    machine.host.locate(MASK).parent.mkdir(parents=True, exist_ok=True)
    machine.host.locate(MASK).symlink_to("/dev/null")
    machine.host.write_file(OVERLAID, b"[Service]\nExecStart=\nExecStart=/bin/true\n")

    told = machine.look()

    assert set(told) == {str(INSTALLED / AGENT), str(MASK), str(OVERLAID)}
    assert machine.host.read_file(INSTALLED / AGENT) == PACKAGE[AGENT]
    assert not machine.host.locate(MASK).is_symlink()
    assert not machine.host.locate(OVERLAID).exists()
    assert "daemon-reload" in machine.said()
    assert machine.look() == ()


@pytest.mark.parametrize(
    "folder",
    [
        INSTALLED / f"{AGENT}.d",
        PurePosixPath("/etc/systemd/system/shieldwall-.service.d"),
        PurePosixPath("/usr/local/lib/systemd/system", f"{AGENT}.d"),
        PurePosixPath("/run/systemd/transient/shieldwall-.path.d"),
    ],
)
def test_drop_ins_count_wherever_systemd_reads_them(machine: Machine, folder: PurePosixPath) -> None:
    machine.host.write_file(folder / "more.conf", b"[Service]\nExecStart=\nExecStart=/bin/true\n")
    assert machine.look() == (str(folder / "more.conf"),)
    assert machine.look() == ()


def test_what_stands_in_the_way_of_one_file_keeps_no_other_from_being_put_back(machine: Machine) -> None:
    folder, refusal = machine.host.locate(MASK.parent / f"{AGENT}.d"), own_services.protection_of(AGENT)
    (folder / "harmless.conf.d").mkdir()
    (folder / own_services.PROTECTION).unlink()
    (folder / own_services.PROTECTION).mkdir()
    applier = machine.host.locate(INSTALLED / own_services.SERVICES[0])
    applier.unlink()
    applier.symlink_to("/dev/null")

    assert set(machine.look()) == {str(INSTALLED / applier.name), f"{refusal} (in the way)"}
    assert not applier.is_symlink()
    assert machine.host.read_file(INSTALLED / applier.name) == PACKAGE[applier.name]

    (folder / own_services.PROTECTION).rmdir()
    assert machine.look() == ()


def test_an_upgrade_is_no_tampering_and_a_mark_left_behind_is_no_upgrade(machine: Machine) -> None:
    machine.says(agent="inactive")
    mark = machine.host.locate(own_services.UPGRADING)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    os.utime(mark, (NOW.now().timestamp() - 60,) * 2)
    assert machine.look() == ()

    long_ago = NOW.now().timestamp() - 3600
    os.utime(mark, (long_ago, long_ago))
    assert machine.look() == (f"{AGENT} (stopped)",)


def test_an_agent_that_was_stopped_is_started_and_one_that_was_switched_off_is_enabled(machine: Machine) -> None:
    machine.says(agent="inactive")
    machine.host.locate(ENABLED / AGENT).unlink()

    assert machine.look() == (f"{AGENT} (disabled)", f"{AGENT} (stopped)")
    assert {f"enable {AGENT}", f"start --no-block {AGENT}"} <= set(machine.said())

    machine.host.locate(ENABLED / AGENT).symlink_to(INSTALLED / AGENT)


def test_a_device_that_is_not_onboarded_has_no_agent_to_start(machine: Machine) -> None:
    machine.says(agent="inactive")

    assert machine.look(is_onboarded=False) == ()


def test_a_machine_that_shuts_down_is_let_go_down(machine: Machine) -> None:
    machine.says(system="stopping", agent="inactive")

    assert machine.look() == ()
    assert not any(words.startswith("start") for words in machine.said())


def test_without_systemd_there_is_nothing_to_look_after(tmp_path: Path) -> None:
    assert OwnServices(host=LocalHost(tmp_path), clock=NOW).look(protected=True, is_onboarded=True) == ()
    assert not list(tmp_path.iterdir())
