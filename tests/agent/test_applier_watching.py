"""Real files, the real kernel's notices: drift is noticed within seconds, and by whom."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.policies import LEVEL, RETENTION, catalog, choice, document
from tests.support.pretend_products import PretendProvider
from tests.support.reports import by_provider
from tests.support.samples import HandClock

from shieldwall.agent.applier.culprits import GONE, culprit, culprit_in
from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.notifying import Fanotify, Inotify, Notifier
from shieldwall.agent.applier.store import BusyError, Store
from shieldwall.agent.applier.transaction import Seen
from shieldwall.agent.applier.watching import DriftWatch
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Observation, Provider
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import StatusReport

FILE = PurePosixPath("/etc/first/0.conf")
PATIENCE = 60.0
"""Seconds in which what must come comes, on however busy a machine; what must not come is waited for briefly."""
EDIT = "import os, sys, time; f = open(sys.argv[1], 'w'); f.write('changed\\n'); f.close(); time.sleep(2)"
"""A program that changes a file and is still there when somebody looks."""


class FileProvider(PretendProvider):
    """A product that reads its files whenever it needs them."""

    def activate(self, host: Host) -> None:
        del host

    def observe(self, host: Host, desired: Desired) -> dict[SettingId, Observation]:
        del host
        return dict.fromkeys(desired, Observation(effective=None))


class TellingProvider(FileProvider):
    """A product with a program that prints what changes."""

    def __init__(self, command: Sequence[str] | None) -> None:
        super().__init__("telling", [RETENTION])
        self.command = command

    def monitor(self, host: Host) -> Sequence[str] | None:
        del host
        return self.command


@contextlib.contextmanager
def watching(
    directory: Path,
    *providers: Provider,
    notifiers: Sequence[Callable[[], Notifier]] = (Fanotify, Inotify),
    look: Callable[[Seen], None] | None = None,
) -> Iterator[tuple[DriftWatch, queue.Queue[Seen]]]:
    looks: queue.Queue[Seen] = queue.Queue()
    watch = DriftWatch(
        host=LocalHost(directory / "root", program_directories=()),
        providers=providers or (FileProvider("first", [LEVEL, RETENTION]),),
        look=look or looks.put,
        notifiers=notifiers,
    )
    thread = threading.Thread(target=watch.run)
    thread.start()
    time.sleep(0.3)
    try:
        yield watch, looks
    finally:
        watch.stop()
        thread.join(10)
        assert not thread.is_alive()


def placed(directory: Path, content: str = "before\n") -> Path:
    file = directory / "root/etc/first/0.conf"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    return file


BOTH = [
    pytest.param((Fanotify,), marks=pytest.mark.root, id="fanotify"),
    pytest.param((Inotify,), id="inotify"),
]


def replaced(file: Path) -> None:
    other = file.with_name(".swap")
    other.write_text("changed\n")
    other.rename(file)


def by_hand(act: Callable[[Path], object], file: Path) -> None:
    """Do it in another process: what we do ourselves is no notice."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            act(file)
        os._exit(0)
    os.waitpid(child, 0)


CHANGES: list[Callable[[Path], object]] = [
    lambda file: file.write_text("changed\n"),
    replaced,
    lambda file: file.unlink(),
    lambda file: file.chmod(0o600),
    lambda file: file.rename(file.with_name("away")),
]


@pytest.mark.parametrize("notifiers", BOTH)
@pytest.mark.parametrize("change", CHANGES, ids=["written", "replaced", "removed", "mode", "moved away"])
def test_every_way_to_change_a_file_is_noticed_within_seconds(
    tmp_path: Path, notifiers: Sequence[Callable[[], Notifier]], change: Callable[[Path], object]
) -> None:
    file = placed(tmp_path)
    with watching(tmp_path, notifiers=notifiers) as (_, looks):
        by_hand(change, file)

        assert FILE in looks.get(timeout=PATIENCE)


@pytest.mark.parametrize("notifiers", BOTH)
def test_files_that_come_with_their_directories_are_noticed(
    tmp_path: Path, notifiers: Sequence[Callable[[], Notifier]]
) -> None:
    (tmp_path / "root").mkdir()
    with watching(tmp_path, notifiers=notifiers) as (_, looks):
        by_hand(lambda file: file.parent.mkdir(parents=True), tmp_path / "root/etc/first/0.conf")
        looks.get(timeout=PATIENCE)
        by_hand(lambda file: file.write_text("x") and None, tmp_path / "root/etc/first/0.conf")

        assert FILE in looks.get(timeout=PATIENCE)


@pytest.mark.parametrize("notifiers", BOTH)
def test_a_file_in_a_directory_of_our_own_making_is_watched(
    tmp_path: Path, notifiers: Sequence[Callable[[], Notifier]]
) -> None:
    (tmp_path / "root").mkdir()
    with watching(tmp_path, notifiers=notifiers) as (watch, looks):
        with watch.own_work():
            file = placed(tmp_path)
        time.sleep(0.5)
        by_hand(lambda file: file.write_text("x"), file)

        assert FILE in looks.get(timeout=PATIENCE)


@pytest.mark.parametrize("notifiers", BOTH)
def test_what_we_do_ourselves_and_what_others_do_beside_it_is_no_notice(
    tmp_path: Path, notifiers: Sequence[Callable[[], Notifier]]
) -> None:
    file = placed(tmp_path)
    with watching(tmp_path, notifiers=notifiers) as (watch, looks):
        with watch.own_work():
            file.write_text("ours\n")
        by_hand(lambda file: file.with_name("other").write_text("x"), file)

        with pytest.raises(queue.Empty):
            looks.get(timeout=1.5)


@pytest.mark.root
def test_what_others_change_while_we_work_is_noticed_afterwards(tmp_path: Path) -> None:
    file = placed(tmp_path)
    with watching(tmp_path) as (watch, looks):
        with watch.own_work():
            file.write_text("ours\n")
            by_hand(lambda file: file.write_text("theirs\n"), file)

        assert FILE in looks.get(timeout=PATIENCE)


@pytest.mark.root
def test_who_did_it_is_told_by_program_and_user(tmp_path: Path) -> None:
    file = placed(tmp_path)
    with watching(tmp_path) as (_, looks), subprocess.Popen([sys.executable, "-c", EDIT, file]):
        who = looks.get(timeout=PATIENCE)[FILE]

    assert who.startswith(f"{Path(sys.executable).resolve()} (uid {os.getuid()}")


@pytest.mark.root
def test_the_report_says_who_changed_what_was_put_back(tmp_path: Path) -> None:
    file = placed(tmp_path, "somebody = else\n")
    provider = FileProvider("first", [LEVEL])
    applier = Applier(
        host=LocalHost(tmp_path / "root", program_directories=()),
        store=Store(tmp_path / "state"),
        providers=[provider],
        catalog=catalog(),
        platform="linux",
        clock=HandClock(),
    )
    applier.enforce([document(1, choice(LEVEL, "_0"))])
    held = file.read_bytes()
    reports: queue.Queue[StatusReport] = queue.Queue()
    with watching(tmp_path, provider, look=lambda seen: reports.put(applier.refresh(seen))):
        began = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", EDIT, file]):
            status = by_provider(reports.get(timeout=PATIENCE), LEVEL)["first"]
        assert time.monotonic() - began < 4

        assert status.code == "repaired"
        assert (status.reason or "").startswith("Changed by /")
        assert "(uid 0" in (status.reason or "")
        assert held.removeprefix(b"somebody = else\n") in file.read_bytes()
        with pytest.raises(queue.Empty):
            reports.get(timeout=1.5)


def test_five_steps_of_an_editor_are_one_look(tmp_path: Path) -> None:
    file = placed(tmp_path)
    with watching(tmp_path) as (_, looks):
        for step in range(5):
            by_hand(lambda file: file.write_text(str(step)), file)  # noqa: B023 - called at once
        looks.get(timeout=PATIENCE)

        with pytest.raises(queue.Empty):
            looks.get(timeout=1.5)


def test_who_changes_it_without_end_is_looked_after_farther_and_farther_apart(tmp_path: Path) -> None:
    file = placed(tmp_path)
    looked: list[float] = []
    with watching(tmp_path, notifiers=(Inotify,), look=lambda _seen: looked.append(time.monotonic())):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            by_hand(lambda file: file.write_text("again"), file)
            time.sleep(0.05)

    gaps = [later - earlier for earlier, later in itertools.pairwise(looked)]
    assert 3 <= len(looked) <= 4
    assert gaps[-1] > gaps[0] + 1


def test_a_look_that_finds_another_at_work_is_repeated(tmp_path: Path) -> None:
    file = placed(tmp_path)
    looks: queue.Queue[Seen] = queue.Queue()
    failures = [BusyError("Another one."), HostError("Broken.")]

    def look(seen: Seen) -> None:
        looks.put(seen)
        if failures:
            raise failures.pop(0)

    with watching(tmp_path, look=look):
        by_hand(lambda file: file.write_text("x"), file)
        assert FILE in looks.get(timeout=PATIENCE)
        assert FILE in looks.get(timeout=PATIENCE), "once more after BusyError"
        with pytest.raises(queue.Empty):
            looks.get(timeout=1.5)
        by_hand(lambda file: file.write_text("y"), file)
        assert FILE in looks.get(timeout=PATIENCE), "an error of a look ends nothing"


def test_a_component_that_tells_of_changes_is_listened_to(tmp_path: Path) -> None:
    program = "import time; time.sleep(0.8); print('add rule', flush=True); time.sleep(60)"
    provider = TellingProvider([sys.executable, "-c", program])
    with watching(tmp_path, provider) as (_, looks):
        assert set(looks.get(timeout=PATIENCE)) == set(provider.files())


@pytest.mark.parametrize("command", [None, ["/nonexistent/program"], ["/bin/false"]])
def test_a_component_that_tells_nothing_stops_nobody_from_watching(
    tmp_path: Path, command: Sequence[str] | None
) -> None:
    file = placed(tmp_path)
    with watching(tmp_path, TellingProvider(command), FileProvider("first", [LEVEL])) as (_, looks):
        by_hand(lambda file: file.write_text("x"), file)

        assert FILE in looks.get(timeout=PATIENCE)


def unavailable() -> Notifier:
    raise PermissionError


@pytest.mark.parametrize("notifiers", [(), (unavailable,), (unavailable, Inotify)])
def test_where_the_kernel_allows_less_there_is_less_and_no_failure(
    tmp_path: Path, notifiers: Sequence[Callable[[], Notifier]]
) -> None:
    file = placed(tmp_path)
    with watching(tmp_path, notifiers=notifiers) as (_, looks):
        by_hand(lambda file: file.write_text("x"), file)
        if Inotify in notifiers:
            assert FILE in looks.get(timeout=PATIENCE)
        else:
            with pytest.raises(queue.Empty):
                looks.get(timeout=1)


def test_a_process_that_is_gone_is_named_nobody(tmp_path: Path) -> None:
    assert culprit(4_000_000) == GONE
    own = tmp_path / "7"
    own.mkdir()
    (own / "exe").symlink_to("/usr/bin/vi\u202em (deleted)")
    (own / "status").write_text("Name:\tvim\nUid:\t0\t0\t0\t0\n")
    (own / "loginuid").write_text("1000")
    assert culprit(7, proc=tmp_path) == "/usr/bin/vi?m (uid 0, logged in as uid 1000)"


def test_nft_says_who_changed_the_tables() -> None:
    assert culprit_in(b"# new generation 5 by process 4000001 (nft)\n") == "the program nft"
    assert culprit_in(b"add table inet x\n") == ""


def test_nothing_is_left_running(tmp_path: Path) -> None:
    provider = TellingProvider(["/bin/sleep", "600"])
    before = set(Path("/proc/self/fd").iterdir())
    with watching(tmp_path, provider):
        pass
    assert len(set(Path("/proc/self/fd").iterdir()) - before) <= 2, "the pipe that wakes it alone"
