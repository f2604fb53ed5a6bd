"""The kernel's audit against the real kernel, the real auditctl, augenrules and systemd."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.audit_scene import (
    BEHAVIOR,
    EXCLUSIONS,
    ON,
    PROVIDER,
    choices,
    excluded_path,
    name,
    rules,
    watch,
)
from tests.support.hardening import apply, catalog

from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.audit import AuditProvider
from shieldwall.agent.providers.audit.packs import PACKS, Machine, rules_of
from shieldwall.agent.providers.audit.rendering import LOCK, READER, READER_UNIT, RULES
from shieldwall.agent.providers.base import Desired


@pytest.fixture
def kernel() -> Iterator[None]:
    """Leave the kernel's audit as it was, whatever happens."""
    before = auditctl("-s"), auditctl("-l")
    yield
    for key in {line.rpartition("key=")[2].rpartition("-k ")[2] for line in auditctl("-l").splitlines()}:
        if key.startswith(KEY):
            auditctl("-D", "-k", key)
    values = dict(line.split(" ", 1) for line in before[0].splitlines() if " " in line)
    for option, value in (("-b", "backlog_limit"), ("-r", "rate_limit"), ("-f", "failure"), ("-e", "enabled")):
        auditctl(option, values[value])
    auditctl("--backlog_wait_time", values["backlog_wait_time"])
    assert auditctl("-l") == before[1]


def auditctl(*words: str) -> str:
    return subprocess.run(["auditctl", *words], check=False, capture_output=True, text=True).stdout


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_the_real_kernel_takes_every_pack_and_gives_everything_back(tmp_path: Path) -> None:
    host = LocalHost(tmp_path, program_directories=[Path("/usr/sbin")])
    provider = AuditProvider(catalog())
    (tmp_path / "data").mkdir()
    wanted: Desired = {
        **ON,
        **choices(**{f"packs_{pack}": "true" for pack in PACKS}, packs_execution="all", failuremode="silent"),
        name("watches"): (watch(f"{tmp_path}/data/", "write", key="mine"), watch("/etc/hostname", "read")),
        name("excludedusers"): ("34",),
        name("excludedprograms"): ("/usr/bin/rsync",),
        EXCLUSIONS: (excluded_path(f"{tmp_path}/data", directory=True),),
        name("limits_backloglimit"): 9_000,
        name("limits_ratelimit"): 100_000,
        BEHAVIOR: f"{BEHAVIOR}_1",
    }
    before = auditctl("-s"), auditctl("-l")
    rendered = apply(host, provider, wanted)
    assert not rendered.rejected

    found = provider.observe(host, wanted)
    wrong = {setting: each for setting, each in found.items() if each.effective is not True}
    assert not wrong
    assert found[BEHAVIOR].code == "detectOnly"
    missing = {rule for pack in PACKS for rule in rules_of(pack, Machine())} - set()
    assert len(auditctl("-l").splitlines()) > len(missing)

    auditctl("-D", "-k", f"{KEY}persistence")
    assert provider.observe(host, wanted)[name("packs_persistence")].code == "auditRuleMissing"
    assert provider.supervise(host, wanted) == ["Audit rules were gone from the kernel, and are loaded again."]
    assert provider.observe(host, wanted)[name("packs_persistence")].effective is True

    apply(host, provider, {}, dict(rendered.kept))
    assert (comparable(auditctl("-s")), auditctl("-l")) == (comparable(before[0]), before[1])


@pytest.mark.root
@pytest.mark.audit
def test_in_a_container_the_real_auditctl_says_that_it_may_not_and_so_do_we() -> None:
    program = """
from pathlib import Path
from tests.support.audit_scene import PROVIDER, name
from shieldwall.agent.host.local import LocalHost
support = PROVIDER.support(LocalHost(Path("/"), program_directories=[Path("/usr/sbin")]), name("enabled"))
print(support.applicable, support.reason)
"""
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False Engine unavailable: The kernel lets nobody here use its audit:"), done.stdout


def comparable(status: str) -> list[str]:
    """What does not move by itself."""
    return [
        line for line in status.splitlines() if not line.startswith(("lost", "backlog ", "backlog_wait_time_actual"))
    ]


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_auditctl_understands_every_line_and_passes_over_nothing_but_what_is_missing(tmp_path: Path) -> None:
    content = PROVIDER.render({}, {**ON, **choices(failuremode="silent")}, {}).files[RULES]
    assert content is not None
    checked = tmp_path / "rules"
    checked.write_bytes(content)
    done = subprocess.run(["auditctl", "-R", str(checked)], check=False, capture_output=True, text=True)

    complaints = [
        line for line in done.stderr.splitlines() if "No such file" not in line and "error in line" not in line
    ]
    assert not complaints
    assert sum(line.startswith("-a") for line in content.decode().splitlines()) - done.stderr.count(
        "No such file"
    ) == len([line for line in auditctl("-l").splitlines() if KEY in line])


@pytest.mark.root
@pytest.mark.audit
def test_at_boot_augenrules_puts_our_rules_among_those_of_others_and_the_lock_at_the_end(tmp_path: Path) -> None:
    """In a mount namespace of its own, and without loading anything."""
    rules_directory = tmp_path / "rules.d"
    rules_directory.mkdir()
    (rules_directory / "10-theirs.rules").write_text("-D\n-b 320\n-f 2\n-w /etc/theirs -p wa -k theirs\n")
    (rules_directory / "99-finalize.rules").write_text("-w /etc/last -p wa -k last\n")
    wanted = {**ON, **choices(immutable="true", loginuidimmutable="true", failuremode="silent")}
    files = PROVIDER.render({}, wanted, {}).files
    for path in (RULES, LOCK):
        (rules_directory / path.name).write_bytes(files[path] or b"")
    script = f"mount --bind {tmp_path} /etc/audit && augenrules && cat /etc/audit/audit.rules"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "-D"
    assert lines[-1] == "-e 2"
    assert "--loginuid-immutable" in lines
    assert [line for line in lines if line.startswith("-f")][-1] == "-f 0", "ours counts"
    ours = [line for line in lines if KEY in line]
    assert lines.index("-w /etc/theirs -p wa -k theirs") < lines.index(ours[0])
    assert lines.index(ours[-1]) < lines.index("-w /etc/last -p wa -k last")
    assert [line for line in rules(wanted) if line.startswith("-a")] == ours


def test_systemd_understands_the_unit_of_what_reads(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    unit = tmp_path / READER
    unit.write_bytes(AuditProvider(catalog()).render({}, ON, {}).files[READER_UNIT] or b"")
    done = subprocess.run([program, "verify", str(unit)], check=False, capture_output=True, text=True, timeout=60)

    complaints = [line for line in done.stderr.splitlines() if READER in line]
    assert (done.returncode, complaints) == (0, [])
