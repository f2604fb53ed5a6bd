"""The kernel's audit through the engine: what is reported where it works, where it cannot, and where it is undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.audit_scene import BEHAVIOR, Kernel, a_host, name
from tests.support.memory_host import MemoryHost
from tests.support.policies import choice, document
from tests.support.pretend_products import HandUptime
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.providers.registry import linux_providers
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState, SettingStatus

CATALOG = load(platform="linux")
ENABLED = name("enabled")
AUDIT_RULES = TemplateId("772a781b-0376-485f-bbb4-e0bca1fd1eb2_1")


def an_applier(host: MemoryHost, directory: Path) -> Applier:
    return Applier(
        host=host,
        store=Store(directory),
        providers=linux_providers(CATALOG),
        catalog=CATALOG,
        platform="linux",
        clock=HandClock(),
        uptime=HandUptime(),
    )


def enforced(applier: Applier, *documents: PolicyDocument) -> dict[str, SettingStatus]:
    report = applier.enforce(documents, target=None)
    assert not report.refused
    return {status.setting: status for status in report.settings if status.provider == "audit"}


def both() -> Sequence[PolicyDocument]:
    return document(1, choice(BEHAVIOR, "_1")), document(2, choice(ENABLED, "_true"), template=AUDIT_RULES)


def test_it_succeeds_with_the_reason_why_that_is_not_all(tmp_path: Path) -> None:
    kernel = Kernel(foreign=["-w /etc/theirs -p wa -k theirs"])
    host = a_host(kernel, files={PurePosixPath("/proc/cmdline"): b"audit=1"})
    applier = an_applier(host, tmp_path)

    found = enforced(applier, *both())
    assert {status.state for status in found.values()} == {SettingState.SUCCEEDED}
    assert (found[BEHAVIOR].code, found[BEHAVIOR].effective) == ("detectOnly", True)
    assert "nothing is stopped" in (found[BEHAVIOR].reason or "")
    assert found[ENABLED].effective is True

    kernel.rules = [rule for rule in kernel.rules if KEY not in rule]
    again = {status.setting: status for status in applier.refresh().settings if status.provider == "audit"}
    assert again[ENABLED].state is SettingState.SUCCEEDED
    assert any(KEY in rule for rule in kernel.rules), "what was taken out is back"

    enforced(applier)
    assert kernel.rules == ["-w /etc/theirs -p wa -k theirs"]
    assert not any("edr" in str(path) or "audit.json" in str(path) for path in host.files)


@pytest.mark.parametrize("refuses", ["Operation not permitted", "audit support not in kernel"])
def test_where_the_kernel_lets_nobody_it_is_not_applicable_and_says_why(tmp_path: Path, refuses: str) -> None:
    host = a_host(Kernel(refuses=refuses))
    before = dict(host.files)

    found = enforced(an_applier(host, tmp_path), *both())
    assert {status.state for status in found.values()} == {SettingState.NOT_APPLICABLE}
    for status in found.values():
        assert (status.reason or "").startswith("Engine unavailable")
        assert refuses in (status.reason or "")
    assert host.files == before
