"""The applier over attack surface reduction: from policies to the kernel's values and back, killed at any write too."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import pytest
from tests.support.hardening import PREFIX, setting
from tests.support.policies import catalog, choice, document, items, texts
from tests.support.pretend_products import Killed
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.hardening import (
    FapolicydProvider,
    KernelProvider,
    ModulesProvider,
    MountsProvider,
    SentryProvider,
    WatchesProvider,
)
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState

TEMPLATE: Final = TemplateId("e6a8cdaa-b2e2-4c5a-9684-bf49cc7e8370_1")
GROUP: Final = "linux_shieldwall_attacksurfacereductionrules"
VALUES: Final = {
    "fs/protected_symlinks": "0",
    "fs/protected_hardlinks": "1",
    "fs/protected_fifos": "0",
    "fs/protected_regular": "0",
    "kernel/kptr_restrict": "0",
    "kernel/modules_disabled": "0",
}


class KilledHost(LocalHost):
    """A machine that loses power at one of its writes."""

    def __init__(self, root: Path, *, writes: int) -> None:
        super().__init__(root)
        self._left = writes

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        super().write_file(path, content, mode=mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in VALUES.items():
        path = tmp_path / "root/proc/sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path / "root"


def applier(root: Path, host: LocalHost | None = None) -> Applier:
    words = catalog()
    return Applier(
        host=host or LocalHost(root),
        store=Store(root.parent / "state"),
        providers=[
            KernelProvider(words),
            MountsProvider(words),
            ModulesProvider(words),
            FapolicydProvider(words),
            SentryProvider(words),
            WatchesProvider(words),
        ],
        platform="linux",
        catalog=words,
        clock=HandClock(),
    )


def policy(number: int, **modes: str) -> PolicyDocument:
    rules = tuple(choice(PREFIX + rule.lower(), f"_{mode}") for rule, mode in modes.items())
    return document(number, items(GROUP, rules), template=TEMPLATE)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_rules_of_two_policies_hold_are_repaired_and_go_without_a_trace(root: Path) -> None:
    before = contents(root)
    policies = [
        policy(1, protectLinks="block", blockUsbStorage="block", restrictPtrace="block"),
        policy(2, restrictKernelPointers="block", blockLogTampering="block", blockSetuidOnUserFilesystems="block"),
    ]

    report = applier(root).enforce(policies)

    found = {status.setting: status for status in report.settings}
    assert {name: found[setting(name)].state for name in ("protectLinks", "restrictKernelPointers")} == {
        "protectLinks": SettingState.SUCCEEDED,
        "restrictKernelPointers": SettingState.SUCCEEDED,
    }
    assert found[setting("protectLinks")].effective is True
    for rule, provider in (
        ("restrictPtrace", "kernel"),
        ("blockLogTampering", "watches"),
        ("blockSetuidOnUserFilesystems", "mounts"),
    ):
        status = found[setting(rule)]
        assert (status.state, status.provider) == (SettingState.NOT_APPLICABLE, provider)
        assert status.reason
    assert (root / "proc/sys/kernel/kptr_restrict").read_text() == "2\n"
    assert "install usb_storage /bin/false" in (root / "etc/modprobe.d/shieldwall.conf").read_text()

    (root / "proc/sys/kernel/kptr_restrict").write_text("0\n")
    repaired = {status.setting: status.code for status in applier(root).refresh().settings}
    assert repaired[setting("restrictKernelPointers")] == "repaired"
    assert repaired[setting("protectLinks")] != "repaired"

    applier(root).release()
    assert contents(root) == before


def test_what_holds_until_the_restart_is_said(root: Path) -> None:
    (root / "proc/sys/kernel/kexec_load_disabled").write_text("0\n")

    (status,) = applier(root).enforce([policy(1, blockKexec="block")]).settings

    assert (status.state, status.effective, status.code) == (SettingState.SUCCEEDED, True, "untilRestart")
    assert "until the next restart" in (status.reason or "")


def test_policies_that_differ_leave_the_rule_alone(root: Path) -> None:
    report = applier(root).enforce([policy(1, protectLinks="block"), policy(2, protectLinks="off")])

    (status,) = report.settings
    assert status.state is SettingState.CONFLICT
    assert (root / "proc/sys/fs/protected_symlinks").read_text() == "0\n"


@pytest.mark.parametrize("writes", range(12))
def test_killed_at_any_write_the_next_run_goes_back_or_on(root: Path, writes: int) -> None:
    before = contents(root)
    wanted = [policy(1, protectLinks="block", restrictKernelPointers="block", blockRareModules="block")]
    try:
        applier(root, KilledHost(root, writes=writes)).enforce(wanted)
    except Killed:
        applier(root).recover()
        after = {path: content for path, content in contents(root).items() if not path.startswith("etc/.")}
        assert after == before

    applier(root).enforce(wanted)
    assert (root / "proc/sys/fs/protected_regular").read_text() == "2\n"
    applier(root).release()
    assert contents(root) == before


def test_an_exclusion_from_all_rules_is_told_of_by_each_who_has_to_do_with_it(root: Path) -> None:
    (root / "etc/audit").mkdir(parents=True)
    (root / "etc/audit/auditd.conf").write_text("")
    everywhere = "linux_shieldwall_attacksurfacereductiononlyexclusions"
    rules = items(GROUP, (choice(PREFIX + "blocklogtampering", "_audit"),))

    report = applier(root).enforce([document(1, rules, texts(everywhere, "/usr/bin/backup"), template=TEMPLATE)])

    told = {status.provider for status in report.settings if status.setting == everywhere}
    assert {"watches", "mounts", "fapolicyd", "sentry"} == told
    assert "exe=/usr/bin/backup" in (root / "etc/audit/rules.d/70-shieldwall-watches.rules").read_text()
