"""While the signer is asked for what an administrator wants, nobody else's writes wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import MANAGED_DEVICES, PACKAGES, POLICIES, a_policy
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract.ids import PolicyId
from shieldwall.server.inventory.pending import APPROVAL
from shieldwall.server.manager.policies import draft_of, get_policy
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

OFFBOARDING = "/beta/deviceManagement/offboardingPackages"


def meanwhile(monkeypatch: pytest.MonkeyPatch, happenings: Sequence[Callable[[], object]]) -> list[bytes]:
    """Let one of these happen while each next policy is signed, in which nobody is to be waiting for the signer."""
    sign, signed, left = SignerService.sign_policy, list[bytes](), list(happenings)

    def signing(service: SignerService, document: bytes) -> Any:
        happening = left.pop(0) if left else None
        if happening is not None:
            happening()
        envelope = sign(service, document)
        signed.append(document)
        return envelope

    monkeypatch.setattr(SignerService, "sign_policy", signing)
    return signed


def saved(world: AdminWorld, policy_id: str, **changes: Any) -> None:
    """Let somebody else save a policy."""
    with world.writing() as connection:
        draft = replace(draft_of(get_policy(connection, TENANT_ID, PolicyId(policy_id))), **changes)
        world.manager.policies.update(connection, world.manager.acting, PolicyId(policy_id), draft)


def revisions(graph: Client, policy_id: str) -> int:
    return len(graph.get(f"{POLICIES}/{policy_id}/revisions").json()["value"])


def test_others_write_while_policies_are_published(
    graph: Client, world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        with world.services.database.write() as connection:  # somebody else, who would fail for want of a lock
            targets.lock(connection)

    signed = meanwhile(monkeypatch, [write] * 100)
    made = graph.post(POLICIES, json=a_policy())
    one = f"{POLICIES}/{made.json()['id']}"
    answers = [
        made,
        graph.patch(one, json={"name": "Second"}),
        graph.put(one, json=a_policy() | {"name": "Third"}),
        graph.post(f"{one}/reorder", json={"priority": 3}),
        graph.post(f"{one}/rollback", json={"revision": 1}),
        graph.post(f"{one}/createCopy", json={"displayName": "Copy"}),
    ]
    assert [each.status_code // 100 for each in answers] == [2] * 6
    assert len(signed) == 6, "what is signed is published, at once"
    created = [{"kind": "create", "policy": a_policy()} for _ in range(3)]
    changes = [*created, {"kind": "update", "id": made.json()["id"], "policy": {"name": "Last"}}]
    changed = graph.post(f"{POLICIES}/changeSet", json={"reason": "All", "changes": changes})
    assert (changed.status_code, len(signed)) == (200, 10)
    assert revisions(graph, made.json()["id"]) == 6


def test_a_policy_that_changed_while_it_was_signed_is_decided_on_anew(
    graph: Client, world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = graph.post(POLICIES, json=a_policy())
    one, before = f"{POLICIES}/{made.json()['id']}", made.headers["etag"]
    signed = meanwhile(monkeypatch, [lambda: saved(world, made.json()["id"], name="Other")])
    refused = graph.patch(one, json={"name": "Mine"}, headers={"If-Match": before})
    assert (refused.status_code, graph.get(one).json()["name"]) == (412, "Other")
    assert revisions(graph, made.json()["id"]) == 2, "what was signed in vain is not published"

    monkeypatch.undo()
    signed = meanwhile(monkeypatch, [lambda: saved(world, made.json()["id"], name="Theirs")])
    mine = graph.post(f"{one}/reorder", json={"priority": 7})
    assert mine.status_code == 204
    after = graph.get(one).json()
    assert (after["name"], after["priorityMetaData"]["priority"]) == ("Theirs", 7)
    # Numbers that were signed in vain are taken for ever; both found one that was free.
    assert b'"name":"Theirs"' in signed[-1]
    assert b'"priority":7' in signed[-1]


def test_what_was_deleted_while_it_was_signed_stays_deleted(
    graph: Client, world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = graph.post(POLICIES, json=a_policy()).json()["id"]
    one = f"{POLICIES}/{made}"

    def delete() -> None:
        with world.writing() as connection:
            world.manager.policies.delete(connection, world.manager.acting, made)

    meanwhile(monkeypatch, [delete])
    assert graph.patch(one, json={"name": "Mine"}).status_code == 404
    assert graph.get(one).status_code == 404


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
