"""A signer in this process, with a clock set by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.trust import TENANT, HandClock

from shieldwall.server.signer.keys import create_keys, load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with keys, to be copied: making keys takes its time."""
    data = tmp_path_factory.mktemp("initialised")
    create_keys(data / "keys", TENANT, HandClock())
    return data


@pytest.fixture
def data(tmp_path: Path, initialised: Path) -> Path:
    """Return a data directory of the test's own."""
    shutil.copytree(initialised / "keys", tmp_path / "keys")
    return tmp_path


@pytest.fixture
def signer(data: Path) -> Iterator[SignerService]:
    """Return a signer of the test's own."""
    ledger = Ledger(data / "signer")
    yield SignerService(keys=load_keys(data / "keys", TENANT), ledger=ledger, clock=HandClock())
    ledger.close()
