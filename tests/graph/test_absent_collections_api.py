"""What backup tools go through and this server has nothing of: empty lists, whatever is asked of them."""

from __future__ import annotations

import pytest
from tests.support.admin import Client

from shieldwall.server.graph.absent_collections import ABSENT


@pytest.mark.parametrize("path", ABSENT)
def test_a_collection_that_is_not_here_is_empty_and_takes_nothing(embedded_graph: Client, path: str) -> None:
    asked = {"$filter": "(microsoft.graph.managedApp/appAvailability eq null)", "$expand": "assignments"}
    listed = embedded_graph.get(f"/beta{path}", params=asked)

    assert listed.status_code == 200
    assert listed.json()["value"] == []
    assert listed.json()["@odata.context"].endswith(path.lstrip("/"))
    assert embedded_graph.post(f"/beta{path}", json={"displayName": "x"}).status_code == 405
    assert embedded_graph.get(f"/beta{path}/").status_code == 200


def test_what_would_have_to_say_something_about_itself_is_not_found(embedded_graph: Client) -> None:
    for name in ("applePushNotificationCertificate", "androidManagedStoreAccountEnterpriseSettings"):
        assert embedded_graph.get(f"/beta/deviceManagement/{name}").status_code == 404
