"""A tenant for the tests of what has to be believed."""

from __future__ import annotations

import pytest
from tests.support.trust import TENANT, HandClock

from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.trust.roots import TrustRoot


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> InProcessSigner:
    return InProcessSigner.create(tmp_path_factory.mktemp("signer"), TENANT, HandClock())


@pytest.fixture(scope="session")
def root(signer: InProcessSigner) -> TrustRoot:
    return signer.trust_root()
