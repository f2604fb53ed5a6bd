"""Programs under borrowed names: laws, which names where, and the real guard in mounts of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.hardening import (
    EXCLUSIONS,
    apply,
    catalog,
    codes,
    contents_of,
    desired_of,
    exclusions,
    modes,
    setting,
)
from tests.support.memory_host import MemoryHost
from tests.support.private_namespaces import execution, mount, privately
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.hardening import SentryProvider
from shieldwall.agent.providers.hardening.sentry import UNIT
from shieldwall.agent.providers.hardening.systemd import unit_path
from shieldwall.agent.sentry.names import SYSTEM_DIRECTORIES, SYSTEM_TOOLS, pretends
from shieldwall.agent.sentry.settings import CONFIGURATION, PROBE, Settings, read, write

PROVIDER = SentryProvider(catalog())
RULE = "blockImpersonatedSystemTools"
SOURCE = Path(__file__).parents[2] / "src"


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, {})
    desired = desired_of(PROVIDER)


@given(name=st.sampled_from(sorted(SYSTEM_TOOLS)), directory=st.sampled_from(SYSTEM_DIRECTORIES))
def test_tools_in_the_directories_of_the_system_are_what_they_say(name: str, directory: str) -> None:
    assert not pretends(f"{directory}{name}", ())
    assert pretends(f"/tmp{directory}{name}", ())
    assert pretends(f"/tmp{directory}{name} (deleted)", ())
    assert not pretends(f"/tmp{directory}{name}", (f"/tmp{directory}{name}",))
    assert not pretends(f"/tmp{directory}{name}", ("/tmp",))
    assert pretends(f"/tmp{directory}{name}", ("/tm", f"/tmp{directory}{name}x"))


@given(name=st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda name: name not in SYSTEM_TOOLS))
def test_other_names_are_nobodys(name: str) -> None:
    assert not pretends(f"/home/anna/{name}", ())


def test_every_tool_of_this_machine_lies_where_it_may() -> None:
    found = [Path(place) for name in SYSTEM_TOOLS if (place := shutil.which(name, path="/usr/bin:/usr/sbin:/bin"))]

    assert len(found) > 30
    assert [path for path in found if pretends(str(path.resolve()), ())] == []


def test_patterns_are_refused_and_the_rest_reaches_the_guard() -> None:
    wanted = {**modes(**{RULE: "audit"}), **exclusions(RULE, "/opt/app/bin/ss"), EXCLUSIONS: ("/srv/*/x", "/srv/tools")}
    rendered = PROVIDER.render({}, wanted, {})

    assert read(rendered.files[CONFIGURATION] or b"") == Settings(
        mode="audit", excluded=("/opt/app/bin/ss", "/srv/tools")
    )
    assert codes(rendered, [EXCLUSIONS]) == ["pattern"]


def test_without_systemd_it_says_engine_unavailable() -> None:
    support = PROVIDER.support(MemoryHost(), setting(RULE))

    assert support is not None
    assert not support.applicable
    assert support.reason.startswith("Engine unavailable: ")


def said_by(directory: Path) -> Path:
    return directory / "said"


@contextlib.contextmanager
def guard(directory: Path, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real guard over what is mounted at a directory, and end it whatever happens."""
    file = directory / "settings.json"
    file.write_bytes(write(settings))
    command = [
        sys.executable,
        "-m",
        "shieldwall.agent.sentry.main",
        "--settings",
        str(file),
        "--within",
        str(directory),
    ]
    environment = {"PYTHONPATH": str(SOURCE)}
    with (
        said_by(directory).open("wb") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", said_by(directory).read_text()
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(10)


def starts(program: Path) -> bool:
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return subprocess.run(["/bin/sh", "-c", str(program)], check=False, capture_output=True).returncode == 0


@pytest.mark.root
def test_a_program_under_a_borrowed_name_does_not_start(tmp_path: Path) -> None:
    def check() -> None:
        mount("-t", "tmpfs", "-o", "mode=755", "place", str(tmp_path))
        allowed = tmp_path / "allowed"
        with guard(tmp_path, Settings(mode="block", excluded=(str(allowed),))):
            assert not starts(tmp_path / "sshd")
            assert not starts(tmp_path / "deep" / "kworker")
            assert starts(tmp_path / "sshd2")
            assert starts(allowed / "sshd")
            assert execution(tmp_path) == 0
            (tmp_path / "later").mkdir()
            mount("-t", "tmpfs", "-o", "mode=755", "later", str(tmp_path / "later"))
            assert eventually(lambda: not starts(tmp_path / "later" / "ps"))
        assert "impersonated system tool kept from starting" in said_by(tmp_path).read_text()
        assert starts(tmp_path / "sshd")

    privately(check)


@pytest.mark.root
def test_audit_lets_it_start_and_tells(tmp_path: Path) -> None:
    def check() -> None:
        mount("-t", "tmpfs", "-o", "mode=755", "place", str(tmp_path))
        with guard(tmp_path, Settings(mode="audit")):
            assert starts(tmp_path / "sshd")
        assert f"impersonated system tool started: '{tmp_path}/sshd'" in said_by(tmp_path).read_text()

    privately(check)


@pytest.mark.root
def test_a_guard_that_is_killed_or_hangs_holds_nobody_for_long(tmp_path: Path) -> None:
    def check() -> None:
        mount("-t", "tmpfs", "-o", "mode=755", "place", str(tmp_path))
        with guard(tmp_path, Settings(mode="block")) as process:
            os.kill(process.pid, signal.SIGSTOP)
            began = time.monotonic()
            assert starts(tmp_path / "sshd")  # held until the watchman ends the guard
            assert time.monotonic() - began < 40
            assert process.wait(5) == -signal.SIGKILL

    privately(check)


@pytest.mark.root
def test_the_provider_runs_it_and_tries_whether_it_sees(tmp_path: Path) -> None:
    def check() -> None:
        mount("-t", "tmpfs", "-o", "mode=755", "root", str(tmp_path))
        (tmp_path / "run/systemd/system").mkdir(parents=True)
        programs = tmp_path / "programs"
        programs.mkdir()
        python = f"exec env PYTHONPATH={SOURCE} {sys.executable} -m shieldwall.agent.sentry.main"
        (programs / "systemctl").write_text(
            f"""#!/bin/sh
pid=$(cat {tmp_path}/pid 2>/dev/null)
stop() {{
    [ -z "$pid" ] || {{ kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; }}
    rm -f {tmp_path}/pid
}}
case "$1" in
    is-active) [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null ;;
    stop) stop ;;
    restart)
        stop
        ({python} --settings {tmp_path}{CONFIGURATION} --within {tmp_path}) >{tmp_path}/said 2>&1 &
        echo $! >{tmp_path}/pid
        for _ in $(seq 100); do grep -q ready {tmp_path}/said && exit 0; sleep 0.1; done
        exit 1 ;;
esac
"""
        )
        (programs / "systemctl").chmod(0o755)
        host = LocalHost(tmp_path, program_directories=[programs, Path("/usr/bin")])
        wanted = {**modes(**{RULE: "block"}), EXCLUSIONS: (str(programs),)}
        try:
            rendered = apply(host, PROVIDER, wanted)
            assert PROVIDER.observe(host, wanted)[setting(RULE)].effective is True
            assert PROVIDER.product_version(host) == "running"
            apply(host, PROVIDER, {**modes(**{RULE: "audit"})}, rendered.kept)
            assert PROVIDER.observe(host, modes(**{RULE: "audit"}))[setting(RULE)].effective is True
            subprocess.run([str(programs / "systemctl"), "stop"], check=True)
            assert PROVIDER.observe(host, wanted)[setting(RULE)].code == "guardDown"
            apply(host, PROVIDER, {}, rendered.kept)
            assert host.read_file(CONFIGURATION) is None
            assert host.read_file(PROBE) is None
            assert host.read_file(unit_path(UNIT)) is None
        finally:
            subprocess.run([str(programs / "systemctl"), "stop"], check=False)

    privately(check)


def eventually(true: Callable[[], bool], *, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.root
def test_in_a_container_or_another_root_its_own_directories_count(tmp_path: Path) -> None:
    def check() -> None:
        mount("-t", "tmpfs", "-o", "mode=755", "place", str(tmp_path))
        for name in ("lower", "upper", "work", "container"):
            (tmp_path / name).mkdir()
        (tmp_path / "lower/usr/bin").mkdir(parents=True)
        shutil.copy(static_program(), tmp_path / "lower/usr/bin/ps")
        layers = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
        mount("-t", "overlay", "container", "-o", layers, str(tmp_path / "container"))
        shutil.copy(static_program(), tmp_path / "container/ps")
        inside = ("unshare", "--mount", "--root", str(tmp_path / "container"))
        with guard(tmp_path, Settings(mode="block")):
            assert run_inside(*inside, "/usr/bin/ps") == 0
            assert run_inside(*inside, "/ps") == 126
            assert run_inside("chroot", str(tmp_path / "container"), "/usr/bin/ps") == 0
            assert run_inside("chroot", str(tmp_path / "container"), "/ps") == 126

    privately(check)


def static_program() -> str:
    """Return a program that needs nothing of a file system; ldconfig is linked so, and everywhere on Debian."""
    return "/usr/sbin/ldconfig"


def run_inside(*command: str) -> int:
    done = subprocess.run([*command, "--version"], check=False, capture_output=True)
    return done.returncode
