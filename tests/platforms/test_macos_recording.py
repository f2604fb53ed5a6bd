"""What a recording of a Mac must not tell: its ids, its serial number, and whose MDM it is in."""

from __future__ import annotations

import plistlib

from shieldwall.agent.host.macos import system
from shieldwall.agent.host.macos.survey import mdm
from shieldwall.agent.selftest.redacting import Redaction

UUID = "6A2F1B9C-8E54-5D11-9C7A-3F0B1D2E4A55"
SERIAL = "C02ZQ0AAMD6T"
REDACTION = Redaction.of(())


def test_the_ids_of_the_hardware_are_taken_out_and_it_can_still_be_read() -> None:
    node = {"IOPlatformUUID": UUID, "IOPlatformSerialNumber": SERIAL, "serial-number": SERIAL.encode(), "model": b"Mac"}
    printed = plistlib.dumps([node]).decode()

    recorded = REDACTION.text(printed)

    (found,) = plistlib.loads(recorded.encode())
    assert found == {
        "IOPlatformUUID": "00000000-0000-0000-0000-000000000000",
        "IOPlatformSerialNumber": "redacted",
        "serial-number": b"",
        "model": b"Mac",
    }
    assert system.platform_uuid(recorded.encode()) == "00000000-0000-0000-0000-000000000000"


def test_the_mdm_is_known_and_not_whose_it_is() -> None:
    for server, product in (
        ("https://i.manage.microsoft.com/DeviceGateway?tenant=secret", "Intune"),
        ("https://acme.jamfcloud.com//mdm/ServerURL", "Jamf"),
    ):
        printed = f"Enrolled via DEP: No\nMDM enrollment: Yes\nMDM server: {server}\n"

        recorded = REDACTION.text(printed)

        assert mdm(system.pairs(recorded.encode())) == product
        assert "acme" not in recorded
        assert "secret" not in recorded
