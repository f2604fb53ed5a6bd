"""Why a setting of Defender is not applicable to a Windows machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import pytest
from tests.support import windows_defender as w
from tests.support.windows_defender import DefendedMachine

from shieldwall.agent.host.cim import SYSTEM, CimError, LanguageModeError
from shieldwall.agent.host.windows_machine import WindowsMachine, parsed_version, windows_machine
from shieldwall.agent.providers.windows_defender import rules
from shieldwall.agent.providers.windows_defender.landings import RuleMode, landings
from shieldwall.contract.ids import SettingId
from shieldwall.testing.windows.machine import (
    DOMAIN_CONTROLLER_2022,
    SERVER_2022,
    SERVER_CORE_2022,
    WINDOWS_11,
    Edition,
    PretendWindows,
)

WINDOWS_10_1607: Final = Edition(caption="Microsoft Windows 10 Enterprise", version="10.0.14393")
SERVER_2016: Final = dataclasses.replace(
    SERVER_2022, caption="Microsoft Windows Server 2016 Standard", version="10.0.14393"
)
SERVER_2012_R2: Final = dataclasses.replace(
    SERVER_2022, caption="Microsoft Windows Server 2012 R2 Standard", version="6.3.9600"
)
SERVER_2012: Final = dataclasses.replace(
    SERVER_2022, caption="Microsoft Windows Server 2012 Standard", version="6.2.9200"
)


def reason(machine: DefendedMachine, setting: str) -> str:
    support = machine.provider.support(machine.host, SettingId(setting))
    assert support is not None
    assert support.applicable is not bool(support.reason)
    return support.reason


def rule(name: str) -> str:
    return f"{w.RULES}_{name}"


WEBSHELL: Final = rule("blockwebshellcreationforservers")
MACROS: Final = rule("blockwin32apicallsfromofficemacros")
WMI: Final = rule("blockpersistencethroughwmieventsubscription")
OFFICE: Final = rule("blockallofficeapplicationsfromcreatingchildprocesses")
CLOUD_LEVEL: Final = f"{w.POLICY}cloudblocklevel"
DATAGRAM: Final = f"{w.CONFIGURATION}allowdatagramprocessingonwinserver"
DOWN_LEVEL: Final = f"{w.CONFIGURATION}allownetworkprotectiondownlevel"
ARCHIVES: Final = f"{w.POLICY}allowarchivescanning"
TOASTS: Final = f"{w.CENTER}enablecustomizedtoasts"


@pytest.mark.parametrize(
    ("edition", "setting", "expected"),
    [
        (WINDOWS_11, ARCHIVES, ""),
        (WINDOWS_11, CLOUD_LEVEL, ""),
        (WINDOWS_11, TOASTS, ""),
        (WINDOWS_11, OFFICE, ""),
        (WINDOWS_11, f"{WEBSHELL}_perruleexclusions", "Windows clients do not have it"),
        (WINDOWS_11, WEBSHELL, "The rule is for servers: Windows clients do not have it."),
        (WINDOWS_11, DATAGRAM, "The setting is for Windows Server alone."),
        (WINDOWS_11, DOWN_LEVEL, "this Windows is not"),
        (WINDOWS_10_1607, CLOUD_LEVEL, "The setting needs Windows 10.0.16299 or later; this is 10.0.14393."),
        (WINDOWS_10_1607, OFFICE, "The rule needs Windows 10 1709 or later; this is 10.0.14393."),
        (WINDOWS_10_1607, DOWN_LEVEL, ""),
        (SERVER_2022, WEBSHELL, ""),
        (SERVER_2022, MACROS, "Windows Server does not have this rule."),
        (SERVER_2022, DATAGRAM, ""),
        (SERVER_2022, TOASTS, ""),
        (SERVER_2016, OFFICE, ""),
        (SERVER_2016, WMI, "Windows Server 2016 and 2012 R2 do not have this rule."),
        (SERVER_2016, CLOUD_LEVEL, ""),
        (SERVER_2016, DOWN_LEVEL, ""),
        (SERVER_2012_R2, OFFICE, ""),
        (SERVER_2012_R2, WMI, "Windows Server 2016 and 2012 R2 do not have this rule."),
        (SERVER_2012, ARCHIVES, "Windows Server 2012 Standard is not supported"),
        (SERVER_CORE_2022, ARCHIVES, ""),
        (SERVER_CORE_2022, TOASTS, "Server Core has no Windows Security app."),
        (
            dataclasses.replace(SERVER_2016, installation_type="Server Core"),
            ARCHIVES,
            "Server Core of Windows Server 2016 Standard is not supported",
        ),
    ],
)
def test_what_a_windows_does_not_have(tmp_path: Path, edition: Edition, setting: str, expected: str) -> None:
    said = reason(DefendedMachine(tmp_path, edition), setting)

    assert expected in said
    assert bool(said) is bool(expected)


def test_settings_that_are_not_delivered_or_not_ours(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    prevention = f"{w.POLICY}allowintrusionpreventionsystem"
    telemetry = SettingId(
        "device_vendor_msft_windowsadvancedthreatprotection_configuration_telemetryreportingfrequency"
    )

    assert reason(machine, prevention) == "This channel does not deliver the setting; its vendor withdraws it."
    assert "Device control" in reason(machine, f"{w.CONFIGURATION}devicecontrol_policyrules_{{ruleid}}")
    assert machine.provider.support(machine.host, telemetry) is None
    assert machine.provider.support(machine.host, SettingId("linux_mdatp_managed_cloudservice_enabled")) is None


def test_every_setting_is_supported_somewhere(tmp_path: Path) -> None:
    machines = []
    for number, edition in enumerate((WINDOWS_11, SERVER_2022, SERVER_2016)):
        (tmp_path / str(number)).mkdir()
        machines.append(DefendedMachine(tmp_path / str(number), edition))

    for setting in machines[0].provider.places:
        assert any(not reason(machine, setting) for machine in machines), setting


def test_a_platform_that_is_too_old_does_not_know_the_property(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    machine.defender.unknown = {"DisableTlsParsing"}
    machine.defender.version = "4.18.2001.10"

    said = reason(machine, f"{w.CONFIGURATION}disabletlsparsing")

    assert said == (
        "Defender's platform 4.18.2001.10 is too old: it does not know DisableTlsParsing. Update the platform."
    )


def test_without_defender_only_what_the_app_shows_can_be_set(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    machine.windows.cim.components.remove(machine.defender)

    assert machine.provider.product_version(machine.host) is None
    assert reason(machine, ARCHIVES) == "Microsoft Defender Antivirus is not on this device."
    assert reason(machine, TOASTS) == ""


def test_a_service_that_does_not_answer_makes_nothing_inapplicable(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    machine.defender.stopped = True

    assert reason(machine, ARCHIVES) == ""


def test_a_constrained_language_is_an_error_and_no_reason(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    machine.windows.cim.failure = LanguageModeError("PowerShell runs in Constrained Language Mode.")

    with pytest.raises(LanguageModeError):
        machine.provider.support(machine.host, SettingId(ARCHIVES))


def test_defender_is_asked_once_for_all_settings_of_a_report(tmp_path: Path) -> None:
    machine = DefendedMachine(tmp_path)
    reason(machine, ARCHIVES)
    machine.windows.cim.failure = CimError("Nobody may ask any more.")

    assert reason(machine, CLOUD_LEVEL) == ""


@pytest.mark.parametrize(
    ("edition", "expected"),
    [
        (WINDOWS_11, (False, False, False)),
        (SERVER_2022, (True, False, False)),
        (SERVER_CORE_2022, (True, False, True)),
        (DOMAIN_CONTROLLER_2022, (True, True, False)),
    ],
)
def test_servers_domain_controllers_and_server_core_are_told_apart(
    tmp_path: Path, edition: Edition, expected: tuple[bool, bool, bool]
) -> None:
    windows = PretendWindows(tmp_path, edition)

    machine = windows_machine(windows.cim, windows.host)

    assert (machine.is_server, machine.is_domain_controller, machine.is_server_core) == expected
    assert machine.written_version == edition.version


def test_a_machine_that_says_nothing_is_taken_for_any_windows(tmp_path: Path) -> None:
    windows = PretendWindows(tmp_path)
    windows.cim.failure = CimError("Access denied.", status=0x80041003)

    machine = windows_machine(windows.cim, windows.host)

    assert (machine.version, machine.is_server, machine.installation_type) == ((), False, "Client")
    assert rules.why_not("a8f5898e-1dc8-49a9-9878-85004b8a61e6", machine) == ""


@pytest.mark.parametrize("text", ["", "10", "10.0.x", "10..1", "-1.0", "10.0.99999999999", "\u0661.\u0662"])
def test_a_version_is_numbers_with_dots(text: str) -> None:
    assert parsed_version(text) == ((10,) if text == "10" else ())


def test_the_table_of_rules_knows_every_rule_of_the_catalog() -> None:
    places = landings(w.CATALOG).values()

    assert {place.guid for place in places if isinstance(place, RuleMode)} == set(rules.RULES)


def test_odd_answers_about_the_system_are_left_out(tmp_path: Path) -> None:
    windows = PretendWindows(tmp_path)
    windows.cim.components[:] = []

    class Odd:
        classes = ((SYSTEM, "Win32_OperatingSystem"),)

        def instances(self, class_name: str, options: object) -> object:
            del class_name, options
            return [{"Version": None, "ProductType": "2", "Caption": 7}]

    windows.cim.components.append(Odd())  # type: ignore[arg-type]
    machine = windows_machine(windows.cim, windows.host)

    assert machine == WindowsMachine(caption="7", installation_type="Client")
