"""What the agent sees of a Windows machine, over the stand-in for its registry and its management."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.host.registry.one_key import KEYS
from shieldwall.agent.host.windows.join import Join, read_join
from shieldwall.agent.host.windows.looking import WindowsLooking
from shieldwall.agent.host.windows.survey import CONFIGURATION_MANAGER_SERVICE, ENROLLMENTS, SENSE
from shieldwall.contract.ids import TenantId
from shieldwall.testing.windows.cim import PretendClass
from shieldwall.testing.windows.machine import SERVER_2022, WINDOWS_11, PretendWindows

TENANT = TenantId("11111111-1111-4111-8111-111111111111")
OTHER = TenantId("22222222-2222-4222-8222-222222222222")
UUID = "4C4C4544-0051-3510-8052-B4C04F4D3132"


@pytest.fixture
def windows(tmp_path: Path) -> PretendWindows:
    return machine(tmp_path)


def machine(root: Path, **changes: object) -> PretendWindows:
    made = PretendWindows(root, **changes)  # type: ignore[arg-type]
    made.add(PretendClass("Win32_ComputerSystem", [{"Manufacturer": "Contoso", "Model": "Slab 5 "}]))
    made.add(PretendClass("Win32_ComputerSystemProduct", [{"UUID": UUID}]))
    fill = made.registry.fill
    fill(r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters", {"Hostname": RegistryValue.text("DESK-7")})
    fill(r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion", {"UBR": RegistryValue.dword(3447)})
    fill(
        r"HKLM\SOFTWARE\Microsoft\Cryptography",
        {"MachineGuid": RegistryValue.text("6F0E8D9C-1B2A-4C3D-8E4F-5A6B7C8D9E0F")},
    )
    fill(
        r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment",
        {"PROCESSOR_ARCHITECTURE": RegistryValue.text("AMD64")},
    )
    return made


def looking(windows: PretendWindows) -> WindowsLooking:
    return WindowsLooking(host=windows.host, cim=windows.cim, boot=lambda: "boot", seconds=lambda: 12.5)


def test_a_client_says_who_it_is(windows: PretendWindows) -> None:
    facts = looking(windows).facts(agent_version="1", catalog_version="2", providers={"b": "2", "a": "1"})

    assert (facts.display_name, facts.os_type) == ("DESK-7", "Windows")
    assert facts.os_version == "Windows 11 Enterprise 10.0.22631.3447"
    assert (facts.manufacturer, facts.model, facts.architecture) == ("Contoso", "Slab 5", "AMD64")
    assert list(facts.providers) == ["a", "b"]


def test_server_core_is_a_server_and_says_so(tmp_path: Path) -> None:
    core = machine(tmp_path, edition=replace(SERVER_2022, installation_type="Server Core"))

    facts = looking(core).facts(agent_version="", catalog_version="", providers={})

    assert facts.os_type == "Windows Server"
    assert facts.os_version == "Windows Server 2022 Standard (Server Core) 10.0.20348.3447"


def test_the_hardware_is_named_to_one_tenant_alone(windows: PretendWindows) -> None:
    seen, elsewhere = (looking(windows).hardware(tenant) for tenant in (TENANT, OTHER))

    assert seen.machine_id_hash is not None
    assert seen.smbios_uuid_hash is not None
    assert {seen.machine_id_hash, seen.smbios_uuid_hash}.isdisjoint(
        {elsewhere.machine_id_hash, elsewhere.smbios_uuid_hash}
    )


def test_a_machine_that_does_not_answer_has_facts_all_the_same(tmp_path: Path) -> None:
    windows = PretendWindows(tmp_path)
    windows.cim.components.clear()

    facts = looking(windows).facts(agent_version="", catalog_version="", providers={})

    assert (facts.display_name, facts.os_type, facts.manufacturer) == ("localhost", "Windows", "")


def test_nobody_else_manages_a_machine_without_signs(windows: PretendWindows) -> None:
    found = looking(windows).survey()

    assert (found.managers, found.unsuitable_sign, found.is_passive) == ((), None, False)


@pytest.mark.parametrize(
    ("status", "manager", "name"),
    [
        (0, None, None),
        (1, "microsoftChannel", "Microsoft Defender for Endpoint"),
        (2, None, None),
        (3, "mdm", "Intune"),
        (4, "configurationManager", "ConfigMgr"),
    ],
)
def test_what_the_channel_of_microsoft_says_decides(
    windows: PretendWindows, status: int, manager: str | None, name: str | None
) -> None:
    windows.registry.fill(SENSE, {"EnrollmentStatus": RegistryValue.dword(status)})

    found = looking(windows).survey()

    assert (found.manager, found.managed_elsewhere) == (manager, name)
    # Beside Configuration Manager, it is the tenant that decides who is in charge.
    assert found.is_passive is (manager in {"microsoftChannel", "mdm"})


@pytest.mark.parametrize(
    ("provider", "state", "name"),
    [
        ("MS DM Server", 1, "Intune"),
        ("Contoso MDM", 1, "Contoso MDM"),
        ("MS DM Server", 0, None),
        ("", 1, None),
        ("WMI_Bridge_Server", 1, None),
    ],
)
def test_an_enrollment_in_an_mdm_counts_while_it_holds(
    windows: PretendWindows, provider: str, state: int, name: str | None
) -> None:
    key = rf"{ENROLLMENTS}\0B1C2D3E-0000-0000-0000-000000000000"
    windows.registry.fill(
        key, {"ProviderID": RegistryValue.text(provider), "EnrollmentState": RegistryValue.dword(state)}
    )

    assert looking(windows).survey().managed_elsewhere == name


def test_configuration_manager_is_its_program_and_its_service(windows: PretendWindows) -> None:
    program = windows.root / "Windows/CCM/CcmExec.exe"
    program.parent.mkdir(parents=True)
    program.touch()
    assert looking(windows).survey().manager is None, "what an uninstallation left is no manager"

    windows.registry.fill(CONFIGURATION_MANAGER_SERVICE, {"Start": RegistryValue.dword(2)})
    assert looking(windows).survey().manager == "configurationManager"

    windows.registry.fill(SENSE, {"EnrollmentStatus": RegistryValue.dword(1)})
    assert looking(windows).survey().manager == "several"


def test_a_domain_controller_is_told(tmp_path: Path) -> None:
    found = looking(machine(tmp_path, edition=replace(SERVER_2022, product_type=2))).survey()

    assert (found.is_domain_controller, found.is_passive) == (True, False)


@pytest.mark.parametrize(
    ("version", "product_type", "unsuitable"),
    [
        ("10.0.17134", 1, "unsupportedOs"),
        ("10.0.17763", 1, None),
        ("6.2.9200", 3, "unsupportedOs"),
        ("6.3.9600", 3, None),
    ],
)
def test_what_is_too_old_is_not_managed(
    tmp_path: Path, version: str, product_type: int, unsuitable: str | None
) -> None:
    edition = replace(WINDOWS_11, version=version, product_type=product_type)

    assert looking(machine(tmp_path, edition=edition)).survey().unsuitable == unsuitable


def test_an_image_that_forgets_is_marked(windows: PretendWindows) -> None:
    windows.registry.fill(r"HKLM\SOFTWARE\Shieldwall", {"NonPersistent": RegistryValue.dword(1)})

    assert looking(windows).survey().unsuitable == "nonPersistentDesktop"


def test_one_key_is_read_without_what_is_below(windows: PretendWindows) -> None:
    windows.registry.fill(r"HKLM\SOFTWARE\A", {"Own": RegistryValue.dword(1)})
    windows.registry.fill(r"HKLM\SOFTWARE\A\B\C", {"Deep": RegistryValue.dword(2)})

    content = windows.host.read_file(KEYS / "HKLM/SOFTWARE/A")

    assert content is not None
    assert b"Own" in content
    assert b'"B"' in content
    assert b"Deep" not in content


def test_the_join_is_read_from_the_report() -> None:
    printed = """
+----------------------------------------------------------------------+
| Device State                                                         |
+----------------------------------------------------------------------+

             AzureAdJoined : YES
          EnterpriseJoined : NO
              DomainJoined : YES
           Virtual Desktop : NOT SET

                  DeviceId : 6C8DE2A4-5E2A-4D5B-9B7E-0D5A7F3B1C22
                  TenantId : 3F2504E0-4F89-41D3-9A0C-0305E82C3301
                    MdmUrl : https://enrollment.contoso.example/EnrollmentServer/Discovery.svc
"""
    join = read_join(printed)

    assert join.kind == "hybrid"
    assert join.device_id == "6c8de2a4-5e2a-4d5b-9b7e-0d5a7f3b1c22"
    assert join.mdm_url.startswith("https://enrollment.contoso.example")
    assert read_join("") == Join()
    assert Join(domain=True).kind == "domain"
