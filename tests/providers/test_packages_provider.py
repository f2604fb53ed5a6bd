"""Updates of packages in a window: what is written, and what the real apt and systemd make of it."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.packages import PackagesProvider
from shieldwall.agent.providers.packages import plan as plans
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState

CATALOG = load()
PROVIDER = PackagesProvider(CATALOG)
ON: Desired = {plans.FEATURE: f"{plans.FEATURE}_enabled"}
_VERSIONS = st.sampled_from(["1.4.6+dfsg-0+deb12u1", "1.4*", "", "1 2", "*", "1.0\nPin: release *"])


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries({path: st.none() | st.just(b"somebody else's\n") for path in plans.FILES})
    desired = st.builds(
        lambda others, fixed: {**others, **fixed},
        desired_settings(CATALOG, [name for name in plans.SUPPORTED if name != plans.FIXED]),
        st.fixed_dictionaries({}, optional={plans.FIXED: _VERSIONS}),
    )


def choice(setting: SettingId, suffix: int | str) -> dict[SettingId, Any]:
    return {setting: f"{setting}_{suffix}"}


def rendered(desired: Desired) -> dict[PurePosixPath, str]:
    files = PROVIDER.render({}, desired, {}).files
    return {path: content.decode() for path, content in files.items() if content is not None}


@pytest.mark.parametrize(
    ("desired", "moment", "spread"),
    [
        ({}, "*-*-* 00:00:00", 14_400),
        (choice(plans.START, 22) | choice(plans.END, 2), "*-*-* 22:00:00", 7200),
        (choice(plans.START, 22) | choice(plans.END, 23), "*-*-* 22:00:00", 1800),
        (choice(plans.START, 3) | choice(plans.END, "every"), "*-*-* 03:00:00", 14_400),
        (choice(plans.WEEKDAY, 0) | choice(plans.START, 4), "Sun *-*-* 04:00:00", 14_400),
        (choice(plans.WEEKDAY, 6) | choice(plans.DAY, 9), "Sat *-*-09 00:00:00", 14_400),
        (choice(plans.MONTH, 0) | choice(plans.DAY, 31), "*-01-31 00:00:00", 14_400),
        (choice(plans.MONTH, 11), "*-12-* 00:00:00", 14_400),
    ],
)
def test_the_window_is_the_one_that_the_policy_says(desired: Desired, moment: str, spread: int) -> None:
    timer = rendered({**ON, **desired})[plans.TIMER_FILE]

    assert f"OnCalendar={moment}\nRandomizedDelaySec={spread}\n" in timer
    done = subprocess.run(["systemd-analyze", "calendar", moment], check=True, capture_output=True, text=True)
    assert f"Normalized form: {moment}\n" in done.stdout
    assert "Next elapse: never" not in done.stdout


def test_a_day_that_never_comes_is_refused() -> None:
    made = PROVIDER.render({}, {**ON, **choice(plans.MONTH, 1), **choice(plans.DAY, 30)}, {})

    assert made.rejected[plans.DAY][0].code == "noSuchDay"
    assert "OnCalendar=*-02-* 00:00:00\n" in (made.files[plans.TIMER_FILE] or b"").decode()


def test_versions_that_no_repository_keeps_are_not_applicable() -> None:
    for word in ("n1", "n2"):
        made = PROVIDER.render({}, {**ON, **choice(plans.VERSION, word)}, {})
        assert made.rejected[plans.VERSION][0].state is SettingState.NOT_APPLICABLE
        assert made.files[plans.PIN] is None


def test_a_fixed_version_has_to_be_one() -> None:
    fixed = choice(plans.VERSION, "fixed")
    none = PROVIDER.render({}, {**ON, **fixed}, {}).rejected
    wrong = PROVIDER.render({}, {**ON, **fixed, plans.FIXED: "1.0\nPin: release *"}, {})

    assert {setting: items[0].code for setting, items in none.items()} == {plans.VERSION: "noVersion"}
    assert {items[0].code for items in wrong.rejected.values()} == {"noVersion", "invalidVersion"}
    assert wrong.files[plans.PIN] is None


def test_while_the_controls_are_off_nothing_is_held() -> None:
    assert set(rendered({**choice(plans.FEATURE, "disabled"), **choice(plans.DAY, 3)})) == {plans.POLICY}


class Debian:
    """A root of apt with a repository of three versions, of which the middle one is installed."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self._repository = directory / "repository"
        for name in ("etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/sources.list.d", "var/lib/dpkg"):
            (self.root / name).mkdir(parents=True)
        for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
            (self.root / name).mkdir(parents=True)
        self._repository.mkdir()
        entries = [self._package(name, version) for name in ("clamav-daemon", "other") for version in "123"]
        (self._repository / "Packages").write_text("\n".join(entries))
        (self.root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{self._repository} ./\n")
        status = (self._fields(name, "2") + "Status: install ok installed\n" for name in ("clamav-daemon", "other"))
        (self.root / "var/lib/dpkg/status").write_text("\n".join(status))
        assert self.run(["apt-get", "-qq", "update"]).returncode == 0

    def _package(self, name: str, version: str) -> str:
        tree = self._repository / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(self._fields(name, version))
        file = self._repository / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, file], check=True, capture_output=True)
        shutil.rmtree(tree)
        digest, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
        return self._fields(name, version) + f"Filename: ./{file.name}\nSize: {size}\nSHA256: {digest}\n"

    @staticmethod
    def _fields(name: str, version: str) -> str:
        return f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: x\n"

    def write(self, desired: Desired) -> str:
        """Write the files for ``desired`` under the root; return the unit that updates."""
        for path, content in PROVIDER.render({}, desired, {}).files.items():
            LocalHost(self.root).write_file(path, content)
        return (LocalHost(self.root).read_file(plans.SERVICE_FILE) or b"").decode()

    def run(self, words: Sequence[str], bound: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run apt on this root; with ``bound`` in mounts of its own, as systemd makes them for the unit."""
        status = f"Dir::State::status={self.root}/var/lib/dpkg/status"
        command = [words[0], "-o", f"Dir={self.root}", "-o", status, "-o", "APT::Sandbox::User=root", *words[1:]]
        if bound is not None:
            source, _, target = bound.partition(":")
            mount = f'mount --bind "{self.root}{source}" "{self.root}{target}" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", mount, "sh", *command]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)

    def changes(self, said: str) -> list[str]:
        return [line for line in said.splitlines() if line.startswith("Inst ")]

    def in_window(self, unit: str) -> list[str]:
        """Do what the unit does, as a simulation; return what apt would install."""
        starts = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
        command = next(line for line in starts if " install " in line).replace("$$", "$")
        bound = next(line for line in unit.splitlines() if line.startswith("BindReadOnlyPaths=")).partition("=")[2]
        words = shlex.split(command)
        done = self.run(["apt-get", "-s", *words[1:]], bound)
        assert done.returncode == 0, done.stderr
        return self.changes(done.stdout)


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path)


@pytest.mark.root
def test_outside_the_window_nobody_upgrades_the_platform_and_everybody_the_rest(debian: Debian) -> None:
    before = debian.changes(debian.run(["apt-get", "-s", "dist-upgrade"]).stdout)

    debian.write(ON)

    after = debian.changes(debian.run(["apt-get", "-s", "dist-upgrade"]).stdout)
    assert [line.split()[1] for line in before] == ["clamav-daemon", "other"]
    assert [line.split()[1] for line in after] == ["other"]


@pytest.mark.root
def test_in_the_window_the_platform_and_nothing_else_gets_the_newest_version(debian: Debian) -> None:
    (line,) = debian.in_window(debian.write(ON))

    assert line.startswith("Inst clamav-daemon [2] (3 ")


@pytest.mark.root
@pytest.mark.parametrize(
    ("version", "result"), [("1", "Inst clamav-daemon [2] (1 "), ("3*", "Inst clamav-daemon [2] (3 ")]
)
def test_a_fixed_version_is_installed_even_if_it_is_older(debian: Debian, version: str, result: str) -> None:
    unit = debian.write({**ON, **choice(plans.VERSION, "fixed"), plans.FIXED: version})

    (line,) = debian.in_window(unit)
    assert line.startswith(result)


@pytest.mark.root
def test_a_version_that_is_there_already_changes_nothing(debian: Debian) -> None:
    unit = debian.write({**ON, **choice(plans.VERSION, "fixed"), plans.FIXED: "2"})

    assert debian.in_window(unit) == []


def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    written = []
    for path, content in rendered({**ON, **choice(plans.WEEKDAY, 1)}).items():
        if path.suffix in {".service", ".timer"}:
            written.append(tmp_path / path.name)
            written[-1].write_text(content)

    words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, written)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    assert len(written) == 2
    assert (done.returncode, done.stderr) == (0, "")


def machine(candidate: str = "(none)", installed: str = "1.4.6") -> SystemdHost:
    def answer(text: str) -> Any:
        return lambda _words, _stdin: Completed(returncode=0, stdout=text.encode(), stderr=b"")

    policy = f"clamav-daemon:\n  Installed: {installed}\n  Candidate: {candidate}\n"
    programs = {"apt-get": answer(""), "apt-cache": answer(policy), "dpkg-query": answer(installed)}
    host = SystemdHost(programs=programs)
    host.properties["TimersCalendar"] = "{ OnCalendar=*-*-* 00:00:00 ; next_elapse=n/a }"
    return host


def enforce(host: SystemdHost, desired: Desired) -> None:
    for path, content in PROVIDER.render({}, desired, {}).files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)


def test_what_apt_and_systemd_say_decides() -> None:
    fixed = {**ON, **choice(plans.VERSION, "fixed"), plans.FIXED: "1.4*"}
    host = machine()
    enforce(host, fixed)
    assert {seen.effective for seen in PROVIDER.observe(host, fixed).values()} == {True}
    other = {**fixed, plans.FIXED: "1.5*"}
    assert PROVIDER.observe(host, other)[plans.FIXED].code == "waitsForWindow"

    loose = machine(candidate="1.4.7")
    enforce(loose, ON)
    assert PROVIDER.observe(loose, ON)[plans.FEATURE].code == "notHeld"

    host.properties["Result"] = "exit-code"
    assert PROVIDER.observe(host, fixed)[plans.FEATURE].code == "updateFailed"
    host.properties["TimersCalendar"] = ""
    assert PROVIDER.observe(host, fixed)[plans.FEATURE].code == "otherTimes"
    host.active.clear()
    assert PROVIDER.observe(host, fixed)[plans.FEATURE].code == "timerNotActive"
    assert PROVIDER.supervise(host, fixed) == ("shieldwall-platform-update.timer was not running and was started.",)


def test_letting_go_stops_the_timer_and_lifts_the_hold() -> None:
    host = machine()
    enforce(host, ON)
    assert host.active == {plans.TIMER}

    enforce(host, {})

    assert host.active == set()
    assert not [path for path in host.files if "shieldwall" in str(path)]


def test_it_needs_debian_and_systemd(tmp_path: Path) -> None:
    bare, real = LocalHost(tmp_path), LocalHost(tmp_path, program_directories=[Path("/usr/bin")])
    for host, word in ((bare, "Debian"), (real, "systemd")):
        support = PROVIDER.support(host, plans.FEATURE)
        assert support is not None
        assert not support.applicable
        assert word in support.reason
    assert PROVIDER.product_version(bare) is None
    supports = [PROVIDER.support(machine(), setting) for setting in plans.SUPPORTED]
    assert {support is not None and support.applicable for support in supports} == {True}
    assert PROVIDER.support(machine(), SettingId("linux_mdatp_managed_cloudservice_enabled")) is None
