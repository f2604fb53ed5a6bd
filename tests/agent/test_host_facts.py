from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.facts import boot_id, device_facts, hardware_ids, os_release
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts
from shieldwall.contract.strict_json import decode, encode

TENANT = TenantId("00000000-0000-4000-8000-00000000000a")
OTHER_TENANT = TenantId("00000000-0000-4000-8000-00000000000b")
MACHINE_ID = "0123456789abcdef0123456789abcdef"
OS_RELEASE = b"""# comment
NAME="Debian GNU/Linux"
VERSION_ID='12'
BROKEN="no end
ID=debian
"""


def facts_of(host: MemoryHost) -> DeviceFacts:
    return device_facts(host, agent_version="1.0", catalog_version="7", providers={"clamav": "1.4"})


def test_the_facts_are_those_of_the_machine() -> None:
    files = {
        "/etc/os-release": OS_RELEASE,
        "/etc/hostname": b"web-1\n",
        "/sys/class/dmi/id/sys_vendor": b"Fabrikam\n",
        "/sys/class/dmi/id/product_name": b"Server 1\n",
    }
    facts = facts_of(MemoryHost({PurePosixPath(path): content for path, content in files.items()}))

    assert (facts.display_name, facts.os_version) == ("web-1", "Debian GNU/Linux 12")
    assert (facts.manufacturer, facts.model) == ("Fabrikam", "Server 1")


def test_a_machine_that_tells_nothing_still_has_facts() -> None:
    facts = facts_of(MemoryHost())

    assert (facts.display_name, facts.os_type, facts.os_version) == ("localhost", "Linux", "Linux")
    assert facts.manufacturer == ""
    assert boot_id(MemoryHost()) == ""


def test_the_board_stands_in_for_a_missing_vendor() -> None:
    host = MemoryHost({PurePosixPath("/sys/class/dmi/id/board_vendor"): b"Fabrikam Boards\n"})

    assert facts_of(host).manufacturer == "Fabrikam Boards"


@given(content=st.binary(max_size=600))
def test_whatever_the_files_hold_the_facts_fit_the_message(content: bytes) -> None:
    paths = ("/etc/os-release", "/etc/hostname", "/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name")
    host = MemoryHost({PurePosixPath(path): content for path in paths})

    facts = facts_of(host)

    assert decode(encode(facts), DeviceFacts) == facts


def test_the_hash_of_a_machine_differs_between_tenants_and_hides_the_id() -> None:
    host = MemoryHost({PurePosixPath("/etc/machine-id"): f"{MACHINE_ID}\n".encode()})

    here, there = hardware_ids(host, TENANT), hardware_ids(host, OTHER_TENANT)

    assert here.machine_id_hash is not None
    assert here == hardware_ids(host, TENANT)
    assert here.machine_id_hash != there.machine_id_hash
    assert MACHINE_ID not in here.machine_id_hash


@pytest.mark.parametrize("machine_id", [b"", b"uninitialized\n", b"0123\n"])
def test_a_machine_without_an_id_of_its_own_has_no_hash(machine_id: bytes) -> None:
    assert hardware_ids(MemoryHost({PurePosixPath("/etc/machine-id"): machine_id}), TENANT).machine_id_hash is None


@pytest.mark.parametrize(
    ("uuid", "known"),
    [
        ("4C4C4544-0042-3510-8052-B4C04F4A3332", True),
        ("00000000-0000-0000-0000-000000000000", False),
        ("03000200-0400-0500-0006-000700080009", False),
        ("Not Specified", False),
    ],
)
def test_only_an_smbios_uuid_that_tells_machines_apart_is_hashed(uuid: str, *, known: bool) -> None:
    host = MemoryHost({PurePosixPath("/sys/class/dmi/id/product_uuid"): uuid.encode()})

    assert (hardware_ids(host, TENANT).smbios_uuid_hash is not None) is known


def test_the_second_place_of_os_release_counts_where_the_first_is_missing() -> None:
    assert os_release(MemoryHost({PurePosixPath("/usr/lib/os-release"): b"ID=debian\n"})) == {"ID": "debian"}
