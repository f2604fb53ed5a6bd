"""While the signer is asked for what an administrator wants, nobody else's writes wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import MANAGED_DEVICES, PACKAGES
from tests.support.samples import device_id

from shieldwall.server.inventory.pending import APPROVAL
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage import targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

OFFBOARDING = "/beta/deviceManagement/offboardingPackages"


def test_others_write_while_an_administrator_waits_for_the_signer(
    graph: Client, world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1)
        key = public_key_bytes(DeviceKey.generate().public_key)
        world.manager.join(connection, 2, state=DeviceState.PENDING, state_reason=APPROVAL, public_key=key)
    signed: list[str] = []

    def slowly(verb: str, sign: Callable[..., Any]) -> Callable[..., Any]:
        def signing(*asked: Any, **wanted: Any) -> Any:
            with world.services.database.write() as connection:  # somebody else, who would fail for want of a lock
                targets.lock(connection)
            signed.append(verb)
            return sign(*asked, **wanted)

        return signing

    for verb in ("seal_package", "seal_offboarding", "issue_certificate"):
        monkeypatch.setattr(SignerService, verb, slowly(verb, getattr(SignerService, verb)))

    made = graph.post(PACKAGES, json={"displayName": "New"})
    assert (made.status_code, graph.get(f"{PACKAGES}/{made.json()['id']}").status_code) == (201, 200)
    made = graph.post(OFFBOARDING, json={"displayName": "Out", "deviceIds": [device_id(1)]})
    assert (made.status_code, len(graph.get(OFFBOARDING).json()["value"])) == (201, 1)
    assert graph.post(OFFBOARDING, json={"displayName": "Out", "deviceIds": [device_id(3)]}).status_code == 404
    assert graph.post(f"{MANAGED_DEVICES}/{device_id(2)}/approve", json={}).status_code == 200
    assert graph.post(f"{MANAGED_DEVICES}/{device_id(2)}/approve", json={}).status_code == 409
    assert signed == ["seal_package", "seal_offboarding", "issue_certificate"], "none for what is refused"
