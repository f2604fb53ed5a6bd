"""Where systemd runs the machine, systemd restarts clamd: seen from a stand-in for its program."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import ClamavProvider, client, daemon
from shieldwall.agent.providers.clamav.provider import CONFIGURATION
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

PROVIDER = ClamavProvider(load())
THREADS = SettingId("linux_mdatp_managed_antivirusengine_maximumondemandscanthreads")


@dataclass(kw_only=True)
class SystemdHost:
    """A machine booted with systemd; its files lie in memory."""

    directory: Path
    has_unit: bool = True
    restart: int | None = 0
    condition: str = "yes"
    content: bytes | None = b"MaxThreads 2\n"
    calls: list[list[str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return Path("/")

    def locate(self, path: PurePosixPath) -> Path:
        return self.directory / path.relative_to("/")

    def read_file(self, path: PurePosixPath) -> bytes | None:
        return self.content if path == CONFIGURATION else None

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        raise NotImplementedError(path, content, mode)

    def find_program(self, name: str) -> str | None:
        return "/usr/bin/systemctl" if name == "systemctl" else None

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        assert not stdin
        assert timeout_seconds > 0
        self.calls.append(list(command[1:]))
        if command[1] == "cat":
            return Completed(returncode=0 if self.has_unit else 1, stdout=b"", stderr=b"")
        if command[1] == "show":
            return Completed(
                returncode=0, stdout=f"ConditionResult={self.condition}\nActiveState=inactive\n".encode(), stderr=b""
            )
        if self.restart is None:
            raise ProgramError("systemctl did not end within 180 seconds.")
        return Completed(returncode=self.restart, stdout=b"", stderr=b"Job failed.")


@pytest.fixture
def host(tmp_path: Path) -> SystemdHost:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return SystemdHost(directory=tmp_path)


def managed(content: bytes | None) -> bytes | None:
    return PROVIDER.render({CONFIGURATION: content}, {THREADS: 2}, {}).files[CONFIGURATION]


def test_a_managed_clamd_is_restarted_and_if_need_be_started(host: SystemdHost) -> None:
    host.content = managed(host.content)

    PROVIDER.activate(host)

    assert ["restart", "clamav-daemon.service"] in host.calls


def test_a_released_clamd_is_restarted_only_where_it_runs(host: SystemdHost) -> None:
    PROVIDER.activate(host)

    assert ["try-restart", "clamav-daemon.service"] in host.calls


@pytest.mark.parametrize("restart", [1, None])
def test_a_restart_that_fails_is_an_error(host: SystemdHost, restart: int | None) -> None:
    host.restart = restart

    with pytest.raises(ProviderError, match="systemctl"):
        PROVIDER.activate(host)


def test_a_clamd_that_waits_for_definitions_is_no_failure_and_holds_nobody_up(
    host: SystemdHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.content = managed(b"LocalSocket /run/clamav/clamd.ctl\n")
    host.condition = "no"
    monkeypatch.setattr(daemon, "_wait_for_answer", lambda _path: pytest.fail("nobody answers before there are any"))

    PROVIDER.activate(host)
    (seen,) = PROVIDER.observe(host, {THREADS: 2}).values()

    assert (seen.effective, seen.code) == (False, "engineNotRunning")
    assert "definitions" in seen.reason


def test_without_the_unit_or_without_systemd_nothing_is_asked_of_it(host: SystemdHost) -> None:
    host.has_unit = False
    PROVIDER.activate(host)
    assert host.calls[0] == ["cat", "clamav-daemon.service"]
    assert not [call for call in host.calls if "restart" in call[0]]

    host.locate(PurePosixPath("/run/systemd/system")).rmdir()
    assert not daemon.runs_under_systemd(host)


def test_a_clamd_without_a_unit_gets_one_of_its_own_and_is_no_child_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = SystemdHost(directory=tmp_path, has_unit=False)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    programs = {"systemctl": "/usr/bin/systemctl", "systemd-run": "/usr/bin/systemd-run"}
    monkeypatch.setattr(SystemdHost, "find_program", lambda _self, name: programs.get(name))

    daemon.start(host, Path("/opt/clamd"), b"")

    ours = f"--config-file={host.locate(CONFIGURATION)}"
    assert host.calls == [
        ["--quiet", "--collect", "--service-type=forking", "--", "/opt/clamd", ours, "--foreground=no"]
    ]


@pytest.mark.parametrize("alive", [True, False])
def test_the_answer_alone_says_whether_a_clamd_runs_whose_starter_waits_for_ever(
    host: SystemdHost, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    def never_ends(*_arguments: object, **_options: object) -> Completed:
        raise ProgramError("/opt/clamd did not end within 180 seconds.")

    monkeypatch.setattr(SystemdHost, "run", never_ends)
    monkeypatch.setattr(systemd, "apart", lambda _host: ())
    monkeypatch.setattr(client, "is_alive", lambda _path: alive)
    content = b"LocalSocket /run/clamav/clamd.ctl\n"

    with contextlib.nullcontext() if alive else pytest.raises(ProviderError, match="did not end"):
        daemon.start(host, Path("/opt/clamd"), content)
