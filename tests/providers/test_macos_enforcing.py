"""A Mac held by the engine: written, seen in effect, let go; obedient to an MDM; honest under tamper protection."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.macos import ANTIVIRUS, CATALOG, Mac, setting
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos.preferences import ATTACHED, FROM_MDM, MARK
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.macos import MacosDefenderProvider, guarded
from shieldwall.agent.providers.macos.provider import PREFIX
from shieldwall.agent.providers.tampering import BlockedByTamperProtectionError
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    PolicyDocument,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.testing.mdatp.guard import GuardedHost

POLICY = PolicyId("cccccccc-0000-4000-8000-000000000001")
WEAK = {"enabled": "false", "behaviormonitoring": "0", "enforcementlevel": "2", "scanarchives": "true"}


def policy(**options: str) -> PolicyDocument:
    return PolicyDocument(
        tenant_id=TenantId("aaaaaaaa-0000-4000-8000-000000000001"),
        policy_id=POLICY,
        revision=1,
        name="Macs",
        platforms="macOS",
        technologies="mdm,microsoftSense",
        template_id=ANTIVIRUS,
        modified_at="2026-11-23T11:00:00Z",
        catalog_version="2026.11.2",
        settings=tuple(
            ChoiceSetting(definition=setting(name), value=ChoiceValue(value=f"{PREFIX}{name}_{suffix}"))
            for name, suffix in options.items()
        ),
    )


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(root=tmp_path / "mac")


@pytest.fixture
def applier(mac: Mac, tmp_path: Path) -> Callable[..., Applier]:
    def made(host: Host | None = None) -> Applier:
        return Applier(
            host=guarded(host or mac.host),
            store=Store(tmp_path / "applier"),
            providers=(MacosDefenderProvider(CATALOG, patience_seconds=5),),
            catalog=CATALOG,
            platform="macOS",
            clock=HandClock(),
        )

    return made


def statuses(report: StatusReport) -> dict[str, SettingStatus]:
    return {status.setting.removeprefix(PREFIX): status for status in report.settings}


def test_what_a_policy_says_is_in_effect_and_gone_without_a_trace(mac: Mac, applier: Callable[..., Applier]) -> None:
    engine = applier()

    found = statuses(engine.enforce([policy(**WEAK)]))

    assert {status.state for status in found.values()} == {SettingState.SUCCEEDED}
    effective = {name: status.effective for name, status in found.items()}
    assert effective == {"enabled": True, "behaviormonitoring": True, "enforcementlevel": True, "scanarchives": None}
    assert mac.mdatp.product.effective("cloudService.enabled") == (False, "attach")
    engine.release()
    assert mac.preferences() is None
    assert mac.mdatp.product.effective("cloudService.enabled") == (True, "default")


def test_the_members_of_a_schedule_come_from_different_policies(mac: Mac, applier: Callable[..., Applier]) -> None:
    def weekly(number: int, **members: int) -> PolicyDocument:
        children = tuple(
            SimpleSetting(
                definition=setting(f"weeklyconfiguration_{name}"), value=SimpleValue(kind="integer", value=value)
            )
            for name, value in members.items()
        )
        group = GroupCollectionSetting(
            definition=setting("weeklyconfiguration"), values=(GroupValue(children=children),)
        )
        other = PolicyId(f"cccccccc-0000-4000-8000-{number:012d}")
        return replace(policy(), policy_id=other, settings=(group,))

    found = statuses(applier().enforce([weekly(1, dayofweek=8), weekly(2, timeofday=60)]))

    assert {name: status.state for name, status in found.items()} == {
        "weeklyconfiguration_dayofweek": SettingState.SUCCEEDED,
        "weeklyconfiguration_timeofday": SettingState.SUCCEEDED,
    }
    assert mac.preferences()["scheduledScan"] == {"weeklyConfiguration": {"dayOfWeek": 8, "timeOfDay": 60}}


def test_a_product_that_takes_its_time_is_waited_for(mac: Mac, applier: Callable[..., Applier]) -> None:
    mac.mdatp.behave(noticeSeconds=1.5)

    found = statuses(applier().enforce([policy(**WEAK)]))

    assert found["enabled"].effective is True


def test_a_product_that_never_heeds_its_file_is_told_of(mac: Mac, applier: Callable[..., Applier]) -> None:
    mac.mdatp.behave(noticeSeconds=3600)
    waited: list[float] = []
    now = iter(range(100))
    provider = MacosDefenderProvider(CATALOG, monotonic=lambda: float(next(now)), sleep=waited.append)
    engine = applier()
    msgspec.structs.force_setattr(engine, "providers", (provider,))

    found = statuses(engine.enforce([policy(**WEAK)]))

    assert (found["enabled"].state, found["enabled"].code) == (SettingState.ERROR, "notEffective")
    assert 0 < len(waited) < 20


def test_what_a_person_adds_meanwhile_stays(mac: Mac, applier: Callable[..., Applier]) -> None:
    engine = applier()
    engine.enforce([policy(**WEAK)])
    document = mac.preferences()
    document["userInterface"] = {"hideStatusMenuIcon": True}
    mac.put(ATTACHED, document)

    engine.release()

    assert mac.preferences() == {"userInterface": {"hideStatusMenuIcon": True}}


def test_what_a_person_changes_is_put_back(mac: Mac, applier: Callable[..., Applier]) -> None:
    engine = applier()
    engine.enforce([policy(**WEAK)])
    document = mac.preferences()
    document["cloudService"]["enabled"] = True
    mac.put(ATTACHED, document)

    found = statuses(engine.refresh())

    assert (found["enabled"].state, found["enabled"].code) == (SettingState.SUCCEEDED, "repaired")
    assert mac.preferences()["cloudService"] == {"enabled": False}


@pytest.mark.parametrize("path", FROM_MDM)
def test_an_mdm_that_comes_later_gets_the_mac(mac: Mac, applier: Callable[..., Applier], path: PurePosixPath) -> None:
    engine = applier()
    engine.enforce([policy(**WEAK)])
    mac.put(path, {"cloudService": {"enabled": True}})
    assert mac.mdatp.product.effective("cloudService.enabled") == (False, "attach"), "what we wrote outdoes an MDM"

    found = statuses(engine.refresh())

    assert {status.state for status in found.values()} == {SettingState.NOT_APPLICABLE}
    assert mac.preferences() is None
    assert mac.mdatp.product.effective("cloudService.enabled") == (True, "managed")


def test_microsofts_channel_that_comes_later_keeps_every_value_it_wrote(
    mac: Mac, applier: Callable[..., Applier]
) -> None:
    engine = applier()
    engine.enforce([policy(**WEAK)])
    theirs = {"cloudService": {"enabled": False, "cloudBlockLevel": "high"}}
    mac.put(ATTACHED, theirs)

    found = statuses(engine.refresh())
    engine.release()

    assert {status.state for status in found.values()} == {SettingState.NOT_APPLICABLE}
    assert "Microsoft's own channel" in (found["enabled"].reason or "")
    assert mac.preferences() == theirs


@pytest.mark.parametrize("how", ["refuses", "swallows"])
def test_a_write_that_tamper_protection_keeps_out_is_told_of_as_that(
    mac: Mac, applier: Callable[..., Applier], how: Literal["refuses", "swallows"]
) -> None:
    tamper_protection(mac, "block")

    found = statuses(applier(GuardedHost(host=mac.host, mdatp=mac.mdatp, how=how)).enforce([policy(**WEAK)]))

    assert {(status.state, status.code) for status in found.values()} == {
        (SettingState.ERROR, "blockedByTamperProtection")
    }
    assert mac.preferences() is None


@pytest.mark.parametrize("how", ["refuses", "swallows"])
def test_what_is_held_stays_held_when_tamper_protection_comes_and_changes_nothing(
    mac: Mac, applier: Callable[..., Applier], how: Literal["refuses", "swallows"]
) -> None:
    host = GuardedHost(host=mac.host, mdatp=mac.mdatp, how=how)
    engine = applier(host)
    engine.enforce([policy(**WEAK)])
    tamper_protection(mac, "block")

    again = statuses(engine.enforce([policy(**WEAK)]))
    other = statuses(engine.enforce([policy(enabled="true")]))

    assert {status.state for status in again.values()} == {SettingState.SUCCEEDED}
    assert other["enabled"].code == "blockedByTamperProtection"
    assert mac.preferences()["cloudService"] == {"enabled": False}


@pytest.mark.parametrize("level", ["audit", "disabled"])
def test_tamper_protection_that_only_looks_hinders_nobody(
    mac: Mac, applier: Callable[..., Applier], level: str
) -> None:
    tamper_protection(mac, level)

    found = statuses(applier(GuardedHost(host=mac.host, mdatp=mac.mdatp)).enforce([policy(**WEAK)]))

    assert {status.state for status in found.values()} == {SettingState.SUCCEEDED}


class StubbornHost(GuardedHost):
    """A disk that fails for reasons of its own."""

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        del mode, content
        raise HostError(f"{path}: Input/output error.")


def test_a_disk_that_fails_is_no_tamper_protection(mac: Mac, applier: Callable[..., Applier]) -> None:
    found = statuses(applier(StubbornHost(host=mac.host, mdatp=mac.mdatp)).enforce([policy(**WEAK)]))

    assert {status.code for status in found.values()} == {"hostFailed"}


def test_a_document_that_is_as_it_should_be_needs_no_writing(mac: Mac) -> None:
    mac.put(ATTACHED, {MARK: True})
    content = plistlib.dumps({MARK: True})
    host: DocumentHost = guarded(StubbornHost(host=mac.host, mdatp=mac.mdatp))

    host.write_file(ATTACHED, content)

    with pytest.raises(HostError, match="Input/output"):
        host.write_file(ATTACHED, None)


def test_other_files_are_written_as_ever(mac: Mac) -> None:
    host = guarded(mac.host)
    other = PurePosixPath("/Library/Preferences/other.plist")

    host.write_file(other, b"x")

    assert (host.read_file(other), mac.host.read_file(other)) == (b"x", b"x")


@pytest.mark.parametrize(
    ("name", "suffix", "effective"),
    [
        ("enforcementlevel_antivirusengine", "2", True),
        ("enforcementlevel_antivirusengine", "0", False),
        ("enforcementlevel", "1", True),
        ("enforcementlevel", "2", False),
        ("enforcementlevel_tamperprotection", "1", True),
        ("enforcementlevel_tamperprotection", "2", False),
        ("earlypreview", "false", True),
        ("earlypreview", "true", False),
        ("behaviormonitoring", "1", True),
        ("consumerexperience", "0", None),
    ],
)
def test_health_of_a_mac_as_it_comes_is_compared_with_what_is_asked(
    mac: Mac, name: str, suffix: str, effective: bool | None
) -> None:
    provider = MacosDefenderProvider(CATALOG)
    desired: Desired = {setting(name): f"{PREFIX}{name}_{suffix}"}

    (seen,) = provider.observe(mac.host, desired).values()

    assert seen.effective is effective


def test_a_daemon_that_does_not_answer_is_not_in_effect(mac: Mac) -> None:
    mac.mdatp.behave(failDaemon=True)

    (seen,) = MacosDefenderProvider(CATALOG).observe(mac.host, {setting("enabled"): f"{PREFIX}enabled_true"}).values()

    assert isinstance(seen, Observation)
    assert (seen.effective, seen.code) == (False, "engineNotAnswering")


def tamper_protection(mac: Mac, level: str) -> None:
    """Have the portal ask for a level, as for a device that says nothing of its own."""
    behaviour = mac.root / "pretend-mdatp.json"
    before: dict[str, Any] = json.loads(behaviour.read_text()) if behaviour.exists() else {}
    mac.mdatp.behave(**before, portalTamperProtection=level)


def test_the_error_names_a_way_out() -> None:
    assert "tamper protection" in BlockedByTamperProtectionError.remedy
