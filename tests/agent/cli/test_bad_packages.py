"""Onboarding files that no device may follow (bad-inputs 9.2): the reason is named, and nobody is contacted."""

from __future__ import annotations

import base64
import os
import select
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.commanded_device import Device
from tests.support.simulated_gateway import RealClock, SimulatedGateway, served

from shieldwall.contract import strict_json
from shieldwall.trust import moments, payload_types
from shieldwall.trust.dsse import EnvelopeKey, seal

Change = Callable[[SimulatedGateway], bytes]
OTHER_TENANT = "99999999-0000-4000-8000-000000000009"


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    """What listens at the address that packages name, so that a single connection would be noticed."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


@pytest.fixture
def gateway(ear: socket.socket) -> SimulatedGateway:
    return SimulatedGateway(clock=RealClock(), authority=f"localhost:{ear.getsockname()[1]}")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    (tmp_path / "root").mkdir()
    return Device(root=tmp_path / "root", state=tmp_path / "state", package=tmp_path / "package.json")


def envelope(gateway: SimulatedGateway) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(gateway.package_bytes())
    return decoded


def with_payload(gateway: SimulatedGateway, key: EnvelopeKey | None = None, **members: Any) -> bytes:
    """Change the payload: under the signature of the unchanged one, or sealed by force with a key."""
    payload = strict_json.encode(msgspec.to_builtins(gateway.package()) | members)
    if key is not None:
        return strict_json.encode(seal(payload, payload_types.ONBOARDING, key))
    return strict_json.encode(envelope(gateway) | {"payload": base64.b64encode(payload).decode()})


def without_signatures(gateway: SimulatedGateway) -> bytes:
    return strict_json.encode(envelope(gateway) | {"signatures": []})


def without_the_member(gateway: SimulatedGateway) -> bytes:
    return strict_json.encode({name: value for name, value in envelope(gateway).items() if name != "signatures"})


def with_an_empty_signature(gateway: SimulatedGateway) -> bytes:
    made = envelope(gateway)
    made["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    return strict_json.encode(made)


def payload_alone(gateway: SimulatedGateway) -> bytes:
    return base64.b64decode(envelope(gateway)["payload"])


def with_a_thiefs_root(gateway: SimulatedGateway) -> bytes:
    return with_payload(gateway, trustRoot=msgspec.to_builtins(SimulatedGateway().root))


def with_a_thiefs_root_and_our_key(gateway: SimulatedGateway) -> bytes:
    return with_payload(gateway, gateway.keys["onboarding"], trustRoot=msgspec.to_builtins(SimulatedGateway().root))


def signed_by_a_thief(gateway: SimulatedGateway) -> bytes:
    return with_payload(gateway, EnvelopeKey.generate())


def signed_by_another_role(gateway: SimulatedGateway) -> bytes:
    return with_payload(gateway, gateway.keys["policy"])


def of_another_tenant(gateway: SimulatedGateway) -> bytes:
    return with_payload(gateway, gateway.keys["onboarding"], tenantId=OTHER_TENANT)


def from_tomorrow_on(gateway: SimulatedGateway) -> bytes:
    return gateway.package_bytes(not_before=moments.write(gateway.clock.now() + timedelta(days=1)))


def expired_a_second_ago(gateway: SimulatedGateway) -> bytes:
    return gateway.package_bytes(not_after=moments.write(gateway.clock.now() - timedelta(seconds=1)))


def huge(gateway: SimulatedGateway) -> bytes:
    return gateway.package_bytes() + b" " * 64 * 1024


CONTENTS: dict[str, tuple[Change, str]] = {
    "signature stripped": (without_signatures, "packageMalformed"),
    "no signatures at all": (without_the_member, "packageMalformed"),
    "payload alone": (payload_alone, "packageMalformed"),
    "signature of zeros": (with_an_empty_signature, "packageSignature"),
    "root swapped": (with_a_thiefs_root, "packageSignature"),
    "root swapped, signed by us": (with_a_thiefs_root_and_our_key, "packageSignature"),
    "signed by another key": (signed_by_a_thief, "packageSignature"),
    "signed by another role": (signed_by_another_role, "packageSignature"),
    "another tenant": (of_another_tenant, "packageTenant"),
    "not yet valid": (from_tomorrow_on, "packageNotYetValid"),
    "expired": (expired_a_second_ago, "packageExpired"),
    "huge": (huge, "unsuitablePackage"),
    "empty": (lambda _gateway: b"", "packageMalformed"),
}


def refuses(device: Device, ear: socket.socket, path: Path, code: str) -> str:
    """Onboard with a file that must be refused, and return what is said."""
    answer = device("onboard", str(path))
    assert answer.returncode == 6, answer.stderr
    what, why, remedy = answer.stderr.strip().splitlines()
    assert what.startswith("Could not")
    assert why.endswith(f"[{code}]")
    assert remedy.startswith("What to do: ")
    assert select.select([ear], [], [], 0)[0] == [], "somebody was contacted"
    assert not (device.state / "identity.json").exists()
    assert not list(device.state.glob("**/*key*")), "not even a key was made"
    return answer.stderr


@pytest.mark.parametrize(("change", "code"), CONTENTS.values(), ids=CONTENTS.keys())
def test_a_package_that_is_not_what_was_signed_for_today_is_refused(
    device: Device, gateway: SimulatedGateway, ear: socket.socket, change: Change, code: str
) -> None:
    device.package.write_bytes(change(gateway))
    device.package.chmod(0o600)

    refuses(device, ear, device.package, code)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("symlink", "symbolic link"),
        ("dangling", "symbolic link"),
        ("pipe", "not a file"),
        ("directory", "not a file"),
        ("world-readable", "readable by everybody"),
        ("world-writable", "writable by everybody"),
        ("missing", "No such file"),
    ],
)
def test_a_file_that_others_could_have_read_or_placed_is_refused(
    device: Device, gateway: SimulatedGateway, ear: socket.socket, case: str, reason: str
) -> None:
    good, path = device.package, device.package.with_name("odd")
    good.write_bytes(gateway.package_bytes())
    good.chmod(0o600)
    match case:
        case "symlink":
            path.symlink_to(good)
        case "dangling":
            path.symlink_to(good.with_name("nothing"))
        case "pipe":
            os.mkfifo(path, 0o600)
        case "directory":
            path.mkdir()
        case "world-readable" | "world-writable":
            path.write_bytes(good.read_bytes())
            path.chmod(0o604 if case == "world-readable" else 0o602)
        case _:
            pass

    assert reason in refuses(device, ear, path, "unsuitablePackage")


def test_a_device_of_one_tenant_does_not_follow_the_package_of_another(
    tmp_path: Path, device: Device, gateway: SimulatedGateway, ear: socket.socket
) -> None:
    home = SimulatedGateway(clock=RealClock())
    with served(home, tmp_path):
        device.package.write_bytes(home.package_bytes())
        device.package.chmod(0o600)
        assert device("onboard", str(device.package)).returncode == 0
    device.package.write_bytes(gateway.package_bytes())

    answer = device("onboard", str(device.package))

    assert "[alreadyOnboarded]" in answer.stderr
    assert answer.returncode != 0
    assert select.select([ear], [], [], 0)[0] == [], "somebody was contacted"
