"""Modules: what the real modprobe makes of our file, and a pretended kernel, for the real one may load none."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import strategies as st
from tests.support.hardening import apply, catalog, codes, contents_of, desired_of, exclusions, modes, setting
from tests.support.memory_host import MemoryHost
from tests.support.private_namespaces import mount, privately
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit_loading import AUDITD
from shieldwall.agent.providers.hardening import ModulesProvider
from shieldwall.agent.providers.hardening.irreversible import MODULES
from shieldwall.agent.providers.hardening.module_lists import LISTS
from shieldwall.agent.providers.hardening.modules import CONFIGURATION, UNIT
from shieldwall.agent.providers.hardening.systemd import unit_path

PROVIDER = ModulesProvider(catalog())
EVERYTHING = modes(**dict.fromkeys(LISTS, "block"))


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, {MODULES.path: st.none() | st.sampled_from([b"0\n", b"1\n"])})
    desired = desired_of(PROVIDER)


def with_modules(*loaded: str) -> MemoryHost:
    listing = "".join(f"{name} 16384 0 - Live 0x0000000000000000\n" for name in loaded)
    return MemoryHost({MODULES.path: b"0\n", PurePosixPath("/proc/modules"): listing.encode()})


def test_a_kernel_without_modules_says_engine_unavailable() -> None:
    rendered = apply(MemoryHost(), PROVIDER, EVERYTHING)
    support = PROVIDER.support(MemoryHost(), setting("blockUsbStorage"))

    assert codes(rendered, EVERYTHING) == ["engineUnavailable"] * len(LISTS)
    assert rendered.files.get(CONFIGURATION) is None
    assert support is not None
    assert (support.applicable, support.reason) == (False, "Engine unavailable: This kernel loads no modules.")


def test_the_kernel_of_this_machine_is_judged_by_what_it_shows() -> None:
    host = LocalHost(Path("/"))
    support = PROVIDER.support(host, setting("blockRareModules"))

    assert support is not None
    assert support.applicable == (host.read_file(MODULES.path) is not None)


@pytest.mark.root
def test_the_real_modprobe_refuses_what_is_blocked_and_takes_what_is_excluded() -> None:
    wanted = {**EVERYTHING, **exclusions("blockRareModules", "sctp")}
    rendered = PROVIDER.render({MODULES.path: b"0\n"}, wanted, {})

    def check() -> None:
        mount("-t", "tmpfs", "cover", "/etc/modprobe.d")
        Path(CONFIGURATION).write_bytes(rendered.files[CONFIGURATION] or b"")
        refused = {name: modprobe(name) for names in LISTS.values() for name in names}
        assert refused.pop("sctp") is False
        assert set(refused.values()) == {True}
        Path(CONFIGURATION).unlink()
        assert modprobe("tipc") is False

    privately(check)


@pytest.mark.root
def test_the_real_modprobe_writes_down_what_is_audited() -> None:
    rendered = PROVIDER.render({MODULES.path: b"0\n"}, modes(blockRareFilesystems="audit"), {})

    def check() -> None:
        mount("-t", "tmpfs", "cover", "/etc/modprobe.d")
        Path(CONFIGURATION).write_bytes(rendered.files[CONFIGURATION] or b"")
        plan = subprocess.run(["modprobe", "-n", "-v", "udf"], check=False, capture_output=True, text=True).stdout
        assert plan.startswith("install /usr/bin/logger -t shieldwall")
        assert "--ignore-install udf" in plan

    privately(check)


def test_another_rule_that_loads_it_all_the_same_is_seen() -> None:
    host = with_modules()
    host.programs["modprobe"] = answer({"udf": b"insmod /lib/udf.ko\n"}, b"install /bin/false \n")
    wanted = modes(blockRareFilesystems="block", blockUsbStorage="block")
    apply(host, PROVIDER, wanted)

    seen = PROVIDER.observe(host, wanted)

    assert seen[setting("blockRareFilesystems")].code == "moduleLoads"
    assert seen[setting("blockUsbStorage")].effective is True


def test_a_module_that_is_loaded_already_is_named() -> None:
    host = with_modules("usb_storage", "ext4")
    host.programs["modprobe"] = answer({}, b"install /bin/false \n")
    apply(host, PROVIDER, modes(blockUsbStorage="block"))

    seen = PROVIDER.observe(host, modes(blockUsbStorage="block"))[setting("blockUsbStorage")]

    assert (seen.effective, seen.code) == (None, "loadedUntilRestart")
    assert "usb_storage" in seen.reason


def test_the_lock_closes_after_what_is_excluded_was_loaded_and_stays() -> None:
    host = with_modules()
    asked: list[str] = []

    def modprobe(words: list[str], _stdin: bytes) -> Completed:
        assert host.files[MODULES.path] == b"0\n"
        asked.append(words[-1])
        return Completed(returncode=0, stdout=b"", stderr=b"")

    host.programs["modprobe"] = modprobe  # type: ignore[assignment]
    wanted = {**modes(blockModuleLoading="block"), **exclusions("blockModuleLoading", "nf_tables", "xfs")}

    rendered = apply(host, PROVIDER, wanted)

    assert asked == ["nf_tables", "xfs"]
    assert host.files[MODULES.path] == b"1\n"
    unit = (host.files[unit_path(UNIT)]).decode()
    assert unit.index("modprobe --quiet -- xfs") < unit.index("echo 1 > /proc/sys/kernel/modules_disabled")
    assert PROVIDER.observe(host, wanted)[setting("blockModuleLoading")].code == "untilRestart"
    apply(host, PROVIDER, {}, rendered.kept)
    assert host.files[MODULES.path] == b"1\n"
    assert unit_path(UNIT) not in host.files


def test_while_the_machine_starts_the_lock_waits(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/modules_disabled").write_text("0\n")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text('#!/bin/sh\n[ "$1" = daemon-reload ] || echo starting\n')
    (tmp_path / "bin/systemctl").chmod(0o755)
    host = LocalHost(tmp_path, program_directories=[tmp_path / "bin"])

    apply(host, PROVIDER, modes(blockModuleLoading="block"))

    assert host.read_file(MODULES.path) == b"0\n"
    seen = PROVIDER.observe(host, modes(blockModuleLoading="block"))[setting("blockModuleLoading")]
    assert (seen.effective, seen.code) == (None, "startingUp")


def test_under_systemd_the_unit_locks(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/modules_disabled").write_text("0\n")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(f'#!/bin/sh\n[ "$1" != restart ] || echo "$2" > {tmp_path}/asked\n')
    (tmp_path / "bin/systemctl").chmod(0o755)
    host = LocalHost(tmp_path, program_directories=[tmp_path / "bin"])

    apply(host, PROVIDER, modes(blockModuleLoading="block"))

    assert (tmp_path / "asked").read_text().strip() == UNIT


def test_auditing_of_the_lock_is_a_rule_of_auditd() -> None:
    rendered = PROVIDER.render({MODULES.path: b"0\n", AUDITD: b""}, modes(blockModuleLoading="audit"), {})

    assert b"-S init_module -S finit_module" in (rendered.files[PROVIDER.audit_file] or b"")


def answer(special: dict[str, bytes], usual: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN201
    def modprobe(words: list[str], _stdin: bytes) -> Completed:
        return Completed(returncode=0, stdout=special.get(words[-1], usual), stderr=b"")

    return modprobe


def modprobe(name: str) -> bool:
    """Say whether modprobe ran what we put in the place of loading; this kernel may have no modules to load."""
    done = subprocess.run(["modprobe", "-v", name], check=False, capture_output=True, text=True)
    return done.returncode == 1 and done.stdout.startswith("install /bin/false")
