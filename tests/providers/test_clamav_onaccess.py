"""The proof: policies make files that are opened be looked at, and letting go ends it without a trace."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.broker import Guarded, eventually, guarded
from tests.support.clamd import MARKER
from tests.support.private_mounts import in_private_mounts

from shieldwall.agent.broker import standing
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired, Kept, Observation, ProviderError
from shieldwall.agent.providers.clamav import ClamavProvider, access, backend, canary, onaccess
from shieldwall.agent.providers.clamav.levels import Level
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState
from shieldwall.policy.values import Item

pytestmark = [pytest.mark.root, pytest.mark.clamav]

CATALOG = load()
ENGINE = "linux_mdatp_managed_antivirusengine_"
LEVEL = SettingId(ENGINE + "enforcementlevel")
REAL_TIME, ON_DEMAND, PASSIVE, AUDIT = (f"{LEVEL}_{number}" for number in range(4))
PROTECTION = SettingId(ENGINE + "enablerealtimeprotection")
PASSIVE_MODE = SettingId(ENGINE + "passivemode")
EXCLUSIONS = SettingId(ENGINE + "exclusions")
THREAT_TYPES = SettingId(ENGINE + "threattypesettings")
HASHES = SettingId(ENGINE + "enablefilehashcomputation")
NONEXEC = SettingId(ENGINE + "nonexecmountpolicy")
UNMONITORED = SettingId(ENGINE + "unmonitoredfilesystems")
PUA_BLOCK = Item(
    (
        (SettingId(f"{THREAT_TYPES}_item_key"), f"{THREAT_TYPES}_item_key_0"),
        (SettingId(f"{THREAT_TYPES}_item_value"), f"{THREAT_TYPES}_item_value_1"),
    )
)


class Managed:
    """A system of a test's own, and the provider that holds its settings."""

    def __init__(self, system: Guarded) -> None:
        self.system = system
        self.host = LocalHost(system.root, program_directories=[Path("/usr/sbin"), Path("/usr/bin"), Path("/bin")])
        self.provider = ClamavProvider(CATALOG)
        self.kept: Kept = {}
        self.rejected: dict[SettingId, list[str | None]] = {}

    def enforce(self, desired: Desired) -> dict[SettingId, Observation]:
        """Do what the engine does."""
        provider, host = self.provider, self.host
        for setting in desired:
            support = provider.support(host, setting)
            assert support is not None
            assert support.applicable, support.reason
        rendered = provider.render({path: host.read_file(path) for path in provider.files()}, desired, self.kept)
        for path, content in rendered.files.items():
            if content != host.read_file(path):
                host.write_file(path, content)
        provider.activate(host)
        self.kept = rendered.kept
        self.rejected = {
            setting: [status.code for status in statuses] for setting, statuses in rendered.rejected.items()
        }
        found = provider.read({path: host.read_file(path) for path in provider.files()})
        assert {setting for setting in desired if found.get(setting) != desired[setting]} <= set(self.rejected)
        return dict(provider.observe(host, desired))


def managed(directory: Path, extra: str = "") -> Managed:
    context = guarded(directory, started=False, extra=extra)
    system = context.__enter__()  # ended with the namespace
    (directory / "etc/shieldwall/clamav/broker.json").unlink()
    return Managed(system)


def everything(root: Path) -> dict[str, bytes]:
    """Return every file that may be left behind."""
    places = ("etc", "run", "var/lib/clamav")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for place in places
        for path in sorted((root / place).rglob("*"))
        if path.is_file()
    }


def exclusion(kind: int, **members: str) -> Item:
    named = {f"{EXCLUSIONS}_item_$type": f"{EXCLUSIONS}_item_$type_{kind}"}
    named |= {f"{EXCLUSIONS}_item_{name}": value for name, value in members.items()}
    return Item(tuple(sorted((SettingId(name), value) for name, value in named.items())))


@in_private_mounts()
def test_real_time_denies_and_letting_go_leaves_nothing(directory: Path) -> None:
    machine = managed(directory)
    before = everything(directory)
    bad, good = machine.system.write("bad"), machine.system.write("good", b"x")
    assert machine.system.opens(bad)

    seen = machine.enforce({LEVEL: REAL_TIME})
    assert seen == {LEVEL: Observation(effective=True)}
    assert not machine.system.opens(bad)
    assert machine.system.opens(good)
    eventually(machine.system.detections)
    assert [found.path for found in machine.system.detections()] == [str(bad)]  # the probe is no detection

    machine.enforce({})
    assert machine.system.opens(bad)
    assert standing.holder(directory) is None
    left = everything(directory)
    assert {name: left[name] for name in left if name != "run/shieldwall/broker.lock"} == before
    assert not (directory / "var/lib/shieldwall-applier/probe").exists()


@in_private_mounts()
def test_each_level_is_what_it_says_and_is_proved(directory: Path) -> None:
    machine = managed(directory)
    bad = machine.system.write("bad")
    for level, opens in ((AUDIT, True), (REAL_TIME, False), (ON_DEMAND, True), (REAL_TIME, False), (PASSIVE, True)):
        assert machine.enforce({LEVEL: level}) == {LEVEL: Observation(effective=True)}, level
        assert machine.system.opens(bad) is opens, level
        assert (standing.holder(directory) is not None) is (level in (AUDIT, REAL_TIME))
    eventually(lambda: any(found.action.value == "reported" for found in machine.system.detections()))


@in_private_mounts()
def test_the_older_settings_mean_the_same_and_yield_to_the_level(directory: Path) -> None:
    machine = managed(directory)
    bad = machine.system.write("bad")
    yes, no = f"{PROTECTION}_true", f"{PROTECTION}_false"
    passive = f"{PASSIVE_MODE}_true"

    assert machine.enforce({PROTECTION: yes})[PROTECTION].effective
    assert not machine.system.opens(bad)
    machine.enforce({PROTECTION: yes, PASSIVE_MODE: passive})
    assert machine.rejected == {PROTECTION: ["superseded"]}
    assert machine.system.opens(bad)
    seen = machine.enforce({LEVEL: REAL_TIME, PROTECTION: no, PASSIVE_MODE: passive})
    assert machine.rejected == {PROTECTION: ["superseded"], PASSIVE_MODE: ["superseded"]}
    assert seen[LEVEL].effective
    assert not machine.system.opens(bad)


@in_private_mounts()
def test_exclusions_of_every_kind_hold_for_opens_and_for_scans(directory: Path) -> None:
    machine = managed(directory)
    srv = directory / "srv"
    flag = f"{EXCLUSIONS}_item_isdirectory_"
    items = (
        exclusion(0, path=f"{srv}/folder", isdirectory=f"{flag}true"),
        exclusion(0, path=f"{srv}/wild/*/x", isdirectory=f"{flag}false"),
        exclusion(1, extension="skip"),
        exclusion(2, name="head"),
    )
    seen = machine.enforce({LEVEL: REAL_TIME, EXCLUSIONS: items})

    assert machine.rejected == {}
    assert seen[LEVEL].effective
    for name in ("folder/a/b", "wild/a/x", "a.skip"):
        path = machine.system.write(name)
        assert machine.system.opens(path), name
        assert not machine.system.clamd.detects(path), name
    for name in ("folder2/a", "wild/a/b/x", "a.skipped"):
        path = machine.system.write(name)
        assert not machine.system.opens(path), name
        assert machine.system.clamd.detects(path), name
    bad = machine.system.write("bad")
    assert machine.system.opens(bad, "/usr/bin/head")
    assert not machine.system.opens(bad)
    machine.enforce({LEVEL: ON_DEMAND, EXCLUSIONS: items})
    assert machine.rejected == {EXCLUSIONS: ["processExclusion"]}


@in_private_mounts()
def test_to_block_is_claimed_where_opens_are_denied(directory: Path) -> None:
    machine = managed(directory)
    pua = machine.system.write("pua", canary.pua_marker())

    machine.enforce({LEVEL: ON_DEMAND, THREAT_TYPES: (PUA_BLOCK,)})
    assert machine.rejected == {THREAT_TYPES: ["detectOnly"]}
    machine.enforce({LEVEL: AUDIT, THREAT_TYPES: (PUA_BLOCK,)})
    assert machine.rejected == {THREAT_TYPES: ["detectOnly"]}
    assert machine.system.opens(pua)
    seen = machine.enforce({LEVEL: REAL_TIME, THREAT_TYPES: (PUA_BLOCK,)})
    assert machine.rejected == {}
    assert seen[THREAT_TYPES] == Observation(effective=True)
    assert not machine.system.opens(pua)


@in_private_mounts()
def test_hashes_and_mounts_are_as_policies_say(directory: Path) -> None:
    machine = managed(directory)
    (directory / "srv").mkdir()
    for name, kind, options in (("mute", "tmpfs", "noexec"), ("ram", "ramfs", "rw")):
        (directory / "srv" / name).mkdir()
        subprocess.run(["mount", "-t", kind, "-o", options, name, directory / "srv" / name], check=True, timeout=20)
    details: Desired = {HASHES: f"{HASHES}_true", NONEXEC: f"{NONEXEC}_1", UNMONITORED: ("ramfs",)}
    seen = machine.enforce({LEVEL: REAL_TIME, **details})
    bad = machine.system.write("bad", MARKER)

    assert {observation.effective for observation in seen.values()} == {True}
    assert machine.system.opens(machine.system.write("mute/bad"))
    assert machine.system.opens(machine.system.write("ram/bad"))
    assert not machine.system.opens(bad)
    eventually(machine.system.detections)
    assert machine.system.detections()[-1].sha256 == hashlib.sha256(MARKER).hexdigest()
    off = machine.enforce({LEVEL: ON_DEMAND, **details})
    assert {off[setting].code for setting in details} == {"onAccessOff"}
    bad_type = machine.enforce({LEVEL: REAL_TIME, UNMONITORED: ("ram fs",)})
    assert machine.rejected == {UNMONITORED: ["invalidFilesystem"]}
    assert bad_type[LEVEL].effective


@in_private_mounts()
def test_what_died_is_seen_and_brought_back(directory: Path) -> None:
    machine = managed(directory)
    desired: Desired = {LEVEL: REAL_TIME}
    machine.enforce(desired)
    bad = machine.system.write("bad")
    pid = standing.holder(directory)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: standing.holder(directory) is None)

    assert machine.provider.observe(machine.host, desired)[LEVEL].code == "onAccessNotRunning"
    assert machine.provider.supervise(machine.host, desired)
    assert machine.provider.observe(machine.host, desired)[LEVEL].effective
    assert not machine.system.opens(bad)
    assert machine.provider.supervise(machine.host, desired) == []

    machine.system.clamd.stop()
    assert machine.provider.observe(machine.host, desired)[LEVEL].code == "engineNotRunning"
    assert machine.provider.supervise(machine.host, desired)
    eventually(lambda: not machine.system.opens(bad))
    assert machine.provider.observe(machine.host, desired)[LEVEL].effective


@in_private_mounts()
def test_a_gate_that_hangs_is_ended_in_bounded_time_and_brought_back(directory: Path) -> None:
    machine = managed(directory)
    desired: Desired = {LEVEL: REAL_TIME}
    machine.enforce(desired)
    pid = standing.holder(directory)
    assert pid is not None
    clean = machine.system.write("clean", b"x")
    os.kill(pid, signal.SIGSTOP)

    assert access.try_to_read(["/bin/cat", str(clean)], seconds=1) is access.Met.HUNG
    started = time.monotonic()
    seen = machine.provider.observe(machine.host, desired)[LEVEL]  # opens files itself, and is held as well
    assert seen.effective is False
    assert time.monotonic() - started < 40
    assert machine.provider.supervise(machine.host, desired)
    assert standing.holder(directory) not in (None, pid)
    assert machine.provider.observe(machine.host, desired)[LEVEL].effective


@in_private_mounts()
def test_a_gate_that_does_not_block_is_not_called_effective(directory: Path) -> None:
    machine = managed(directory)
    machine.enforce({LEVEL: REAL_TIME})
    (directory / "etc/shieldwall/clamav/broker.json").write_bytes(b"{}")
    assert machine.provider.observe(machine.host, {LEVEL: REAL_TIME})[LEVEL].code == "notInEffect"
    found = machine.provider.read({path: machine.host.read_file(path) for path in machine.provider.files()})
    assert LEVEL not in found

    for level, code in ((Level.REAL_TIME, "notBlocking"), (Level.AUDIT, "notAudited")):
        machine.enforce({LEVEL: {Level.REAL_TIME: REAL_TIME, Level.AUDIT: AUDIT}[level]})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(canary, "marker", lambda: b"something harmless")
            seen = access.observe(machine.host, level, "broker")
        assert (seen.effective, seen.code) == (False, code)


@in_private_mounts()
def test_local_choices_are_taken_and_nonsense_is_refused(directory: Path) -> None:
    machine = managed(directory)
    machine.host.write_file(onaccess.LOCAL, b'{"whenEngineIsDown": "deny"}')
    machine.enforce({LEVEL: REAL_TIME})
    others = machine.system.write("others", b"x")
    shutil.chown(others, 65534)
    machine.system.clamd.stop()
    assert not machine.system.opens(others)

    machine.host.write_file(onaccess.LOCAL, b'{"backend": "magic"}')
    with pytest.raises(ProviderError, match=r"local\.json"):
        machine.enforce({LEVEL: REAL_TIME})


@in_private_mounts()
def test_without_a_socket_of_clamd_nothing_is_claimed(directory: Path) -> None:
    machine = managed(directory)
    content = b"TCPSocket 3310\n"
    rendered = machine.provider.render(
        {onaccess.CLAMONACC: None, machine.provider.files()[0]: content}, {LEVEL: REAL_TIME}, {}
    )

    (status,) = rendered.rejected[LEVEL]
    assert (status.state, status.code) == (SettingState.ERROR, "noLocalSocket")


def with_clamonacc(directory: Path) -> Managed:
    """A clamd that runs as a user of its own, as clamonacc needs it."""
    directory.chmod(0o777)
    machine = managed(directory, extra="User clamav\n")
    for folder in ("srv", "home"):
        (directory / folder).mkdir(exist_ok=True)
    machine.host.write_file(onaccess.LOCAL, b'{"backend": "clamonacc"}')
    return machine


@pytest.mark.timeout(420)
@in_private_mounts(seconds=380)  # clamonacc may hold each open for twenty seconds
def test_clamonacc_blocks_where_it_was_chosen_and_can_do_what_is_asked(directory: Path) -> None:
    machine = with_clamonacc(directory)
    free = exclusion(0, path=f"{directory}/srv/free", isdirectory=f"{EXCLUSIONS}_item_isdirectory_true")
    bad, left_out = machine.system.write("bad"), machine.system.write("free/bad")
    bad.chmod(0o600)

    seen = machine.enforce({LEVEL: REAL_TIME, EXCLUSIONS: (free,)})

    assert seen[LEVEL] == Observation(effective=True)
    assert backend.is_running(machine.host, "clamonacc")
    assert standing.holder(directory) is None
    assert not machine.system.opens(bad)
    assert machine.system.opens(left_out)
    assert machine.system.opens(machine.system.write("good", b"x"))

    desired: Desired = {LEVEL: REAL_TIME}
    backend.kill(machine.host, "clamonacc")
    assert machine.provider.observe(machine.host, desired)[LEVEL].code == "onAccessNotRunning"
    assert machine.provider.supervise(machine.host, desired)
    assert machine.provider.observe(machine.host, desired)[LEVEL].effective

    machine.enforce({LEVEL: REAL_TIME, EXCLUSIONS: (free, exclusion(2, name="head"))})
    assert not backend.is_running(machine.host, "clamonacc")
    assert standing.holder(directory) is not None
    assert machine.system.opens(bad, "/usr/bin/head")

    machine.enforce({LEVEL: REAL_TIME})
    assert backend.is_running(machine.host, "clamonacc")
    machine.enforce({})
    assert not backend.is_running(machine.host, "clamonacc")
    assert machine.system.opens(bad)
    assert not (directory / "run/shieldwall/clamonacc.watch").exists()
