"""The proof: a real gate, a real clamd, and processes that open files."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.broker import Guarded, eventually, guarded
from tests.support.clamd import MARKER
from tests.support.private_mounts import in_private_mounts

from shieldwall.agent.broker import standing
from shieldwall.agent.broker.settings import Left

pytestmark = [pytest.mark.root, pytest.mark.clamav]
BAD = b"before " + MARKER


@in_private_mounts()
def test_a_threat_is_denied_and_told_of_and_a_clean_file_is_not(directory: Path) -> None:
    with guarded(directory) as system:
        bad, good = system.write("bad"), system.write("good", b"nothing")

        assert not system.opens(bad)
        assert not system.opens(bad)
        assert system.opens(good)
        eventually(system.detections)
    (found,) = system.detections()
    assert (found.threat, found.path, found.action.value) == ("Test.Marker.UNOFFICIAL", str(bad), "blocked")
    assert found.sha256 is None
    assert found.opener is not None
    assert found.opener.executable in ("/bin/cat", "/usr/bin/cat")


@in_private_mounts()
def test_no_open_leaks_from_the_moment_it_says_that_it_watches(directory: Path) -> None:
    with guarded(directory, started=False) as system:
        files = [system.write(f"bad{number}") for number in range(40)]
        system.start()

        assert [path for path in files if system.opens(path)] == []


@in_private_mounts()
def test_a_program_that_is_a_threat_is_not_executed(directory: Path) -> None:
    with guarded(directory) as system:
        program = system.write("tool", b"#!/bin/sh\n# " + MARKER + b"\nexit 0\n")
        program.chmod(0o755)

        with pytest.raises(PermissionError):
            subprocess.run([program], check=False, timeout=20)
        eventually(system.detections)
    assert system.detections()[0].reason == "It was to be executed."


@in_private_mounts()
def test_audit_lets_everything_pass_and_tells_of_it_with_the_hash(directory: Path) -> None:
    with guarded(directory, mode="audit", hashes=True) as system:
        bad = system.write("bad")

        assert system.opens(bad)
        eventually(system.detections)
        (found,) = system.detections()
        assert found.action.value == "reported"
        assert found.sha256 == hashlib.sha256(bad.read_bytes()).hexdigest()


@in_private_mounts()
def test_exclusions_hold_for_what_they_say_and_for_nothing_else(directory: Path) -> None:
    srv = f"{directory}/srv"
    left = Left(
        files=(f"{srv}/file", f"{srv}/wild/*/x", f"{srv}/below/*", f"{srv}/link"),
        folders=(f"{srv}/folder",),
        extensions=("skip",),
        processes=("head", shutil.which("tac") or ""),
    )
    with guarded(directory, left_out=left) as system:
        for name in ("file", "wild/a/x", "below/a/b", "folder/a/b", "some.skip"):
            assert system.opens(system.write(name)), name
        for name in ("file2", "wild/a/b/x", "folder2/a", "some.skipped"):
            assert not system.opens(system.write(name)), name
        bad = system.write("bad")
        assert system.opens(bad, "/usr/bin/head")
        assert system.opens(bad, "/usr/bin/tac")
        assert not system.opens(bad, "/usr/bin/tail")
        (Path(srv) / "link").symlink_to(bad)
        assert not system.opens(Path(srv) / "link")


@in_private_mounts()
def test_a_file_in_somebody_elses_mounts_cannot_wear_an_excluded_path(directory: Path) -> None:
    with guarded(directory, left_out=Left(files=("/mnt/excluded",))) as system:
        inside = system.write("jail/excluded")
        script = f"mount --bind {inside.parent} /mnt && cat /mnt/excluded"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], check=False, capture_output=True, timeout=20)

        assert b"not permitted" in done.stderr


@in_private_mounts()
def test_kinds_of_threats_are_dealt_with_as_said(directory: Path) -> None:
    with guarded(
        directory, started=False, extra="DetectPUA yes\nAlertExceedsMax yes\n", unwanted_applications="audit"
    ) as system:
        pua = b"an unwanted marker of tests"
        (directory / "var/lib/clamav/test.ndu").write_text(f"PUA.Test.Unwanted:0:*:{pua.hex()}\n")
        system.clamd.stop()
        system.clamd.start()
        system.start()
        path = system.write("pua", pua)

        assert system.opens(path)
        eventually(system.detections)
        assert system.detections()[0].action.value == "reported"
        system.configure(unwanted_applications="block")
        system.reload()
        assert not system.opens(path)
        system.configure(unwanted_applications="off")
        system.reload()
        assert system.opens(path)


@in_private_mounts()
def test_a_changed_file_is_looked_at_anew_even_when_its_time_is_forged(directory: Path) -> None:
    with guarded(directory) as system:
        path = system.write("file", b"x" * len(BAD))
        before = path.stat()
        time.sleep(0.1)
        assert system.opens(path)
        path.write_bytes(BAD)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        assert not system.opens(path)


@in_private_mounts()
def test_a_file_changed_through_memory_after_it_was_found_clean_is_denied(directory: Path) -> None:
    with guarded(directory) as system:
        path = system.write("file", b"x" * len(BAD))
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[0:1] = b"y"  # from here on the page can be written without the times of the file telling
            time.sleep(0.1)
            assert system.opens(path)
            memory[:] = BAD

            assert not system.opens(path)


@in_private_mounts()
def test_new_definitions_count_for_files_that_were_clean(directory: Path) -> None:
    with guarded(directory) as system:
        path = system.write("file", b"harmless until tomorrow")
        time.sleep(0.1)
        assert system.opens(path)
        assert system.opens(path)
        (directory / "var/lib/clamav/new.ndb").write_text(f"Test.New:0:*:{b'until tomorrow'.hex()}\n")
        system.clamd.stop()
        system.clamd.start()

        eventually(lambda: not system.opens(path))


@in_private_mounts()
def test_without_the_engine_files_are_opened_and_that_is_told_and_it_recovers(directory: Path) -> None:
    with guarded(directory) as system:
        bad = system.write("bad")
        time.sleep(0.1)
        system.clamd.stop()

        assert system.opens(bad)
        eventually(lambda: system.told("engineDown"))
        eventually(lambda: not _state(system).engine_answers)
        system.clamd.start()
        eventually(lambda: not system.opens(bad))
        eventually(lambda: system.told("engineUp"))
        eventually(lambda: _state(system).engine_answers)


@in_private_mounts()
def test_where_a_dead_engine_denies_the_systems_own_files_stay_open_so_that_it_can_come_back(directory: Path) -> None:
    with guarded(directory, when_engine_is_down="deny") as system:
        others, own = system.write("others", b"x"), system.write("own", b"x")
        os.chown(others, 65534, 65534)
        system.clamd.stop()

        assert not system.opens(others)
        assert system.opens(own)
        system.clamd.start()
        eventually(lambda: system.opens(others))


@in_private_mounts()
def test_an_engine_that_hangs_holds_nobody_for_long(directory: Path) -> None:
    with guarded(directory, deadline_seconds=2.0) as system:
        bad = system.write("bad")
        os.kill(system.clamd.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert system.opens(bad)
        assert 1.0 < time.monotonic() - started < 6.0
        eventually(lambda: system.told("tooSlow"))
        eventually(lambda: system.told("engineDown"), seconds=15)
        started = time.monotonic()
        assert system.opens(bad)
        assert time.monotonic() - started < 1.0
        os.kill(system.clamd.pid, signal.SIGCONT)
        eventually(lambda: not system.opens(bad), seconds=15)


@in_private_mounts()
def test_a_verdict_that_comes_too_late_is_told_as_what_it_is_and_counts_from_then_on(directory: Path) -> None:
    with guarded(directory, deadline_seconds=0.5) as system:
        bad = system.write("bad")
        time.sleep(0.1)
        os.kill(system.clamd.pid, signal.SIGSTOP)
        assert system.opens(bad)
        os.kill(system.clamd.pid, signal.SIGCONT)

        eventually(system.detections)
        (found,) = system.detections()
        assert (found.action.value, "only after the time" in found.reason) == ("failed", True)
        assert not system.opens(bad)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@in_private_mounts()
def test_whoever_waits_goes_on_when_it_ends_or_is_killed(directory: Path, number: signal.Signals) -> None:
    with guarded(directory, deadline_seconds=60.0) as system:
        bad = system.write("bad")
        os.kill(system.clamd.pid, signal.SIGSTOP)
        with subprocess.Popen(["/bin/cat", bad], stdout=subprocess.DEVNULL) as waiting:
            time.sleep(0.5)
            assert waiting.poll() is None
            assert system.broker is not None
            system.broker.send_signal(number)

            assert waiting.wait(5) == 0
        system.broker.wait(5)
        system.broker = None
        assert standing.holder(directory) is None


@in_private_mounts(seconds=150)
def test_a_flood_is_survived_and_nothing_bad_passes(directory: Path) -> None:
    with guarded(directory) as system:
        bad, clean = system.write("bad"), [system.write(f"clean/{number}", b"%d" % number) for number in range(200)]
        passed: list[str] = []

        def hammer() -> None:
            script = 'for f in "$0"/clean/*; do cat "$f" >/dev/null; cat "$1" 2>/dev/null && echo passed; done; true'
            done = subprocess.run(
                ["sh", "-c", script, str(directory / "srv"), str(bad)], check=True, capture_output=True, timeout=100
            )
            passed.append(done.stdout.decode())

        threads = [threading.Thread(target=hammer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert passed == [""] * 8
        assert all(system.opens(path) for path in clean[:3])
        eventually(lambda: system.told("suppressed"))
        assert len(system.detections()) == 1
        assert system.broker is not None
        assert _resident_kib(system.broker.pid) < 60_000


@in_private_mounts()
def test_the_scanner_and_the_one_that_is_spared_read_what_is_denied_to_others(directory: Path) -> None:
    with guarded(directory) as system:
        bad = system.write("bad")
        assert system.clamd.detects(bad)
        with pytest.raises(PermissionError):
            bad.read_bytes()

        standing.spare(directory, os.getpid())
        eventually(lambda: _readable(bad))
        assert not system.opens(bad)
        standing.spare(directory, None)
        eventually(lambda: not _readable(bad))


@in_private_mounts()
def test_mounts_that_come_later_are_watched_and_those_that_are_not_to_be_are_not(directory: Path) -> None:
    with guarded(directory, mute_noexec_mounts=True, unmonitored_filesystems=("ramfs",)) as system:
        for name, kind, options in (("late", "tmpfs", "rw"), ("mute", "tmpfs", "noexec"), ("ram", "ramfs", "rw")):
            (directory / "srv" / name).mkdir(parents=True)
            subprocess.run(["mount", "-t", kind, "-o", options, name, directory / "srv" / name], check=True, timeout=20)
        bad = {name: system.write(f"{name}/bad") for name in ("late", "mute", "ram")}

        eventually(lambda: str(directory / "srv/late") in _state(system).watching)
        assert {name: system.opens(path) for name, path in bad.items()} == {"late": False, "mute": True, "ram": True}


@in_private_mounts()
def test_new_settings_are_taken_without_a_gap(directory: Path) -> None:
    with guarded(directory) as system:
        bad = system.write("bad")
        stop, passed = threading.Event(), []

        def look() -> None:
            while not stop.is_set():
                passed.append(system.opens(bad))

        thread = threading.Thread(target=look)
        thread.start()
        for number in range(3):
            system.configure(left_out=Left(files=(f"/x{number}",)))
            system.reload()
        stop.set()
        thread.join()

        assert len(passed) > 3
        assert not any(passed)


@in_private_mounts()
def test_settings_that_make_no_sense_change_nothing_and_are_told_of(directory: Path) -> None:
    with guarded(directory) as system:
        bad = system.write("bad")
        (directory / "etc/shieldwall/clamav/broker.json").write_text('{"mode": "off"}')
        assert system.broker is not None
        system.broker.send_signal(signal.SIGHUP)

        eventually(lambda: system.told("fault"))
        assert not system.opens(bad)


@in_private_mounts()
def test_there_is_only_one_and_it_says_so(directory: Path) -> None:
    with guarded(directory) as system:
        command = [sys.executable, "-I", "-m", "shieldwall.agent.broker.main", "--root", str(directory), "--background"]
        second = subprocess.run(command, check=False, capture_output=True, timeout=30)

        assert second.returncode == 75
        assert b"runs already" in second.stderr
        assert not system.opens(system.write("bad"))


@in_private_mounts()
def test_odd_files_hold_nobody(directory: Path) -> None:
    with guarded(directory) as system:
        fifo = directory / "srv/fifo"
        fifo.parent.mkdir()
        os.mkfifo(fifo)
        reader = subprocess.Popen(["/bin/cat", fifo], stdout=subprocess.PIPE)
        with fifo.open("wb") as writer:
            writer.write(b"hello")
        assert reader.communicate(timeout=10)[0] == b"hello"
        deep = directory / "srv"
        os.chdir(deep)
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
        Path("bad").write_bytes(BAD)
        done = subprocess.run(["/bin/cat", "bad"], check=False, capture_output=True, timeout=10)
        assert b"not permitted" in done.stderr
        os.chdir("/")
        assert system.opens(system.write("good", b"x"))


def _state(system: Guarded) -> standing.State:
    state = standing.read(system.root)
    assert state is not None
    return state


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except PermissionError:
        return False
    return True


def _resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
