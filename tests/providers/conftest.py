"""What tests of several providers set up alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.firewall_scene import Scene, firewall_scene
from tests.support.firewalling import Firewall
from tests.support.namespaces import NamespaceHost


@pytest.fixture(scope="module")
def whole_scene() -> Iterator[Scene]:
    """Two machines for all tests of a module."""
    with firewall_scene() as scene:
        yield scene


@pytest.fixture
def scene(whole_scene: Scene) -> Iterator[Scene]:
    """The two machines, on which no rule is left afterwards."""
    yield whole_scene
    whole_scene.device.run("nft", "flush", "ruleset")


@pytest.fixture
def firewall(scene: Scene, tmp_path: Path) -> Firewall:
    """The firewall of the device."""
    return Firewall(NamespaceHost(tmp_path, scene.device))
