"""A real process, really killed, over real files: what is on disk afterwards is old or new."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.policies import ENGINE, EXCLUSIONS, LEVEL, catalog, choice, document, excluded_path, items
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import ClamavProvider
from shieldwall.agent.providers.mdatp import MdatpProvider
from shieldwall.contract.settings import PolicyDocument

MANAGED = PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdatp_managed.json")
CLAMD = PurePosixPath("/etc/clamav/clamd.conf")
BEFORE = {MANAGED: b'{\n  "other": {"tool": true}\n}\n', CLAMD: b"# kept\nLocalSocket /nonexistent/clamd.ctl\n"}
OLD = [document(1, choice(LEVEL, "_0"), choice(f"{ENGINE}scanarchives", "_true"))]
NEW = [document(1, choice(LEVEL, "_1"), items(EXCLUSIONS, excluded_path("/srv/a")))]


def applier_on(directory: Path) -> Applier:
    return Applier(
        host=LocalHost(directory / "root", program_directories=()),
        store=Store(directory / "state"),
        providers=[MdatpProvider(catalog()), ClamavProvider(catalog())],
        platform="linux",
        catalog=catalog(),
        clock=HandClock(),
    )


def managed_device(directory: Path) -> Applier:
    applier = applier_on(directory)
    for path, content in BEFORE.items():
        applier.host.write_file(path, content)
    applier.enforce(OLD)
    return applier


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in (directory / "root").rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files if ".shieldwall-new" not in path.name}


def in_another_process(act: Callable[[], object]) -> int:
    """Run in a child and return its wait status; nothing of the test's own process is touched."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001 - a child must never return into the test runner
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def enforce_and_die(directory: Path, policies: Sequence[PolicyDocument], calls: int) -> None:
    """Enforce; at the given call of fsync or rename the kernel ends the process, without a goodbye."""
    left = itertools.count(calls, -1)

    def dying(genuine: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return genuine(*arguments)

        return call

    os.fsync = dying(os.fsync)  # type: ignore[assignment]  # in the child alone
    os.replace = os.rename = dying(os.rename)  # type: ignore[assignment]  # as above; pathlib looks it up there
    applier_on(directory).enforce(policies)


@pytest.mark.parametrize("policies", [NEW, []], ids=["changed", "unassigned"])
def test_a_process_killed_at_any_write_leaves_old_or_new_files(tmp_path: Path, policies: list[PolicyDocument]) -> None:
    managed_device(tmp_path / "old")
    managed_device(tmp_path / "new").enforce(policies)
    managed_device(tmp_path / "released").release()
    old, new, released = (contents(tmp_path / name) for name in ("old", "new", "released"))
    assert old != new

    for calls in itertools.count():
        directory = tmp_path / str(calls)
        managed_device(directory)
        status = in_another_process(lambda: enforce_and_die(directory, policies, calls))  # noqa: B023 - called at once
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL

        applier_on(directory).recover()

        assert contents(directory) in (old, new)
        applier_on(directory).enforce(policies)
        assert contents(directory) == new
        applier_on(directory).release()
        assert contents(directory) == released
        assert all(released[f"root{path}"] == content for path, content in BEFORE.items())
    assert calls >= 10


def test_a_state_directory_may_be_a_link_to_where_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to("elsewhere")

    managed_device(tmp_path)

    assert (tmp_path / "elsewhere" / "state.json").exists()
    applier_on(tmp_path).release()
    assert all(contents(tmp_path)[f"root{path}"] == content for path, content in BEFORE.items())
