from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.receivers import authority, receiving
from tests.support.samples import TENANT_ID

from shieldwall.server.configuration.settings import InvalidSettingsError, ServerSettings, load, resolved, store
from shieldwall.server.configuration.settings_file import OutgoingSettings, SettingsFile
from shieldwall.server.outgoing.errors import InvalidReceiverError, ReceiverRefusedError
from shieldwall.server.outgoing.opening import open_outgoing


def settings(data: Path, outgoing: OutgoingSettings) -> ServerSettings:
    file = SettingsFile(tenant_id=TENANT_ID, database="", public_port=1, gateway_port=2, outgoing=outgoing)
    store(data, file)
    assert load(data) == resolved(data, file)
    return load(data)


def test_the_settings_say_who_may_be_asked(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text(authority().certificate)
    own = OutgoingSettings(loopback=True, certificate_authority="own.pem")
    with receiving(tmp_path) as receiver:
        with open_outgoing(settings(tmp_path, own)) as outgoing:
            assert asyncio.run(outgoing.fetch("GET", receiver.url)).status == 204
        with open_outgoing(settings(tmp_path, OutgoingSettings())) as outgoing:
            with pytest.raises(ReceiverRefusedError):
                asyncio.run(outgoing.fetch("GET", receiver.url))
            with pytest.raises(InvalidReceiverError):
                asyncio.run(outgoing.fetch("GET", "http://localhost/"))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "own.pem").write_text(content)
    found = settings(tmp_path, OutgoingSettings(certificate_authority="own.pem"))
    with open_outgoing(found) as outgoing, pytest.raises(InvalidSettingsError, match="certificateAuthority"):
        outgoing.trust()
