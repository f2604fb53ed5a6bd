"""What a device calls itself (bad-inputs 9.2): kept as it is up to 256 characters, and inert wherever it is shown.

From a real gateway to the API and the export, on both engines. Pages, terminal and log have tests of their own:
``tests.portal.test_hostile_text``, ``tests.cli.test_machine_commands`` and ``tests.server.test_observability``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.databases import shared_migrated_database_url
from tests.support.gateway_device import GatewayDevice
from tests.support.life import Life, a_life

from shieldwall.contract import strict_json
from shieldwall.contract.messages import DeviceFacts, HardwareIds, OffboardRequest, TamperAttempt
from shieldwall.contract.registration import ResyncRequest
from shieldwall.server.storage.devices import devices

__all__ = ["shared_migrated_database_url"]

MACHINES = "/beta/deviceManagement/machines"
HOSTILE = {
    "right to left": "\u202egnp.exe",
    "isolates": "\u2066\u2069\u200b\ufeff",
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "template": "{{ tenant }}{% raw %}${x}",
    "formula": "=cmd()|'/c calc'!A1",
    "formula in full width": "\uff1dcmd()",
    "formula after a tab": "\t=1+1",
    "sql": "'; DROP TABLE devices; --",
    "like": "%_\\",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "lines": "a\r\nb\u2028c\x85d\x0b",
    "c1": "\x9b31m",
    "emoji": "\U0001f427",
    "emoji to the end": "\U0001f427" * 256,
    "grows when folded": "\u0390" * 256,
    "digits": "1." * 128,
    "separator": "a\x1fb",
    "empty": "",
    "spaces": "   ",
    "dots": "..",
    "longest": "x" * 256,
}
TOO_LONG = ("x" * 257, "x" * 10_000, "\U0001f427" * 257)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[Life]:
    with a_life(tmp_path_factory.mktemp("life"), shared_migrated_database_url) as made:
        yield made


def facts(text: str) -> DeviceFacts:
    return DeviceFacts(
        display_name=text,
        os_type="Linux",
        os_version=text,
        architecture=text,
        manufacturer=text,
        model=text,
        agent_version=text,
        catalog_version=text,
        providers={text: text},
        managed_elsewhere=text,
        manager="mdm",
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_device_says_is_kept_and_shown_as_text(life: Life, text: str) -> None:
    world = life.server
    device = GatewayDevice(world)
    body = device.registration(
        world.package(), device_display_name=text, operating_system_version=text, target_domain=text
    )
    reply = device.send(f"{device.enrollment}/device", body)
    assert reply.status == 201, reply.body
    device.device_id, device.epoch = reply.json["deviceId"], reply.json["epoch"]
    with world.services.database.read() as connection:
        record = devices.get(connection, device.device_id)
    assert (record.display_name, record.os_version) == (text, text)

    attempt = TamperAttempt(at=text[:32], kind="settingChanged", subject=text)
    answered = device.check_in(facts=facts(text), boot_id=text, agent_version=text, attempts=(attempt,))

    assert answered.status == 200, answered.body
    with world.services.database.read() as connection:
        record = devices.get(connection, device.device_id)
    assert {
        record.display_name,
        record.os_version,
        record.architecture,
        record.manufacturer,
        record.model,
        record.agent_version,
        record.catalog_version,
        record.managed_elsewhere,
    } == {text}
    assert record.providers == {text: text}
    assert life.managed(device.device_id)["deviceName"] == text
    listed = {each["deviceId"]: each["displayName"] for each in life.get("/v1.0/devices?$top=999")["value"]}
    assert listed[device.device_id] == text
    if text.strip() and text.isprintable():
        found = life.get(f"{MACHINES}?$top=100&search={quote(text, safe='')}")["value"]
        assert device.device_id in {each["id"] for each in found}
    told = [each for each in life.alerts("tamper.settingChanged") if device.device_id in each["devices"]]
    assert len(told) == 1
    exported(life, device)
    goodbye(device, text)


def exported(life: Life, device: GatewayDevice) -> None:
    """The row of a device in the export holds nothing that a spreadsheet or a terminal would act on."""
    answer = life.ask("GET", f"{MACHINES}/export")
    assert answer.status_code == 200
    rows = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    (row,) = [each for each in rows if each["id"] == device.device_id]
    for cell in row.values():
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        assert not {"\x1b", "\x9b", "\x07", "\u202e", "\u2066", "\r", "\n", "\u2028", "\x85"} & set(cell)


def goodbye(device: GatewayDevice, text: str) -> None:
    """The reasons that a device gives are texts as well."""
    counting = ResyncRequest(
        nonce=device.nonce(),
        instance_id="0123456789abcdef0123456789abcdef",
        boot_id=text,
        hardware=HardwareIds(),
        reason=text,
    )
    reply = device.send("/device/v1/resync", counting)
    assert reply.status == 200
    device.epoch, device.seq = reply.json["epoch"], 0
    leaving = strict_json.convert(device.numbered(reason=text), OffboardRequest)
    assert device.send(f"{device.enrollment}/device/{device.device_id}/offboard", leaving).status == 204


@pytest.mark.parametrize("text", TOO_LONG, ids=lambda text: f"{len(text)} of {text[0]!r}")
def test_a_text_of_more_than_256_characters_is_refused(life: Life, text: str) -> None:
    world = life.server
    package, device = world.package(), GatewayDevice(world)
    path = f"{device.enrollment}/device"
    for name in ("device_display_name", "operating_system_version", "target_domain"):
        changed: dict[str, Any] = {name: text}
        reply = device.send(path, device.registration(package, **changed))
        assert (reply.status, reply.code) == (400, "invalidJson")
    assert device.register(package).status == 201
    sound = strict_json.decode(strict_json.encode(facts("x")), dict)
    for name, value in sound.items():
        wrong = {text: "x"} if name == "providers" else text
        message = json.loads(device.check_in_request()) | {"facts": sound | {name: wrong}}
        reply = device.send("/device/v1/checkin", json.dumps(message).encode())
        assert (reply.status, reply.code) == (400, "invalidJson"), (name, value)
    assert device.check_in(facts=facts("x")).status == 200


@pytest.mark.parametrize("os_type", ["", "linux", "Linux ", "Plan 9", "<script>", "L" * 10_000])
def test_an_operating_system_that_is_none_is_refused(life: Life, os_type: str) -> None:
    device = GatewayDevice(life.server)
    body = device.registration(life.server.package(), device_type=os_type)
    reply = device.send(f"{device.enrollment}/device", body)
    assert (reply.status, reply.code) == (400, "invalidJson")
