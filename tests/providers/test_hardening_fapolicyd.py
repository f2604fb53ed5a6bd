"""fapolicyd: laws, the order of rules, and the real daemon in namespaces of its own saying no to programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import strategies as st
from tests.support.fapolicyd import COVERED, machine_with_fapolicyd, stand_in, stop
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
from tests.support.places_to_cover import places_to_cover
from tests.support.private_namespaces import execution, mount, privately
from tests.support.provider_conformance import ProviderConformance
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.base import Desired, Files
from shieldwall.agent.providers.hardening import FapolicydProvider
from shieldwall.agent.providers.hardening.fapolicyd import (
    COMPILED,
    CONFIGURATION,
    ENABLED,
    RULES,
    STARTED,
    FapolicydError,
)
from shieldwall.agent.providers.hardening.systemd import UnitError

PROVIDER = FapolicydProvider(catalog())
HERE: Files = {CONFIGURATION: b"permissive = 0\n", PurePosixPath("/etc/debian_version"): b"12.5\n"}
INTERPRETER = f"{Path(sys.executable).resolve().parent}/"
EXECUTABLES = "blockUntrustedExecutables"


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, {CONFIGURATION: st.none() | st.just(b"permissive = 0\n")})
    desired = desired_of(PROVIDER)


def lines(desired: Desired, files: Files = HERE) -> list[str]:
    return (PROVIDER.render(files, desired, {}).files[RULES] or b"").decode().splitlines()


def place(found: list[str], start: str) -> int:
    return next(number for number, line in enumerate(found) if line.startswith(start))


def test_what_is_denied_stands_before_what_is_only_written_down() -> None:
    found = lines({**modes(**{EXECUTABLES: "block"}, blockUntrustedScripts="audit", blockUntrustedLibraries="block")})

    last_denied = max(number for number, line in enumerate(found) if line.startswith("deny"))
    assert place(found, "allow_syslog") > last_denied
    assert found[-1] == "allow perm=any all : all"


def test_rules_of_others_count_after_ours_and_are_not_let_past() -> None:
    theirs = {**HERE, ENABLED: b"[Unit]\n"}

    found = lines(modes(**{EXECUTABLES: "block"}), theirs)
    audited = PROVIDER.render(theirs, modes(**{EXECUTABLES: "audit"}), {})

    assert "allow perm=any all : all" not in found
    assert "deny_syslog perm=execute all : trust=0" in found
    assert not any(line.startswith("allow perm=execute all : dir=/usr") for line in found)
    assert codes(audited, [setting(EXECUTABLES)]) == ["rulesOfOthers"]
    assert audited.files.get(RULES) is None


def test_where_packages_are_known_trust_decides() -> None:
    found = lines(modes(**{EXECUTABLES: "block"}), {CONFIGURATION: b"trust = rpmdb,file\n"})

    assert "deny_syslog perm=execute all : trust=0" in found


def test_without_fapolicyd_or_systemd_it_says_engine_unavailable() -> None:
    rendered = PROVIDER.render({}, modes(**{EXECUTABLES: "block"}), {})
    support = PROVIDER.support(MemoryHost(), setting(EXECUTABLES))

    assert codes(rendered, [setting(EXECUTABLES)]) == ["engineUnavailable"]
    assert support is not None
    assert not support.applicable
    assert support.reason.startswith("Engine unavailable: fapolicyd is run by systemd")


def test_exclusions_that_cannot_be_said_and_units_are_refused_one_by_one() -> None:
    services = setting("blockShellFromNetworkServices", "services")
    wanted = {
        **modes(**{EXECUTABLES: "block"}, blockShellFromNetworkServices="block"),
        **exclusions(EXECUTABLES, "/srv/tools", "/srv/a b", "/home/*/bin", "/srv/all/*", "/"),
        services: ("shop.service",),
        EXCLUSIONS: ("/opt/agent",),
    }
    rendered = PROVIDER.render(HERE, wanted, {})

    refused = rendered.rejected[setting(EXECUTABLES, "perruleexclusions")]
    assert [item.item for item in refused] == ["/srv/a b", "/home/*/bin", "/"]
    assert codes(rendered, [services]) == ["unitsUnknown"]
    found = (rendered.files[RULES] or b"").decode()
    for said in ("path=/srv/tools\n", "dir=/srv/tools/\n", "dir=/srv/all/\n", "dir=/opt/agent/\n"):
        assert f"allow perm=execute all : {said}" in found


def test_credentials_are_audited_without_fapolicyd() -> None:
    rendered = PROVIDER.render({AUDITD: b""}, modes(blockCredentialAccess="audit"), {})

    assert rendered.files[RULES] is None if RULES in rendered.files else True
    found = (rendered.files[PROVIDER.audit_file] or b"").decode()
    assert "-a always,exit -F path=/etc/shadow -F perm=r -F key=shieldwall_blockCredentialAccess" in found
    assert found.index("exe=/usr/sbin/sshd") < found.index("-a always,exit -F path=/etc/shadow")


def with_daemon(check: Callable[[], None]) -> None:
    def guarded() -> None:
        try:
            check()
        finally:
            stop()

    with places_to_cover(*COVERED):
        privately(guarded)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True, env=environment or None, timeout=20)


@pytest.mark.root
@pytest.mark.fapolicyd
def test_programs_that_no_package_installed_do_not_run_until_we_let_go() -> None:
    def check() -> None:
        host = machine_with_fapolicyd()
        Path("/home/allowed").mkdir()
        wanted = {
            **modes(**{EXECUTABLES: "block"}),
            **exclusions(EXECUTABLES, "/home/allowed", "/run/programs", INTERPRETER),
        }
        assert execution(Path("/home")) == 0

        rendered = apply(host, PROVIDER, wanted)

        assert execution(Path("/home")) == 126
        assert execution(Path("/home/allowed")) == 0
        assert run("/usr/bin/true").returncode == 0
        assert PROVIDER.observe(host, wanted)[setting(EXECUTABLES)].effective is True
        assert PROVIDER.product_version(host) == "running"

        stop()
        assert PROVIDER.observe(host, wanted)[setting(EXECUTABLES)].code == "engineBlind"
        PROVIDER.activate(host)
        assert execution(Path("/home")) == 126

        apply(host, PROVIDER, {}, rendered.kept)
        assert execution(Path("/home")) == 0
        assert PROVIDER.product_version(host) == "notRunning"
        assert host.read_file(STARTED) is None
        assert host.read_file(RULES) is None

    with_daemon(check)


@pytest.mark.root
@pytest.mark.fapolicyd
def test_audited_programs_run_and_are_written_down() -> None:
    def check() -> None:
        host = machine_with_fapolicyd()
        apply(host, PROVIDER, modes(**{EXECUTABLES: "audit"}))
        assert execution(Path("/home")) == 0
        compiled = Path("/etc/fapolicyd/compiled.rules").read_text()
        assert "allow_syslog perm=execute all : all" in compiled

    with_daemon(check)


@pytest.mark.root
@pytest.mark.fapolicyd
def test_scripts_are_refused_by_their_interpreters_and_libraries_by_the_loader() -> None:
    def check() -> None:
        host = machine_with_fapolicyd()
        Path("/home/dev").mkdir()
        for directory in ("/home", "/home/dev"):
            execution(Path(directory))
        library = next(Path("/usr/lib").glob("*/libz.so.1")).resolve()
        shutil.copy(library, "/home/evil.so")
        wanted = {
            **modes(blockUntrustedScripts="block", blockUntrustedLibraries="block"),
            **exclusions("blockUntrustedScripts", "/home/dev"),
        }
        assert b"evil" not in run("/usr/bin/true", LD_PRELOAD="/home/evil.so").stderr

        apply(host, PROVIDER, wanted)

        assert run("/bin/sh", "/home/canary").returncode == 2
        assert run("/bin/sh", "/home/dev/canary").returncode == 0
        assert run("/usr/bin/cat", "/home/canary").returncode == 0  # reading is not running
        assert b"/home/evil.so" in run("/usr/bin/true", LD_PRELOAD="/home/evil.so").stderr

    with_daemon(check)


@pytest.mark.root
@pytest.mark.fapolicyd
def test_a_web_server_starts_no_shell_and_passwords_are_read_by_those_who_must() -> None:
    def check() -> None:
        host = machine_with_fapolicyd()
        stand_in("/usr/bin/dash", "/usr/sbin/nginx")
        stand_in("/usr/bin/dash", "/usr/bin/bash")
        stand_in("/etc/shadow", "/etc/shadow")
        wanted = {
            **modes(blockShellFromNetworkServices="block", blockCredentialAccess="block"),
            **exclusions("blockCredentialAccess", "/usr/bin/head"),
        }
        shell = ("/usr/sbin/nginx", "-c", "/usr/bin/bash -c 'exit 0'; exit $?")
        assert run(*shell).returncode == 0
        assert run("/usr/bin/cat", "/etc/shadow").returncode == 0

        apply(host, PROVIDER, wanted)

        assert run(*shell).returncode == 126
        assert run("/usr/bin/dash", "-c", "/usr/bin/bash -c 'exit 0'").returncode == 0
        assert run("/usr/bin/cat", "/etc/shadow").returncode == 1
        assert run("/usr/bin/head", "/etc/shadow").returncode == 0
        assert b"cannot open" not in run("/usr/sbin/pwck", "-r", "/etc/passwd", "/etc/shadow").stderr
        seen = PROVIDER.observe(host, wanted)
        assert seen[setting("blockCredentialAccess")].effective is True
        assert seen[setting("blockShellFromNetworkServices")].effective is True

    with_daemon(check)


@pytest.mark.parametrize(
    ("compiled", "code"),
    [
        (lambda ours: b"## made from others\n%langs=x\n" + ours + b"deny perm=any all : all\n", ""),
        (lambda ours: ours.replace(b"\n", b"\n\n"), ""),
        (lambda ours: ours[: len(ours) // 2], "rulesNotCompiled"),
        (lambda ours: ours.replace(b"dir=/tmp/", b"dir=/elsewhere/", 1), "rulesNotCompiled"),
        (lambda _ours: b"", "rulesNotCompiled"),
        (lambda _ours: None, "rulesNotCompiled"),
    ],
    ids=["among others", "with empty lines", "half of it", "of another policy", "empty", "gone"],
)
def test_the_first_rule_alone_proves_nothing_of_the_others(
    compiled: Callable[[bytes], bytes | None], code: str
) -> None:
    """fagenrules ends well on a disk without room, and leaves half of the rules, or those of before."""
    wanted = modes(blockUntrustedScripts="block")
    rendered = PROVIDER.render(HERE, wanted, {})
    ours = rendered.files[RULES] or b""
    found = {**rendered.files, COMPILED: compiled(ours)}

    def cksum(_words: Sequence[str], _stdin: bytes) -> Completed:
        return Completed(returncode=1, stdout=b"", stderr=b"cksum: Operation not permitted\n")

    files = {path: content for path, content in found.items() if content is not None}
    host = MemoryHost(files, programs={"cksum": cksum})

    seen = PROVIDER.observe(host, wanted)[setting("blockUntrustedScripts")]

    assert (seen.effective, seen.code) == (not code, code)


def test_a_package_that_is_gone_keeps_nobody_from_letting_go() -> None:
    asked: list[str] = []
    is_there = True

    def systemctl(words: Sequence[str], _stdin: bytes) -> Completed:
        asked.append(words[0])
        is_fine = is_there or words[0] == "daemon-reload"
        return Completed(returncode=0 if is_fine else 5, stdout=b"", stderr=b"" if is_fine else b"Unit not loaded.")

    host = SystemdHost(programs={"systemctl": systemctl})
    host.files |= {path: content for path, content in HERE.items() if content is not None} | {STARTED: b""}
    rendered = apply(host, PROVIDER, modes(blockUntrustedScripts="block"))
    is_there = False
    del host.files[CONFIGURATION]

    apply(host, PROVIDER, {}, rendered.kept)

    assert "stop" in asked
    assert STARTED not in host.files
    host.files[STARTED], is_there = b"", True
    host.programs["systemctl"] = lambda words, _: Completed(returncode=int(words[0] == "stop"), stdout=b"", stderr=b"")
    with pytest.raises(UnitError):
        PROVIDER.activate(host)
    assert STARTED in host.files


@pytest.mark.root
@pytest.mark.fapolicyd
def test_rules_that_were_not_put_together_for_want_of_room_are_no_success() -> None:
    """Anybody may fill /tmp."""

    def check() -> None:
        host = machine_with_fapolicyd()
        Path("/home/script").write_text("#!/bin/sh\nexit 0\n")
        Path("/home/script").chmod(0o755)
        first = modes(blockShellFromNetworkServices="block")
        rendered = apply(host, PROVIDER, first)
        assert PROVIDER.observe(host, first)[setting("blockShellFromNetworkServices")].effective is True
        mount("-t", "tmpfs", "-o", "nr_inodes=2", "full", "/tmp")
        Path("/tmp/file").touch()
        both = {**first, **modes(blockUntrustedScripts="block")}

        apply(host, PROVIDER, both, rendered.kept)

        assert run("/home/script").returncode == 0
        seen = PROVIDER.observe(host, both)
        assert {(each.effective, each.code) for each in seen.values()} == {(False, "rulesNotCompiled")}
        Path("/tmp/file").unlink()
        PROVIDER.activate(host)
        assert {each.effective for each in PROVIDER.observe(host, both).values()} == {True}

    with_daemon(check)


@pytest.mark.root
@pytest.mark.fapolicyd
def test_nobody_is_locked_out() -> None:
    def check() -> None:
        host = machine_with_fapolicyd()
        with pytest.raises(FapolicydError, match="would not run any more"):
            apply(host, PROVIDER, modes(**{EXECUTABLES: "block"}))  # this interpreter lies where users may write
        assert execution(Path("/home")) == 0

        theirs = machine_with_fapolicyd(enabled_by_others=True)
        with pytest.raises(FapolicydError, match="does not run"):
            apply(theirs, PROVIDER, modes(blockUntrustedScripts="block"))

    with_daemon(check)
