"""A second server with the same data directory, or on a port that somebody has, does not start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.support.ports import free_port

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.roles import Role
from shieldwall.server.configuration.settings import resolved
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.processes.sole_server import AlreadyRunningError, PortTakenError, sole_server


def test_one_data_directory_is_one_server(tmp_path: Path) -> None:
    settings = resolved(
        tmp_path,
        SettingsFile(
            tenant_id=TenantId("00000000-0000-4000-8000-00000000000a"),
            database="sqlite:///x",
            public_port=free_port(),
            gateway_port=free_port(),
        ),
    )
    with sole_server(settings), pytest.raises(AlreadyRunningError), sole_server(settings):
        pass
    with sole_server(settings):
        pass  # the first one let go

    with (
        socket.create_server(("127.0.0.1", settings.gateway_port)),
        pytest.raises(PortTakenError, match=str(settings.gateway_port)),
        sole_server(settings),
    ):
        pass


def test_administrators_and_devices_have_ports_of_their_own(tmp_path: Path) -> None:
    """Granian would let both listen there, and each get half of the other's requests."""
    port = free_port()
    settings = resolved(
        tmp_path,
        SettingsFile(
            tenant_id=TenantId("00000000-0000-4000-8000-00000000000a"),
            database="sqlite:///x",
            public_port=port,
            gateway_port=port,
        ),
    )
    with pytest.raises(PortTakenError, match="administrators and of devices"), sole_server(settings):
        pass
    with sole_server(settings, [Role.GATEWAY]):
        pass  # the other one may be on another machine
