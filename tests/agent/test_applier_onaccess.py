"""The applier over the real look at opens: policies to denied opens and back, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.broker import Guarded, eventually, guarded
from tests.support.policies import catalog, choice, document
from tests.support.private_mounts import in_private_mounts
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.broker import standing
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import ClamavProvider
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState, SettingStatus

pytestmark = [pytest.mark.root, pytest.mark.clamav]

ENGINE = "linux_mdatp_managed_antivirusengine_"
LEVEL = ENGINE + "enforcementlevel"
PROTECTION = ENGINE + "enablerealtimeprotection"
BROKER_SETTINGS = PurePosixPath("/etc/shieldwall/clamav/broker.json")


def prepared(directory: Path) -> tuple[Guarded, Applier]:
    system = guarded(directory, started=False).__enter__()  # ended with the namespace
    (directory / "etc/shieldwall/clamav/broker.json").unlink()
    host = LocalHost(directory, program_directories=[Path("/usr/sbin"), Path("/usr/bin"), Path("/bin")])
    applier = Applier(
        host=host,
        store=Store(directory / "var/lib/shieldwall-applier"),
        providers=[ClamavProvider(catalog())],
        platform="linux",
        catalog=catalog(),
        clock=HandClock(),
    )
    return system, applier


def by_setting(statuses: Sequence[SettingStatus]) -> dict[str, SettingStatus]:
    return {status.setting: status for status in statuses}


@in_private_mounts()
def test_a_level_is_reported_as_it_is_and_overruled_settings_say_so(directory: Path) -> None:
    system, applier = prepared(directory)
    bad = system.write("bad")

    found = by_setting(applier.enforce([document(1, choice(LEVEL, "_0"), choice(PROTECTION, "_false"))]).settings)

    level, protection = found[LEVEL], found[PROTECTION]
    assert (level.state, level.written, level.effective, level.read_back) == (
        SettingState.SUCCEEDED,
        True,
        True,
        f"{LEVEL}_0",
    )
    assert (protection.state, protection.code, protection.read_back) == (
        SettingState.NOT_APPLICABLE,
        "superseded",
        None,
    )
    assert not system.opens(bad)
    applier.release()
    assert system.opens(bad)
    assert standing.holder(directory) is None


@in_private_mounts()
def test_what_was_killed_or_changed_is_repaired_at_the_next_look(directory: Path) -> None:
    system, applier = prepared(directory)
    bad = system.write("bad")
    applier.enforce([document(1, choice(LEVEL, "_0"))])
    pid = standing.holder(directory)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: standing.holder(directory) is None)
    assert system.opens(bad)

    (status,) = applier.refresh().settings
    assert (status.state, status.effective) == (SettingState.SUCCEEDED, True), status
    assert not system.opens(bad)

    settings = applier.host.read_file(BROKER_SETTINGS)
    assert settings is not None
    applier.host.write_file(BROKER_SETTINGS, settings.replace(b'"block"', b'"audit"'))
    os.kill(standing.holder(directory) or 0, signal.SIGHUP)
    eventually(lambda: system.opens(bad))
    (status,) = applier.refresh().settings
    assert (status.state, status.code, status.effective) == (SettingState.SUCCEEDED, "repaired", True), status
    assert not system.opens(bad)


@in_private_mounts()
def test_an_engine_that_sees_nothing_is_an_error_whatever_the_files_say(directory: Path) -> None:
    system, applier = prepared(directory)
    applier.enforce([document(1, choice(LEVEL, "_0"))])
    system.clamd.stop()
    for signature in (directory / "var/lib/clamav").glob("shieldwall-canary.*"):
        signature.rename(signature.with_suffix(f"{signature.suffix}.off"))
    system.clamd.start()

    seen = applier.providers[0].observe(applier.host, {SettingId(LEVEL): f"{LEVEL}_0"})

    assert {each.code for each in seen.values()} == {"engineBlind"}
    (status,) = applier.refresh().settings  # the signatures are put back, and clamd reads them
    assert (status.state, status.effective) == (SettingState.SUCCEEDED, True), status
