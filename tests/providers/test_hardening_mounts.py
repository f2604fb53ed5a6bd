"""Mount flags in private mount namespaces: a program that starts, or does not, and mounts that are what they were."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest
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
from tests.support.private_namespaces import execution, mount, private_root, privately
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.hardening import MountsProvider, mounting
from shieldwall.agent.providers.hardening.mount_plan import BEFORE, MountPlan
from shieldwall.agent.providers.hardening.mountinfo import parse, visible
from shieldwall.agent.providers.hardening.mounting import MOUNTS, MountError
from shieldwall.agent.providers.hardening.mounts import SCRIPT, UDEV, UNIT
from shieldwall.agent.providers.hardening.systemd import starter_path, unit_path

PROVIDER = MountsProvider(catalog())
RULE = "blockExecutionFromWorldWritableDirectories"
OURS = Path("/etc/shieldwall")
DIRECTORIES = setting(RULE, "directories")


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, {})
    desired = desired_of(PROVIDER)


def only(*names: str) -> Desired:
    return {DIRECTORIES: tuple(f"{DIRECTORIES}_{name}" for name in names)}


def flags(host: LocalHost, path: str) -> frozenset[str]:
    mounts = visible(parse(host.read_file(MOUNTS) or b""))
    return mounts[PurePosixPath(host.locate(PurePosixPath(path)))].flags


def targets(host: LocalHost) -> list[PurePosixPath]:
    """List what is mounted, but for network namespaces: whoever deletes one of his takes its place away in ours too."""
    found = (mount.target for mount in parse(host.read_file(MOUNTS) or b""))
    return sorted(target for target in found if not target.is_relative_to("/run/netns"))


@pytest.mark.root
def test_nothing_runs_from_a_mount_and_from_a_directory_that_was_none(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        mount("-t", "tmpfs", "-o", "nosuid,noatime", "tmp", str(tmp_path / "tmp"))
        before, mounts = flags(host, "/tmp"), targets(host)
        assert (execution(tmp_path / "tmp"), execution(tmp_path / "home")) == (0, 0)
        wanted = modes(**{RULE: "block"})

        rendered = apply(host, PROVIDER, wanted)

        assert [execution(tmp_path / name) for name in ("tmp", "var/tmp", "dev/shm", "home")] == [126] * 4
        assert execution(tmp_path / "media") == 0
        assert flags(host, "/tmp") == before | {"noexec"}
        seen = PROVIDER.observe(host, wanted)[setting(RULE)]
        assert (seen.effective, seen.reason) == (True, "")

        apply(host, PROVIDER, {}, rendered.kept)

        assert [execution(tmp_path / name) for name in ("tmp", "var/tmp", "dev/shm", "home")] == [0] * 4
        assert flags(host, "/tmp") == before
        assert targets(host) == mounts
        assert host.read_file(BEFORE) is None

    privately(check)


@pytest.mark.root
def test_excluded_directories_stay_open_and_chosen_ones_alone_are_closed(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        mounts = targets(host)
        (tmp_path / "tmp/a build").mkdir()
        (tmp_path / "home/ci").mkdir()
        wanted = {
            **modes(**{RULE: "block"}),
            **only("tmp", "home"),
            **exclusions(RULE, "/tmp/a build"),
            EXCLUSIONS: ("/home/ci", "/srv/elsewhere"),
        }

        rendered = apply(host, PROVIDER, wanted)

        places = ("tmp", "tmp/a build", "home", "home/ci", "dev/shm")
        assert [execution(tmp_path / name) for name in places] == [126, 0, 126, 0, 0]
        assert not rendered.rejected
        apply(host, PROVIDER, wanted, rendered.kept)
        apply(host, PROVIDER, {**modes(**{RULE: "block"}), **only("home")}, rendered.kept)
        assert [execution(tmp_path / name) for name in places] == [0, 0, 126, 126, 0]
        apply(host, PROVIDER, {}, rendered.kept)
        assert targets(host) == mounts

    privately(check)


@pytest.mark.root
def test_a_mount_changed_by_somebody_is_seen_and_put_back(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        wanted = modes(**{RULE: "block"}, blockSetuidOnUserFilesystems="block")
        apply(host, PROVIDER, wanted)
        assert {"noexec", "nosuid", "nodev"} <= flags(host, "/home")

        mount("-o", "remount,bind,exec,suid,dev", str(tmp_path / "home"))

        seen = PROVIDER.observe(host, wanted)
        assert "/home is mounted without noexec." in seen[setting(RULE)].reason
        assert [entry.effective for entry in seen.values()] == [False, False]
        PROVIDER.activate(host)
        assert all(entry.effective for entry in PROVIDER.observe(host, wanted).values())

    privately(check)


@pytest.mark.root
def test_what_is_mounted_below_is_held_as_well_and_goes_on_when_we_let_go(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        mount("--make-shared", str(tmp_path))
        (tmp_path / "home/anna").mkdir()
        mount("-t", "tmpfs", "anna", str(tmp_path / "home/anna"))
        (tmp_path / "home/anna/letter").write_text("Dear")
        before = targets(host)

        rendered = apply(host, PROVIDER, {**modes(**{RULE: "block"}), **only("home")})
        assert execution(tmp_path / "home/anna") == 126
        assert (tmp_path / "home/anna/letter").read_text() == "Dear"

        apply(host, PROVIDER, {}, rendered.kept)
        assert (tmp_path / "home/anna/letter").read_text() == "Dear"
        assert execution(tmp_path / "home/anna") == 0
        assert targets(host) == before

    privately(check)


@pytest.mark.root
def test_one_mount_that_cannot_be_changed_undoes_no_other(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        (tmp_path / "home/odd").mkdir()
        mount("-t", "tmpfs", "odd", str(tmp_path / "home/odd"))
        programs = tmp_path / "programs"
        programs.mkdir()
        refusing = f'case "$* $PWD" in *remount*{tmp_path}/home/odd) exit 32 ;; esac; exec /usr/bin/mount "$@"'
        (programs / "mount").write_text(f"#!/bin/sh\n{refusing}\n")
        (programs / "mount").chmod(0o755)
        odd = LocalHost(tmp_path, program_directories=[programs, Path("/usr/bin")])

        apply(odd, PROVIDER, modes(**{RULE: "block"}))

        assert (execution(tmp_path / "home"), execution(tmp_path / "home/odd")) == (126, 0)
        seen = PROVIDER.observe(host, modes(**{RULE: "block"}))[setting(RULE)]
        assert (seen.effective, seen.code) == (False, "mountedOtherwise")
        assert "/home/odd is mounted without noexec." in seen.reason

    privately(check)


@pytest.mark.root
def test_a_mount_that_is_not_given_back_is_remembered_until_it_is(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        mount("-t", "tmpfs", "tmp", str(tmp_path / "tmp"))
        before = flags(host, "/tmp")
        programs = tmp_path / "programs"
        programs.mkdir()
        (programs / "mount").write_text(f'#!/bin/sh\n[ -e {tmp_path}/busy ] && exit 32; exec /usr/bin/mount "$@"\n')
        (programs / "mount").chmod(0o755)
        pressed = LocalHost(tmp_path, program_directories=[programs, Path("/usr/bin")])
        rendered = apply(pressed, PROVIDER, {**modes(**{RULE: "block"}), **only("tmp")})
        (tmp_path / "busy").touch()

        with pytest.raises(MountError, match="/tmp"):
            apply(pressed, PROVIDER, {}, rendered.kept)
        assert host.read_file(BEFORE) is not None

        (tmp_path / "busy").unlink()
        PROVIDER.activate(pressed)
        assert flags(host, "/tmp") == before
        assert host.read_file(BEFORE) is None

    privately(check)


@pytest.mark.root
def test_behind_a_link_the_flags_of_where_it_leads_count(tmp_path: Path) -> None:
    """Homes often lie elsewhere; that nothing is mounted through a link must not be called a success."""

    def check() -> None:
        host = private_root(tmp_path)
        (tmp_path / "home").rmdir()
        (tmp_path / "data/home").mkdir(parents=True)
        (tmp_path / "home").symlink_to("data/home")
        (tmp_path / "var/tmp").rmdir()
        (tmp_path / "var/tmp").symlink_to("../tmp")
        wanted = modes(**{RULE: "block"})

        apply(host, PROVIDER, wanted)

        assert execution(tmp_path / "home") == 0
        seen = PROVIDER.observe(host, wanted)[setting(RULE)]
        assert (seen.effective, seen.reason) == (False, "/home is mounted without noexec.")
        chosen = {**wanted, **only("tmp", "vartmp")}
        apply(host, PROVIDER, chosen)
        assert execution(tmp_path / "var/tmp") == 126
        assert PROVIDER.observe(host, chosen)[setting(RULE)].effective is True

    privately(check)


@pytest.mark.root
def test_a_directory_in_use_stays_usable_when_we_let_go(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        rendered = apply(host, PROVIDER, {**modes(**{RULE: "block"}), **only("home")})
        with (tmp_path / "home/open").open("w") as file:
            apply(host, PROVIDER, {}, rendered.kept)
            file.write("still here")
            assert execution(tmp_path / "home") == 0
        assert (tmp_path / "home/open").read_text() == "still here"

    privately(check)


@pytest.mark.root
def test_the_script_for_the_next_start_does_the_same_and_is_undone_by_the_agent() -> None:
    def check() -> None:
        # The script speaks about the machine's own paths, so they are covered, for this process alone.
        for place in ("/run", "/home", "/etc/systemd/system", str(OURS)):
            mount("-t", "tmpfs", "-o", "mode=755", "cover", place)
        Path("/home/a 'b'").mkdir()
        host = LocalHost(Path("/"))
        desired = {**modes(**{RULE: "block"}), **only("home"), **exclusions(RULE, "/home/a 'b'")}
        rendered = PROVIDER.render(dict.fromkeys(PROVIDER.files()), desired, {})
        for path in (SCRIPT, PROVIDER.memory):
            host.write_file(path, rendered.files[path])

        for _ in range(2):
            subprocess.run(["/bin/sh", str(SCRIPT)], check=True)
        assert (execution(Path("/home")), execution(Path("/home/a 'b'"))) == (126, 0)
        assert PROVIDER.observe(host, desired)[setting(RULE)].effective

        host.write_file(PROVIDER.memory, None)
        PROVIDER.activate(host)
        assert execution(Path("/home")) == 0
        assert host.read_file(BEFORE) is None

    with places_to_cover(OURS):
        privately(check)


@pytest.mark.root
def test_a_process_with_mounts_of_its_own_has_systemd_do_it() -> None:
    def check() -> None:
        for place in ("/run", "/home"):
            mount("-t", "tmpfs", "-o", "mode=755", "cover", place)
        Path("/run/systemd/system").mkdir(parents=True)
        programs = Path("/run/programs")
        programs.mkdir()
        # What it is asked to run is run here, so that the words are known to be whole.
        for name, line in (
            ("systemd-run", 'while [ $1 != -- ]; do shift; done; shift; echo "$*" >> /run/asked; "$@"'),
            ("systemctl", ":"),
        ):
            (programs / name).write_text(f"#!/bin/sh\n{line}\n")
            (programs / name).chmod(0o755)
        host = LocalHost(Path("/"), program_directories=[programs, Path("/usr/bin")])
        assert mounting.mounts_file(host) == mounting.MOUNTS_OF_INIT

        mounting.reconcile(host, MountPlan(flags={PurePosixPath("/home"): frozenset({"noexec"})}))

        asked = Path("/run/asked").read_text().splitlines()
        # The machine itself has no mount there.
        assert asked[0].endswith(" sh /home /usr/bin/mount --no-canonicalize --rbind . .")

    privately(check)


@pytest.mark.root
def test_mounts_of_the_machine_are_watched() -> None:
    def check() -> None:
        directory = Path("/home")
        watching = subprocess.Popen(
            ["findmnt", "--poll", "--task", "1", "--noheadings", "--timeout", "300"], stdout=subprocess.PIPE
        )
        assert watching.wait(20) in {0, 1}
        assert directory.is_dir()

    command = PROVIDER.monitor(LocalHost(Path("/")))
    assert command is not None
    assert command[1:4] == ["--poll", "--task", "1"]
    privately(check)


@pytest.mark.root
def test_a_stick_is_held_unless_it_is_excluded_or_the_system_runs_from_it(tmp_path: Path) -> None:
    def check() -> None:
        host = private_root(tmp_path)
        places = ("media/stick", "media/backup", "opt/app", "srv/disk")
        devices: dict[str, str] = {}
        for place in places:
            (tmp_path / place).mkdir(parents=True)
            mount("-t", "tmpfs", "disk", str(tmp_path / place))
            found = visible(parse(host.read_file(MOUNTS) or b""))[PurePosixPath(tmp_path / place)]
            devices[place] = found.device
        for place in places:
            disk = (
                tmp_path
                / "sys/devices"
                / ("usb1/block/sdb/sdb1" if place == "media/stick" else f"block/{devices[place]}")
            )
            disk.mkdir(parents=True)
            (disk / "removable").write_text("0\n" if place in {"media/stick", "srv/disk"} else "1\n")
            link = tmp_path / "sys/dev/block" / devices[place]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(disk)
        rule = "blockExecutionFromRemovableStorage"
        wanted = {**modes(**{rule: "block"}), **exclusions(rule, "/media/backup")}

        rendered = apply(host, PROVIDER, wanted)

        assert [execution(tmp_path / place) for place in places] == [126, 0, 0, 0]
        assert {"noexec", "nosuid", "nodev"} <= flags(host, "/media/stick")
        assert host.read_file(UDEV) is not None
        assert PROVIDER.observe(host, wanted)[setting(rule)].effective
        apply(host, PROVIDER, {}, rendered.kept)
        assert [execution(tmp_path / place) for place in places] == [0] * 4

    privately(check)


def test_where_nothing_can_be_mounted_it_says_so() -> None:
    support = PROVIDER.support(MemoryHost(), setting(RULE))

    assert support is not None
    assert (support.applicable, support.reason) == (
        False,
        "Engine unavailable: The program mount is not on this device.",
    )


@pytest.mark.root
def test_a_directory_that_became_a_link_while_we_looked_leads_nowhere(tmp_path: Path) -> None:
    """A user may rename a folder on the way to it, between the kernel's list and the mount."""

    def check() -> None:
        private_root(tmp_path)
        host = LocalHost(tmp_path, program_directories=[Path("/usr/bin")])
        victim, place = tmp_path / "victim", tmp_path / "home/a/folder"
        victim.mkdir()
        mount("-t", "tmpfs", "victim", str(victim))
        place.parent.mkdir(parents=True)
        place.symlink_to(victim)
        before = Path("/proc/self/mountinfo").read_text()

        for words in (("--rbind", "."), ("-o", "remount,bind,noexec", "none")):
            with pytest.raises(MountError, match="another directory"):
                mounting._mount(host, PurePosixPath(place), *words)

        assert Path("/proc/self/mountinfo").read_text() == before
        mounting._mount(host, PurePosixPath(victim), "-o", "remount,bind,noexec", "none")
        assert Path("/proc/self/mountinfo").read_text() != before

    privately(check)


@pytest.mark.root
def test_a_mount_that_is_refused_is_an_error_with_the_cause(tmp_path: Path) -> None:
    def check() -> None:
        private_root(tmp_path)
        program = tmp_path / "programs"
        program.mkdir()
        (program / "mount").write_text("#!/bin/sh\necho 'mount: permission denied.' >&2\nexit 32\n")
        (program / "mount").chmod(0o755)
        refused = LocalHost(tmp_path, program_directories=[program])
        with pytest.raises(MountError, match="permission denied"):
            apply(refused, PROVIDER, modes(**{RULE: "block"}))
        assert execution(tmp_path / "tmp") == 0

    privately(check)


def test_exclusions_that_no_mount_can_express_are_refused_one_by_one() -> None:
    wanted = {
        **modes(**{RULE: "block"}),
        **exclusions(RULE, "/tmp/fine", "/opt/elsewhere", "/tmp/../etc"),
        EXCLUSIONS: ("/home/*/bin", "/home/ci"),
    }
    rendered = PROVIDER.render({}, wanted, {})

    assert [item.item for item in rendered.rejected[setting(RULE, "perruleexclusions")]] == [
        "/opt/elsewhere",
        "/tmp/../etc",
    ]
    assert codes(rendered, [EXCLUSIONS]) == ["pattern"]


def test_auditing_is_a_rule_of_auditd_and_not_offered_for_sticks() -> None:
    rule = "blockExecutionFromRemovableStorage"
    wanted = {**modes(**{RULE: "audit", rule: "audit"}), **only("tmp"), **exclusions(RULE, "/tmp/build")}

    rendered = PROVIDER.render({AUDITD: b""}, wanted, {})

    assert codes(rendered, [setting(rule)]) == ["notEnforceable"]
    lines = (rendered.files[PROVIDER.audit_file] or b"").decode().splitlines()
    assert lines[-2:] == [
        f"-a never,exit -F dir=/tmp/build -F perm=x -F key=shieldwall_{RULE}",
        f"-a always,exit -F dir=/tmp -F perm=x -F key=shieldwall_{RULE}",
    ]


def test_the_unit_runs_before_anybody_logs_in() -> None:
    rendered = PROVIDER.render({}, modes(blockSetuidOnUserFilesystems="block"), {})

    assert b"Before=sysinit.target" in (rendered.files[unit_path(UNIT)] or b"")
    assert b"Wants=shieldwall-mounts.service" in (rendered.files[starter_path("sysinit.target", UNIT)] or b"")
    assert PROVIDER.monitor(LocalHost(Path("/"))) is not None
