from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from shieldwall.contract import errors as contract_errors
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.directory import registration
from shieldwall.server.gateway import problems
from shieldwall.server.gateway.problems import STATUS_OF, status_of
from shieldwall.server.inventory import nonces, package_check, promotion
from shieldwall.server.inventory.package_check import PackageRefusedError
from shieldwall.server.manager import sequence, turns
from shieldwall.server.storage.engine import database
from shieldwall.trust import certificate_request, request_signature

REACHABLE = (
    contract_errors,
    problems,
    request_signature,
    certificate_request,
    nonces,
    package_check,
    promotion,
    registration,
    turns,
    sequence,
    database,
)
BASES = {ShieldwallError, PackageRefusedError}


@pytest.mark.parametrize("module", REACHABLE, ids=lambda module: module.__name__)
def test_every_error_that_a_request_can_meet_has_a_status(module: ModuleType) -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, ShieldwallError) and kind.__module__ == module.__name__
    }
    assert kinds
    assert {kind.code for kind in kinds - BASES if kind.code not in STATUS_OF} == set()


def test_an_error_without_a_status_is_a_mistake_of_ours() -> None:
    assert status_of(ShieldwallError("Nobody thought of this.")) == 500
