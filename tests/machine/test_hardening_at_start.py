"""A machine that starts with what the providers of hardening wrote: before anybody logs in, nothing runs from /home."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.hardening import catalog, exclusions, modes
from tests.support.machine import Machine, base_tree

import shieldwall
from shieldwall.agent.providers.base import Files
from shieldwall.agent.providers.hardening import ModulesProvider, MountsProvider, SentryProvider
from shieldwall.agent.providers.hardening.irreversible import MODULES

pytestmark = [pytest.mark.root, pytest.mark.machine, pytest.mark.timeout(400)]

RULE = "blockExecutionFromWorldWritableDirectories"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    network = f"shieldwall-hardening-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", network], check=True)
    try:
        made = Machine(tmp_path_factory.mktemp("hardened"), network=network, name=network)
        with made.laid_out(base_tree()):
            (made.root / "home/ci build").mkdir()
            for files in (mounts(), modules(), sentry(made.root)):
                lay_down(made.root, files)
            made.boot()
            yield made
    finally:
        subprocess.run(["ip", "netns", "delete", network], check=True)


def mounts() -> Files:
    wanted = {**modes(**{RULE: "block"}, blockSetuidOnUserFilesystems="block"), **exclusions(RULE, "/home/ci build")}
    return MountsProvider(catalog()).render({}, wanted, {}).files


def modules() -> Files:
    wanted = {**modes(blockModuleLoading="block"), **exclusions("blockModuleLoading", "xfs")}
    rendered = ModulesProvider(catalog()).render({MODULES.path: b"0\n"}, wanted, {})
    return {path: content for path, content in rendered.files.items() if path != MODULES.path}


def sentry(root: Path) -> Files:
    """Lay the guard's program beside its files; the package is tried elsewhere, here the unit is."""
    library = root / "opt/shieldwall"
    for package in (Path(shieldwall.__file__).parent, Path(msgspec.__file__).parent):
        shutil.copytree(package, library / package.name, ignore=shutil.ignore_patterns("__pycache__", "server"))
    python = ("/usr/bin/env", "PYTHONPATH=/opt/shieldwall", "/usr/bin/python3", "-m")
    return SentryProvider(catalog(), python=python).render({}, modes(blockImpersonatedSystemTools="block"), {}).files


def lay_down(root: Path, files: Files) -> None:
    for path, content in files.items():
        if content is not None:
            place = root.joinpath(*path.parts[1:])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def runs_from(machine: Machine, directory: str) -> bool:
    machine.write(f"{directory}/canary", "#!/bin/sh\nexit 0\n", mode="0755")
    return machine.succeeds(f"{directory}/canary")


def test_directories_are_mounted_as_wanted_when_the_machine_is_up(machine: Machine) -> None:
    assert machine.is_active("shieldwall-mounts.service"), machine.journal("shieldwall-mounts.service")
    assert [runs_from(machine, place) for place in ("/home", "/tmp", "/var/tmp", "/dev/shm")] == [False] * 4
    assert runs_from(machine, "/home/ci build")
    assert runs_from(machine, "/opt")
    flags = machine.run("findmnt", "--noheadings", "--output", "VFS-OPTIONS", "--mountpoint", "/home").stdout
    assert {"noexec", "nosuid", "nodev"} <= set(flags.strip().split(","))


def test_it_was_done_before_anybody_could_log_in(machine: Machine) -> None:
    order = machine.run("systemctl", "show", "--property=Before", "shieldwall-mounts.service").stdout
    assert "sysinit.target" in order
    assert "cycle" not in machine.run("journalctl", "--no-pager", "--boot").stdout


def test_no_program_starts_under_the_name_of_a_system_tool(machine: Machine) -> None:
    assert machine.is_active("shieldwall-sentry.service"), machine.journal("shieldwall-sentry.service")
    machine.write("/opt/x/kworker", "#!/bin/sh\nexit 0\n", mode="0755")
    machine.write("/opt/x/other", "#!/bin/sh\nexit 0\n", mode="0755")
    assert machine.run("/bin/sh", "-c", "/opt/x/kworker").returncode == 126
    assert machine.succeeds("/opt/x/other")
    assert "'/opt/x/kworker'" in machine.journal("shieldwall-sentry.service")
    # A service with mounts of its own sees the same.
    apart = ("systemd-run", "--quiet", "--wait", "--collect", "--property=PrivateTmp=yes", "--", "/bin/sh", "-c")
    made = "printf '#!/bin/sh\\nexit 0\\n' > /opt/x/sshd; chmod 755 /opt/x/sshd; /opt/x/sshd"
    assert not machine.succeeds(*apart, made)
    assert machine.succeeds(*apart, "/opt/x/other")
    machine.run("systemctl", "stop", "shieldwall-sentry.service", check=True)
    assert machine.succeeds("/opt/x/kworker")
    machine.run("systemctl", "start", "shieldwall-sentry.service", check=True)


def test_the_lock_comes_after_everything_else(machine: Machine) -> None:
    verified = machine.run("systemd-analyze", "verify", "/etc/systemd/system/shieldwall-module-lock.service")
    assert "cycle" not in verified.stdout + verified.stderr
    after = machine.run("systemctl", "show", "--property=After", "shieldwall-module-lock.service").stdout
    assert "multi-user.target" in after
    started = machine.run("systemctl", "show", "--property=ConditionTimestamp", "shieldwall-module-lock.service").stdout
    assert started.strip() != "ConditionTimestamp=", "the unit was never tried"
