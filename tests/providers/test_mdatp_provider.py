"""Microsoft Defender as a provider, against the contract's stand-in for its program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.support.json_documents import documents
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.base import Desired, Observation, ProviderError
from shieldwall.agent.providers.mdatp import MdatpProvider, health
from shieldwall.agent.providers.mdatp.provider import ATTACHED, MANAGED
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item
from shieldwall.testing.mdatp import PretendMdatp

CATALOG = load()
PROVIDER = MdatpProvider(CATALOG)
PREFIX = "linux_mdatp_managed_"
SETTINGS = [
    setting
    for setting, definition in CATALOG.definitions.items()
    if setting.startswith(PREFIX) and not definition.depends_on
]


def setting(name: str) -> SettingId:
    return SettingId(PREFIX + name)


def choice(name: str, suffix: str) -> Desired:
    return {setting(name): PREFIX + name + "_" + suffix}


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries({MANAGED: st.none() | documents()})
    desired = desired_settings(CATALOG, SETTINGS)


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    program = PretendMdatp(root=tmp_path).install("program")
    (tmp_path / "etc/opt/microsoft/mdatp/managed").mkdir(parents=True)
    return LocalHost(tmp_path, program_directories=[program.parent])


def enforce(host: LocalHost, desired: Desired) -> None:
    rendered = PROVIDER.render({MANAGED: host.read_file(MANAGED)}, desired, {})
    for path, content in rendered.files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)


def written(desired: Desired) -> Any:
    content = PROVIDER.render({MANAGED: None}, desired, {}).files[MANAGED]
    assert content is not None
    return json.loads(content)


def exclusion(group: str, **members: str) -> Item:
    prefix = f"{PREFIX}{group}_item_"
    named = {"kind": "$type"}
    return Item(tuple(sorted((SettingId(prefix + named.get(name, name)), text) for name, text in members.items())))


def wrong(host: LocalHost, **how: object) -> None:
    PretendMdatp(root=host.root).behave(**how)


def test_every_antivirus_setting_that_lands_somewhere_is_supported(host: LocalHost) -> None:
    for name in SETTINGS:
        support = PROVIDER.support(host, name)
        assert support is not None
        assert support.applicable, name


def test_settings_without_a_published_place_and_of_others_are_told_apart(host: LocalHost) -> None:
    unknown_place = PROVIDER.support(host, SettingId("linux_advancedsettings"))

    assert unknown_place is not None
    assert not unknown_place.applicable
    assert PROVIDER.support(host, SettingId("linux_shieldwall_firewall_rules")) is None
    assert PROVIDER.support(host, SettingId("no_such_setting")) is None


def test_values_are_typed_as_the_product_wants_them() -> None:
    desired: Desired = {
        **choice("antivirusengine_enforcementlevel", "0"),
        **choice("cloudservice_enabled", "true"),
        **choice("antivirusengine_scheduledscan_dayofweek", "8"),
        setting("antivirusengine_maximumondemandscanthreads"): 4,
        setting("antivirusengine_allowedthreats"): ("One", "Two"),
    }

    assert written(desired) == {
        "antivirusEngine": {
            "allowedThreats": ["One", "Two"],
            "enforcementLevel": "real_time",
            "maximumOnDemandScanThreads": 4,
        },
        "cloudService": {"enabled": True},
        "scheduledScan": {"weeklyConfiguration": {"dayOfWeek": 8}},
    }


def test_each_kind_of_exclusion_lands_with_its_own_type() -> None:
    group = "antivirusengine_exclusions"
    kinds = f"{PREFIX}{group}_item_$type_"
    items = (
        exclusion(group, kind=kinds + "0", path="/srv/data", isdirectory=f"{PREFIX}{group}_item_isdirectory_true"),
        exclusion(group, kind=kinds + "1", extension="log"),
        exclusion(group, kind=kinds + "2", name="cat"),
    )

    assert written({setting(group): items})["antivirusEngine"]["exclusions"] == [
        {"$type": "excludedPath", "isDirectory": True, "path": "/srv/data"},
        {"$type": "excludedFileExtension", "extension": "log"},
        {"$type": "excludedFileName", "name": "cat"},
    ]


def test_a_global_exclusion_carries_its_scope_and_one_with_wildcards_is_refused() -> None:
    group = "exclusionsettings_exclusions"
    kind = f"{PREFIX}{group}_item_$type_0"
    good, bad = exclusion(group, kind=kind, path="/opt/app"), exclusion(group, kind=kind, path="/opt/*")

    rendered = PROVIDER.render({MANAGED: None}, {setting(group): (good, bad)}, {})

    content = rendered.files[MANAGED]
    assert content is not None
    assert json.loads(content)["exclusionSettings"]["exclusions"] == [
        {"$type": "excludedPath", "path": "/opt/app", "scopes": ["global"]}
    ]
    assert [(status.item, status.code) for status in rendered.rejected[setting(group)]] == [
        ("/opt/*", "invalidExclusion")
    ]
    assert PROVIDER.read(rendered.files)[setting(group)] == (good,)


def test_more_exclusions_than_the_product_takes_are_refused_one_by_one() -> None:
    group = "antivirusengine_exclusions"
    kind = f"{PREFIX}{group}_item_$type_2"
    items = tuple(exclusion(group, kind=kind, name=f"p{number}") for number in range(602))

    rendered = PROVIDER.render({MANAGED: None}, {setting(group): items}, {})

    assert [status.code for status in rendered.rejected[setting(group)]] == ["tooManyExclusions"] * 2


def test_a_file_that_cannot_be_read_is_left_alone() -> None:
    with pytest.raises(ProviderError):
        PROVIDER.render({MANAGED: b"{broken"}, choice("cloudservice_enabled", "true"), {})

    assert PROVIDER.render({MANAGED: b"{broken"}, {}, {}).files[MANAGED] == b"{broken"


def test_a_device_that_microsofts_channel_owns_is_not_fought_over(host: LocalHost) -> None:
    host.write_file(ATTACHED, b"{}")

    for name in SETTINGS:
        support = PROVIDER.support(host, name)
        assert support is not None
        assert not support.applicable
        assert "Microsoft's own channel" in support.reason


def test_without_program_and_directory_there_is_nothing_to_manage(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    support = PROVIDER.support(host, setting("cloudservice_enabled"))

    assert PROVIDER.product_version(host) is None
    assert support is not None
    assert not support.applicable


def test_what_was_enforced_is_seen_in_effect_by_the_program(host: LocalHost) -> None:
    desired: Desired = {
        **choice("antivirusengine_enforcementlevel", "0"),
        **choice("cloudservice_enabled", "false"),
        **choice("antivirusengine_behaviormonitoring", "1"),
        **choice("networkprotection_enforcementlevel", "2"),
    }
    before = {name: seen.effective for name, seen in PROVIDER.observe(host, desired).items()}

    enforce(host, desired)

    assert set(before.values()) == {False}
    assert PROVIDER.observe(host, desired) == dict.fromkeys(desired, Observation(effective=True))
    assert PROVIDER.product_version(host) == "101.25032.0008"


def test_a_managed_value_cannot_be_changed_locally(host: LocalHost) -> None:
    enforce(host, choice("cloudservice_enabled", "true"))

    done = subprocess.run(
        [host.root / "program/mdatp", "config", "cloud", "--value", "disabled"],
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert done.returncode != 0
    assert b"managed" in done.stderr


@pytest.mark.parametrize(("suffix", "effective"), [("0", False), ("1", False), ("2", True), ("3", None)], ids=str)
def test_each_enforcement_level_is_told_apart(host: LocalHost, suffix: str, effective: bool | None) -> None:
    enforce(host, choice("antivirusengine_enforcementlevel", "2"))

    (seen,) = PROVIDER.observe(host, choice("antivirusengine_enforcementlevel", suffix)).values()

    assert seen.effective is effective


def test_a_level_of_which_health_shows_only_half_is_not_claimed() -> None:
    landing = "antivirusEngine.enforcementLevel"

    seen = health.judge(landing, "on_demand", {health.REAL_TIME: False})

    assert seen.effective is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b'{"cloudEnabled": true}', True),
        (b'{"cloudEnabled": {"value": true}}', True),
        (b'{"cloudEnabled": "enabled"}', True),
        (b'{"cloudEnabled": {"value": false}}', False),
        (b'{"cloudEnabled": 1}', False),
        (b'{"cloudEnabled": null}', None),
    ],
)
def test_health_is_read_in_every_published_form(output: bytes, expected: bool | None) -> None:
    found = health.parse(output)

    assert found is not None
    assert health.judge("cloudService.enabled", True, found).effective is expected


def test_a_value_of_another_type_is_not_read_as_ours() -> None:
    enabled = setting("cloudservice_enabled")
    day = setting("antivirusengine_scheduledscan_dayofweek")

    found = PROVIDER.read(
        {MANAGED: b'{"cloudService": {"enabled": 1}, "scheduledScan": {"weeklyConfiguration": {"dayOfWeek": true}}}'}
    )

    assert enabled not in found
    assert day not in found


def test_what_health_does_not_show_is_not_claimed(host: LocalHost) -> None:
    (seen,) = PROVIDER.observe(host, choice("antivirusengine_scanarchives", "true")).values()

    assert seen.effective is None
    assert seen.reason


def test_a_daemon_that_does_not_answer_is_not_in_effect(host: LocalHost) -> None:
    wrong(host, failDaemon=True)

    (seen,) = PROVIDER.observe(host, choice("cloudservice_enabled", "true")).values()

    assert (seen.effective, seen.code) == (False, "engineNotAnswering")
    assert PROVIDER.product_version(host) == "engineNotAnswering"


class ImpatientHost(LocalHost):
    def run(self, command: Any, *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        assert timeout_seconds <= 30
        return super().run(command, stdin=stdin, timeout_seconds=0.3)


def test_a_daemon_that_is_too_slow_is_not_in_effect(host: LocalHost) -> None:
    wrong(host, slowSeconds=60)
    impatient = ImpatientHost(host.root, program_directories=[host.root / "program"])

    (seen,) = PROVIDER.observe(impatient, choice("cloudservice_enabled", "true")).values()

    assert (seen.effective, seen.code) == (False, "engineNotAnswering")


def test_health_that_is_not_json_proves_nothing(host: LocalHost) -> None:
    wrong(host, badJson=True)

    (seen,) = PROVIDER.observe(host, choice("cloudservice_enabled", "true")).values()

    assert (seen.effective, seen.code) == (None, "unreadableHealth")


def test_without_the_program_nothing_can_be_observed(host: LocalHost) -> None:
    (seen,) = PROVIDER.observe(LocalHost(host.root), choice("cloudservice_enabled", "true")).values()

    assert (seen.effective, seen.code) == (None, "programMissing")


def test_only_the_managed_file_is_ever_written() -> None:
    assert PROVIDER.files() == (PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdatp_managed.json"),)
