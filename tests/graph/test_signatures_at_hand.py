"""What publishes policies where nobody asked the signer outside of the transaction is refused, and asks nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.graph.test_slow_signer_api import meanwhile
from tests.manager.test_references import address_group
from tests.manager.test_reusable_settings import a_rule_draft
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES
from tests.support.manager_world import a_draft

from shieldwall.server.admin.authoring import authoring, changing, reusing
from shieldwall.server.manager.change_plans import ChangeSet, Create, Update
from shieldwall.server.manager.reusable_settings import ReusableDraft
from shieldwall.server.manager.signing import SignaturesWantedError
from shieldwall.server.signer.client import TenantSignerClient
from shieldwall.server.signer.ports import Signer


def test_what_publishes_without_signatures_at_hand_is_refused_before_anybody_is_asked(
    graph: Client, world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, manager = world.services, world.manager
    acting = services.acting("somebody")
    saving, changes, reuses = authoring(services), changing(services), reusing(services)
    offices = ReusableDraft(display_name="Offices", setting_instance=address_group("192.0.2.0/24"))
    wider = replace(offices, setting_instance=address_group("192.0.2.0/24", "198.51.100.0/24"))
    edit = a_draft("Edited", cloud="false")
    with world.writing() as connection:
        policy = manager.policies.create(connection, acting, a_draft()).id
        manager.policies.update(connection, acting, policy, edit)
        reused = reuses.create(connection, acting, offices).id  # no device gets that alone
        manager.policies.create(connection, acting, a_rule_draft(reused))
    before = graph.get(POLICIES).json()["value"]

    signed = meanwhile(monkeypatch, [])
    for publish in (
        lambda connection: saving.create(connection, acting, a_draft("Other")),
        lambda connection: saving.update(connection, acting, policy, a_draft("Other")),
        lambda connection: saving.reorder(connection, acting, policy, 7),
        lambda connection: saving.rollback(connection, acting, policy, 1),
        lambda connection: saving.create_copy(connection, acting, policy, "Copy"),
        lambda connection: changes.apply(connection, acting, ChangeSet(changes=(Create(draft=a_draft("Other")),))),
        lambda connection: changes.apply(
            connection, acting, ChangeSet(changes=(Update(policy=policy, draft=a_draft()),))
        ),
        lambda connection: reuses.update(connection, acting, reused, wider),
    ):
        with pytest.raises(SignaturesWantedError, match="signed_between"), world.writing() as connection:
            publish(connection)

    assert signed == [], "nobody waits for the signer inside a transaction"
    assert graph.get(POLICIES).json()["value"] == before


def test_what_asks_the_process_of_the_signer_is_nothing_to_publish_with() -> None:
    """As ``Signatures`` says; the type checker refuses it for the same reason."""
    assert not any(hasattr(asking, "envelope_of") for asking in (Signer, TenantSignerClient))
