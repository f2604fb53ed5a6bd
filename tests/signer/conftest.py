"""A signer in this process, with a clock set by hand."""

from __future__ import annotations

import pytest

from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.trust.roots import TrustRoot
from tests.support.trust import TENANT, HandClock


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> InProcessSigner:
    return InProcessSigner.create(tmp_path_factory.mktemp("signer"), TENANT, HandClock())


@pytest.fixture(scope="session")
def root(signer: InProcessSigner) -> TrustRoot:
    return signer.trust_root()
