"""The kernel's switches: laws, a pretended kernel, and what of the real one belongs to a namespace or goes back."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import strategies as st
from tests.support.hardening import apply, catalog, codes, contents_of, desired_of, modes, setting
from tests.support.memory_host import MemoryHost
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.host.kernel_files import KernelValueError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.hardening import KernelProvider, interfaces
from shieldwall.agent.providers.hardening.irreversible import LOCKS
from shieldwall.agent.providers.hardening.knobs import CORE_PATTERN, KNOBS, knobs_of, value_paths
from shieldwall.agent.providers.hardening.sysctl_files import SYSCTL_FILE

PROVIDER = KernelProvider(catalog())
SYS = PurePosixPath("/proc/sys")
_VALUES = st.none() | st.sampled_from([b"0\n", b"1\n", b"2\n", b"3\n", b"4\n", b"-1\n", b"63556\n", b"|/bin/x %p\n"])
BEFORE = {
    "fs/protected_symlinks": b"1\n",
    "fs/protected_regular": b"0\n",
    "kernel/kptr_restrict": b"0\n",
    "kernel/perf_event_paranoid": b"4\n",
    "kernel/unprivileged_bpf_disabled": b"1\n",
    "kernel/core_pattern": b"core\n",
    "user/max_user_namespaces": b"63556\n",
}


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, dict.fromkeys(value_paths(), _VALUES))
    desired = desired_of(PROVIDER)


def pretended(**more: bytes) -> MemoryHost:
    values = {**BEFORE, **{name.replace("__", "/"): value for name, value in more.items()}}
    return MemoryHost({SYS / name: value for name, value in values.items()})


def test_values_are_set_now_and_for_the_next_start_and_given_back() -> None:
    host = pretended()
    before = dict(host.files)

    rendered = apply(host, PROVIDER, modes(protectLinks="block", restrictKernelPointers="block"))

    assert host.files[SYS / "fs/protected_regular"] == b"2\n"
    assert host.files[SYS / "kernel/kptr_restrict"] == b"2\n"
    assert b"-kernel.kptr_restrict = 2\n" in host.files[SYSCTL_FILE]
    observed = PROVIDER.observe(host, modes(protectLinks="block", restrictKernelPointers="block"))
    assert [entry.effective for entry in observed.values()] == [True, True]

    apply(host, PROVIDER, {}, rendered.kept)

    assert host.files == before


def test_a_stronger_value_is_never_weakened() -> None:
    host = pretended()

    apply(host, PROVIDER, modes(restrictPerformanceEvents="block", blockUnprivilegedBpf="block"))

    assert host.files[SYS / "kernel/perf_event_paranoid"] == b"4\n"
    assert host.files[SYS / "kernel/unprivileged_bpf_disabled"] == b"1\n"  # the kernel would refuse any other
    assert b"-kernel.perf_event_paranoid = 4\n" in host.files[SYSCTL_FILE]


def test_what_the_kernel_lacks_is_not_applicable_and_says_engine_unavailable() -> None:
    host = pretended()
    wanted = modes(restrictPtrace="block", blockMagicSysrq="block", enforceKernelLockdown="block", blockKexec="block")

    rendered = apply(host, PROVIDER, wanted)

    assert codes(rendered, wanted) == ["engineUnavailable"] * 4
    for name in (setting("blockMagicSysrq"), setting("enforceKernelLockdown")):
        support = PROVIDER.support(host, name)
        assert support is not None
        assert not support.applicable
        assert support.reason.startswith("Engine unavailable: ")
    assert "yama" in (rendered.rejected[setting("restrictPtrace")][0].reason or "")


def test_a_distribution_switch_for_user_namespaces_goes_before_the_limit() -> None:
    host = pretended(kernel__unprivileged_userns_clone=b"1\n")

    apply(host, PROVIDER, modes(blockUnprivilegedUserNamespaces="block"))

    assert host.files[SYS / "kernel/unprivileged_userns_clone"] == b"0\n"
    assert host.files[SYS / "user/max_user_namespaces"] == b"63556\n"


def test_a_changed_value_is_drift_of_its_rule_alone() -> None:
    host = pretended()
    apply(host, PROVIDER, modes(protectLinks="block", restrictKernelPointers="block"))

    host.files[SYS / "kernel/kptr_restrict"] = b"1\n"

    files = {path: host.read_file(path) for path in PROVIDER.files()}
    assert set(PROVIDER.read(files)) == {setting("protectLinks")}
    seen = PROVIDER.observe(host, modes(restrictKernelPointers="block"))[setting("restrictKernelPointers")]
    assert (seen.effective, seen.reason) == (False, "kernel.kptr_restrict is 1.")


def test_locks_are_set_once_and_stay_when_the_policy_goes() -> None:
    kexec = LOCKS["blockKexec"].path
    lockdown = LOCKS["enforceKernelLockdown"].path
    host = MemoryHost({kexec: b"0\n", lockdown: b"[none] integrity confidentiality\n"})
    wanted = modes(blockKexec="block", enforceKernelLockdown="block")

    rendered = apply(host, PROVIDER, wanted)
    assert (host.files[kexec], host.files[lockdown]) == (b"1\n", b"integrity")
    host.files[lockdown] = b"none [integrity] confidentiality\n"
    seen = PROVIDER.observe(host, wanted)

    assert {entry.code for entry in seen.values()} == {"untilRestart"}
    apply(host, PROVIDER, {}, rendered.kept)
    assert host.files[kexec] == b"1\n"
    assert f"write {lockdown}" in host.operations
    assert host.operations.count(f"write {lockdown}") == 1


def test_a_lock_that_the_kernel_refuses_undoes_no_other_rule() -> None:
    kexec = LOCKS["blockKexec"].path

    def refuse(operation: str) -> None:
        if operation == f"write {kexec}":
            raise KernelValueError("The kernel does not let this value be changed.")

    host = MemoryHost({kexec: b"0\n", SYS / "kernel/kptr_restrict": b"0\n"}, before=refuse)
    wanted = modes(blockKexec="block", restrictKernelPointers="block")

    apply(host, PROVIDER, wanted)

    seen = PROVIDER.observe(host, wanted)
    assert (seen[setting("blockKexec")].effective, seen[setting("blockKexec")].code) == (False, "notLocked")
    assert seen[setting("restrictKernelPointers")].effective is True


def test_ptrace_for_nobody_is_a_lock_and_its_value_is_never_held() -> None:
    scope = SYS / "kernel/yama/ptrace_scope"
    host = MemoryHost({scope: b"1\n"})
    part = setting("restrictPtrace", "scope")
    wanted = {**modes(restrictPtrace="block"), part: f"{part}_nobody"}

    rendered = apply(host, PROVIDER, wanted)

    assert host.files[scope] == b"3\n"
    assert PROVIDER.observe(host, wanted)[setting("restrictPtrace")].code == "untilRestart"
    again = PROVIDER.render({path: host.read_file(path) for path in PROVIDER.files()}, wanted, rendered.kept)
    assert again.files[scope] == b"3\n"
    apply(host, PROVIDER, {}, rendered.kept)
    assert host.files[scope] in {b"1\n", b"3\n"}  # what the kernel makes of it


def test_audit_modes_need_auditd_and_are_rules_with_a_key() -> None:
    wanted = modes(restrictPtrace="audit", blockKexec="audit")
    without = apply(pretended(), PROVIDER, wanted)
    assert codes(without, wanted) == ["engineUnavailable"] * 2

    loaded: list[list[str]] = []

    def auditctl(arguments: list[str], _stdin: bytes) -> Completed:
        loaded.append(list(arguments))
        is_gone = next((call[0] == "-D" for call in reversed(loaded) if call[0] in {"-D", "-R"}), False)
        held = b"No rules\n" if is_gone else b"-a always,exit -S ptrace -F key=shieldwall_restrictPtrace\n"
        return Completed(returncode=0, stdout={"-s": b"enabled 1\n", "-l": held}.get(arguments[0], b""), stderr=b"")

    host = pretended()
    host.files[AUDITD] = b""
    host.programs["auditctl"] = auditctl  # type: ignore[assignment]
    rendered = apply(host, PROVIDER, wanted)

    assert not rendered.rejected
    assert b"-S ptrace -F uid>=1000" in host.files[PROVIDER.audit_file]
    assert ["-D", "-k", "shieldwall_restrictPtrace"] in loaded
    assert any(call[0] == "-R" for call in loaded)
    seen = PROVIDER.observe(host, wanted)
    assert seen[setting("restrictPtrace")].effective is True
    assert seen[setting("blockKexec")].code == "auditRuleMissing"


def test_interfaces_get_their_values_back(tmp_path: Path) -> None:
    for family, interface, value in (
        ("ipv4", "all", "1"),
        ("ipv4", "eth0", "1"),
        ("ipv6", "eth0", "1"),
        ("ipv4", "lo", "0"),
    ):
        directory = tmp_path / f"proc/sys/net/{family}/conf/{interface}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "accept_source_route").write_text(f"{value}\n")
    host = LocalHost(tmp_path)

    rendered = apply(host, PROVIDER, modes(blockSourceRouting="block"))

    assert not interfaces.still_on(host, ["net/ipv4/conf/*/accept_source_route"])
    assert host.read_file(SYS / "net/ipv4/conf/all/accept_source_route") == b"0\n"
    apply(host, PROVIDER, {}, rendered.kept)
    assert host.read_file(SYS / "net/ipv4/conf/eth0/accept_source_route") == b"1\n"
    assert host.read_file(SYS / "net/ipv4/conf/all/accept_source_route") == b"1\n"
    assert host.read_file(SYS / "net/ipv4/conf/lo/accept_source_route") == b"0\n"
    assert host.read_file(interfaces.BEFORE) is None


def test_a_later_file_of_others_is_named(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/kptr_restrict").write_text("0\n")
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    (tmp_path / "etc/sysctl.d/99-sysctl.conf").write_text("kernel.kptr_restrict = 0\n")
    host = LocalHost(tmp_path)
    wanted = modes(restrictKernelPointers="block")
    apply(host, PROVIDER, wanted)
    assert PROVIDER.observe(host, wanted)[setting("restrictKernelPointers")].code == ""

    (tmp_path / "etc/sysctl.d/zzz.conf").write_text("# theirs\nkernel/kptr_restrict=1\n")

    seen = PROVIDER.observe(host, wanted)[setting("restrictKernelPointers")]
    assert (seen.effective, seen.code) == (True, "overriddenAtStart")
    assert "/etc/sysctl.d/zzz.conf" in seen.reason


def test_what_holds_without_us_is_told() -> None:
    host = pretended()
    rendered = apply(host, PROVIDER, modes(restrictKernelPointers="block", restrictPerformanceEvents="block"))

    local = PROVIDER.local({path: host.read_file(path) for path in PROVIDER.files()}, rendered.kept)

    assert local[setting("restrictKernelPointers")].endswith("_off")  # type: ignore[union-attr]
    assert local[setting("restrictPerformanceEvents")].endswith("_block")  # type: ignore[union-attr]


@pytest.mark.parametrize("rule", sorted({*KNOBS, "blockUnprivilegedUserNamespaces"}))
def test_every_value_is_one_of_this_kernel_or_said_to_be_missing(rule: str) -> None:
    real = LocalHost(Path("/"))
    files = {path: real.read_file(path) for path in PROVIDER.files()}
    needed = [knob for knob in knobs_of(rule, files) if not knob.optional]

    support = PROVIDER.support(real, setting(rule))

    assert support is not None
    available = any(files[knob.path] is not None for knob in needed) or rule == "blockUnprivilegedUserNamespaces"
    assert support.applicable == available
    assert available or "Engine unavailable" in support.reason


def test_a_dump_goes_to_a_program_that_reads_nothing() -> None:
    assert CORE_PATTERN.startswith("|")
    assert Path(CORE_PATTERN[1:]).exists()
