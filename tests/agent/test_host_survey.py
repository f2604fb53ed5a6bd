"""Who else manages a machine, and whether it can be managed: by the signs that others leave."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.suitability import NON_PERSISTENT_MARKER, TEXTS
from shieldwall.agent.host.survey import MICROSOFT_CHANNEL, Seen, Survey, look, survey
from shieldwall.contract.messages import DeviceFacts

ATTACHED = PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdeattach_managed.json")
CCM = PurePosixPath("/opt/microsoft/configmgr")
INTUNE = PurePosixPath("/opt/microsoft/intune")
CONTAINER = PurePosixPath("/.dockerenv")
ALL_RIGHTS = "CapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n"
FEW_RIGHTS = "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\n"
ON_DISK = "/dev/sda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n"
IN_MEMORY = "tmpfs / tmpfs rw 0 0\n"


def found(*paths: PurePosixPath | str, architecture: str = "x86_64", **files: str) -> Survey:
    """Survey a machine with these paths, and these files under names of their own."""
    places = {
        "cmdline": "/proc/cmdline",
        "mounts": "/proc/self/mounts",
        "status": "/proc/self/status",
        "samba": "/etc/samba/smb.conf",
    }
    return survey(
        Seen(
            present=frozenset(map(PurePosixPath, paths)),
            texts={PurePosixPath(places[name]): text for name, text in files.items()},
            architecture=architecture,
        )
    )


def released(name: str, version: str) -> Survey:
    return survey(Seen(release={"ID": name, "VERSION_ID": version}, architecture="x86_64"))


def test_looking_finds_the_paths_that_matter(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    assert look(host, architecture="x86_64").present == frozenset()

    host.write_file(ATTACHED, b"{}")

    assert look(host, architecture="x86_64").present == {ATTACHED}


def test_a_marker_that_is_a_broken_link_counts_as_there(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    host.locate(ATTACHED).parent.mkdir(parents=True)
    host.locate(ATTACHED).symlink_to("/nowhere")

    assert look(host, architecture="x86_64").present == {ATTACHED}


def test_a_device_of_microsofts_channel_is_managed_elsewhere_even_by_an_empty_file() -> None:
    survey_ = found(ATTACHED)

    assert (survey_.manager, survey_.managed_elsewhere) == ("microsoftChannel", "Microsoft Defender for Endpoint")
    assert (survey_.managers[0].product, survey_.managers[0].evidence) == (MICROSOFT_CHANNEL, ATTACHED)
    assert survey_.is_passive


@pytest.mark.parametrize(
    ("path", "product"),
    [
        ("/etc/intune", "Intune"),
        ("/opt/microsoft/intune", "Intune"),
        ("/usr/bin/intune-portal", "Intune"),
        ("/Library/Managed Preferences/com.microsoft.wdav.plist", "MDM"),
        ("/usr/local/bin/jamf", "Jamf"),
        ("/opt/vmware/ws1-hub", "Workspace ONE"),
    ],
)
def test_an_mdm_is_known_by_what_it_installs(path: str, product: str) -> None:
    survey_ = found(path)

    assert (survey_.manager, survey_.managed_elsewhere) == ("mdm", product)
    assert survey_.is_passive


@pytest.mark.parametrize("path", ["/opt/microsoft/configmgr", "/Windows/CCM/CcmExec.exe"])
def test_beside_configuration_manager_alone_the_agent_follows_the_server(path: str) -> None:
    survey_ = found(path)

    assert (survey_.manager, survey_.managed_elsewhere) == ("configurationManager", "ConfigMgr")
    assert not survey_.is_passive


@pytest.mark.parametrize(
    ("paths", "manager"),
    [
        ((CCM, ATTACHED), "several"),
        ((CCM, ATTACHED, INTUNE), "several"),
        ((CCM, INTUNE), "mdm"),
        ((INTUNE, ATTACHED), "microsoftChannel"),
    ],
)
def test_of_several_managers_the_one_in_charge_is_named(paths: tuple[PurePosixPath, ...], manager: str) -> None:
    survey_ = found(*paths)

    assert survey_.manager == manager
    assert survey_.is_passive
    assert (survey_.managed_elsewhere or "").count(" and ") == len(paths) - 1


def test_a_firewall_manager_is_a_neighbour_and_no_reason_to_stay_passive() -> None:
    survey_ = found("/etc/ufw/ufw.conf")

    assert survey_.managed_elsewhere is None
    assert [neighbour.product for neighbour in survey_.neighbours] == ["ufw"]
    assert not survey_.is_passive


@pytest.mark.parametrize(
    "texts",
    [
        {"cmdline": "BOOT_IMAGE=/casper/vmlinuz boot=casper quiet splash"},
        {"cmdline": "boot=live components"},
        {"cmdline": "root=live:CDLABEL=Fedora rd.live.image quiet"},
        {"cmdline": "root=/dev/sda1 overlayroot=tmpfs:swap=1"},
        {"mounts": IN_MEMORY},
        {"mounts": IN_MEMORY + "tmpfs /var tmpfs rw 0 0\n"},
    ],
)
def test_a_machine_that_forgets_is_no_machine_to_manage(texts: dict[str, Any]) -> None:
    survey_ = found(**texts)

    assert survey_.unsuitable == "nonPersistentDesktop"
    assert survey_.unsuitable_sign is not None
    assert survey_.unsuitable_sign.evidence.startswith("/proc/")
    assert survey_.is_passive


@pytest.mark.parametrize("path", [NON_PERSISTENT_MARKER, "/run/live/medium", "/run/initramfs/live"])
def test_a_marker_of_a_fleeting_machine_is_believed(path: PurePosixPath | str) -> None:
    assert found(path).unsuitable == "nonPersistentDesktop"


@pytest.mark.parametrize(
    "texts",
    [
        {"mounts": ON_DISK, "cmdline": "root=/dev/sda1 ro quiet"},
        {"mounts": IN_MEMORY + "/dev/sda2 /var/lib ext4 rw 0 0\n"},
        {"cmdline": "root=/dev/sda1 noboot=live"},
        {"status": FEW_RIGHTS},
    ],
)
def test_a_machine_that_lasts_is_one_to_manage(texts: dict[str, Any]) -> None:
    assert found(**texts).unsuitable is None


def test_a_container_is_managed_only_with_the_rights_that_it_takes() -> None:
    assert found(CONTAINER, status=ALL_RIGHTS).unsuitable is None
    assert found(CONTAINER, status=FEW_RIGHTS).unsuitable == "unsupportedOs"
    assert found(CONTAINER).unsuitable is None, "what cannot be read counts for the machine"


@pytest.mark.parametrize(
    ("name", "version", "supported"),
    [
        ("debian", "8", False),
        ("debian", "9", True),
        ("debian", "13", True),
        ("debian", "", True),
        ("ubuntu", "14.04", False),
        ("ubuntu", "16.04", True),
        ("ubuntu", "24.10", True),
        ("rhel", "7.1", False),
        ("rhel", "7.2", True),
        ("rhel", "6.10", False),
        ("centos", "7", True),
        ("centos", "6", False),
        ("fedora", "32", False),
        ("fedora", "41", True),
        ("amzn", "2018.03", False),
        ("amzn", "2", True),
        ("amzn", "2023", True),
        ("arch", "", True),
        ("alpine", "3.1", True),
    ],
)
def test_only_releases_older_than_the_published_list_are_too_old(name: str, version: str, *, supported: bool) -> None:
    assert (released(name, version).unsuitable is None) is supported


@pytest.mark.parametrize(
    ("architecture", "supported"), [("x86_64", True), ("aarch64", True), ("i686", False), ("armv7l", False), ("", True)]
)
def test_a_32_bit_system_is_not_supported(architecture: str, *, supported: bool) -> None:
    assert (found(architecture=architecture).unsuitable is None) is supported


@pytest.mark.parametrize(
    ("role", "controls"),
    [
        ("active directory domain controller", True),
        ("Domain Controller", True),
        ("dc", True),
        ("member server", False),
        ("auto", False),
    ],
)
def test_samba_says_itself_whether_it_is_a_domain_controller(role: str, *, controls: bool) -> None:
    assert found(samba=f"[global]\n\tserver role = {role}\n").is_domain_controller is controls
    assert not found(samba=f"[global]\n# server role = {role}\n").is_domain_controller


def test_a_directory_database_gives_a_domain_controller_away() -> None:
    survey_ = found("/var/lib/samba/private/sam.ldb")

    assert survey_.is_domain_controller
    assert not survey_.is_passive


def test_what_was_found_stands_in_the_facts() -> None:
    plain = DeviceFacts(display_name="laptop", os_type="Linux", os_version="Debian 12")

    told = found(ATTACHED, NON_PERSISTENT_MARKER, "/var/lib/samba/private/sam.ldb").upon(plain)

    assert (told.managed_elsewhere, told.manager) == ("Microsoft Defender for Endpoint", "microsoftChannel")
    assert (told.unsuitable, told.is_domain_controller) == ("nonPersistentDesktop", True)
    assert found().upon(told) == plain


def test_an_empty_machine_is_managed_by_nobody() -> None:
    seen = look(MemoryHost(), architecture="x86_64")

    assert seen.present == frozenset()
    assert survey(seen) == Survey(managers=(), neighbours=())


@given(content=st.binary(max_size=600))
def test_whatever_the_files_hold_the_survey_has_an_answer(content: bytes) -> None:
    files = dict.fromkeys((*TEXTS, PurePosixPath("/etc/os-release")), content)

    assert survey(look(MemoryHost(files), architecture="x86_64")).managed_elsewhere is None
