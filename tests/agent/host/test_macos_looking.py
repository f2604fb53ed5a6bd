"""A Mac looked at: its facts, its ids, and who else manages it."""

from __future__ import annotations

import plistlib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.support.macos import PROGRAMS, Mac

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.looking import Looking
from shieldwall.agent.host.macos import system
from shieldwall.agent.host.macos.looking import MacosLooking
from shieldwall.agent.host.macos.preferences import ATTACHED, FROM_MDM, MARK
from shieldwall.agent.host.macos.survey import mdm
from shieldwall.agent.host.survey import MICROSOFT_CHANNEL
from shieldwall.contract.ids import TenantId
from shieldwall.testing.macos.machine import PretendMac

TENANT = TenantId("aaaaaaaa-0000-4000-8000-000000000001")
OTHER_TENANT = TenantId("aaaaaaaa-0000-4000-8000-000000000002")
INTUNE = "https://i.manage.microsoft.com/DeviceGatewayProxy/ioshandler.ashx"


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    made = Mac(root=tmp_path)
    PretendMac().install(tmp_path / PROGRAMS)
    return made


def looking(mac: Mac, **how: Any) -> MacosLooking:
    PretendMac(**how).install(mac.root / PROGRAMS)
    return MacosLooking(mac.host, seconds=lambda: 4711.0, own_processor=lambda: "x86_64")


def test_facts_are_what_the_system_says(mac: Mac) -> None:
    look: Looking = looking(mac)

    facts = look.facts(agent_version="1.2.3", catalog_version="7", providers={"mdatp": "101.2"})

    assert (facts.os_type, facts.os_version, facts.architecture) == ("macOS", "macOS 14.5", "arm64")
    assert (facts.display_name, facts.manufacturer, facts.model) == ("maria-mac.example", "Apple", "Mac14,2")
    assert (facts.agent_version, facts.catalog_version, facts.providers) == ("1.2.3", "7", {"mdatp": "101.2"})
    assert (look.boot_id(), look.uptime()) == ("2B7C0C55-6AB4-4A0E-8C43-5C5C1A2D9E01", 4711.0)


def test_a_mac_with_another_processor_fails_over_one_name_and_tells_the_others(mac: Mac) -> None:
    facts = looking(mac, is_apple_silicon=False).facts(agent_version="", catalog_version="", providers={})

    assert (facts.architecture, facts.model) == ("x86_64", "Mac14,2")


def test_a_mac_that_says_nothing_is_still_one(tmp_path: Path) -> None:
    look = MacosLooking(LocalHost(tmp_path), seconds=lambda: 1.0, own_processor=lambda: "arm64")

    facts = look.facts(agent_version="", catalog_version="", providers={})

    assert (facts.display_name, facts.os_version, facts.model) == ("localhost", "macOS", "")
    assert look.hardware(TENANT).smbios_uuid_hash is None
    assert look.boot_id() == ""
    assert (look.survey().manager, look.survey().unsuitable) == (None, None)


def test_the_hardware_is_named_for_one_tenant_alone_whatever_its_case(mac: Mac) -> None:
    first = looking(mac).hardware(TENANT)
    lower = looking(mac, uuid="6a2f1b9c-8e54-5d11-9c7a-3f0b1d2e4a55").hardware(TENANT)
    other = looking(mac).hardware(OTHER_TENANT)
    meaningless = looking(mac, uuid="00000000-0000-0000-0000-000000000000").hardware(TENANT)

    assert first.smbios_uuid_hash is not None
    assert first == lower
    assert first.smbios_uuid_hash != other.smbios_uuid_hash
    assert (first.machine_id_hash, meaningless.smbios_uuid_hash) == (None, None)


@pytest.mark.parametrize("output", [b"", b"nonsense", plistlib.dumps({}), plistlib.dumps([1, {"IOPlatformUUID": 7}])])
def test_an_id_that_is_not_there_is_empty(output: bytes) -> None:
    assert system.platform_uuid(output) == ""


def test_a_program_that_fails_says_nothing(mac: Mac) -> None:
    (mac.root / PROGRAMS / "sw_vers").write_text("#!/no/such/interpreter\n")

    assert system.ask(mac.host, system.SW_VERS) == b""


def test_a_mac_of_its_own_has_no_manager(mac: Mac) -> None:
    found = looking(mac).survey()

    assert (found.managers, found.unsuitable, found.is_domain_controller) == ((), None, False)


@pytest.mark.parametrize(
    ("server", "product"),
    [
        (INTUNE, "Intune"),
        ("https://corp.jamfcloud.com//mdm/ServerURL", "Jamf"),
        ("https://mdm.example:8443/checkin", "An MDM (mdm.example)"),
        ("https://notjamfcloud.com/", "An MDM (notjamfcloud.com)"),
        ("", "An MDM"),
    ],
)
def test_an_enrollment_in_an_mdm_is_found_by_its_server(mac: Mac, server: str, product: str) -> None:
    found = looking(mac, mdm_server=server).survey()

    assert (found.manager, found.managed_elsewhere, found.is_passive) == ("mdm", product, True)
    assert found.managers[0].evidence == PurePosixPath("/usr/bin/profiles")


def test_what_an_mdm_brought_is_named_by_the_enrollment(mac: Mac) -> None:
    mac.put(FROM_MDM[0], {})

    assert looking(mac).survey().managed_elsewhere == "MDM"
    named = looking(mac, mdm_server=INTUNE).survey()
    assert (named.managed_elsewhere, named.managers[0].evidence) == ("Intune", FROM_MDM[0])


def test_our_own_file_is_no_manager_and_that_of_microsofts_channel_is(mac: Mac) -> None:
    mac.put(ATTACHED, {MARK: True, "cloudService": {"enabled": True}})
    assert looking(mac).survey().managers == ()

    mac.put(ATTACHED, {"cloudService": {"enabled": True}})
    found = looking(mac).survey()

    assert found.manager == "microsoftChannel"
    assert [(each.product, each.evidence) for each in found.managers] == [(MICROSOFT_CHANNEL, ATTACHED)]


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_nobody_can_read_counts_as_somebody_elses(mac: Mac, content: bytes) -> None:
    mac.host.write_file(ATTACHED, content)

    assert looking(mac).survey().manager == "microsoftChannel"


@pytest.mark.parametrize(("version", "unsuitable"), [("10.15.7", "unsupportedOs"), ("11.0", None), ("odd", None)])
def test_a_macos_that_is_too_old_is_told_apart(mac: Mac, version: str, unsuitable: str | None) -> None:
    assert looking(mac, version=version).survey().unsuitable == unsuitable


@pytest.mark.parametrize(
    "output",
    [b"", b"MDM enrollment: No\n", b"MDM enrollment:\n", b"profiles: this must be run as root\n", b"\xff\xfe\0"],
)
def test_what_does_not_say_yes_is_no_enrollment(output: bytes) -> None:
    assert mdm(system.pairs(output)) is None
