"""Places that are watched: laws, what is said where nothing can deny, and rules that the real auditctl takes."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pytest
from tests.support.hardening import (
    EXCLUSIONS,
    apply,
    catalog,
    codes,
    contents_of,
    desired_of,
    exclusions,
    modes,
    setting,
)
from tests.support.memory_host import MemoryHost
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit_loading import AUDITD, AuditRefusedError, load, observe
from shieldwall.agent.providers.audit_rules import Calls, Unwatched, Watch, is_usable, keys_in, rules_file
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.hardening import (
    FapolicydProvider,
    KernelProvider,
    ModulesProvider,
    MountsProvider,
    WatchesProvider,
)
from shieldwall.agent.providers.hardening.base import AuditingProvider
from shieldwall.agent.providers.hardening.irreversible import MODULES

PROVIDER = WatchesProvider(catalog())
AUDITED = modes(blockPersistenceLocations="audit", blockLogTampering="audit", blockWebShellCreation="audit")
PROVIDERS: tuple[AuditingProvider, ...] = (
    PROVIDER,
    KernelProvider(catalog()),
    MountsProvider(catalog()),
    ModulesProvider(catalog()),
    FapolicydProvider(catalog()),
)


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = contents_of(PROVIDER, {})
    desired = desired_of(PROVIDER)


def rules(desired: Desired) -> str:
    return (PROVIDER.render({AUDITD: b""}, desired, {}).files[PROVIDER.audit_file] or b"").decode()


def test_what_nothing_can_deny_is_not_applicable_with_the_reason() -> None:
    wanted = modes(
        blockPersistenceLocations="block",
        blockLogTampering="block",
        blockWebShellCreation="block",
    )
    rendered = PROVIDER.render({AUDITD: b""}, wanted, {})

    assert codes(rendered, wanted) == ["notEnforceable"] * 3
    assert rendered.files.get(PROVIDER.audit_file) is None
    assert PROVIDER.read(rendered.files) == {}


def test_without_auditd_the_reason_names_it() -> None:
    support = PROVIDER.support(MemoryHost(), setting("blockLogTampering"))

    assert support is not None
    assert not support.applicable
    assert "auditd" in support.reason


def test_programs_and_paths_that_are_left_out_stand_before_what_is_watched() -> None:
    roots = setting("blockWebShellCreation", "documentroots")
    found = rules(
        {
            **AUDITED,
            **exclusions("blockPersistenceLocations", "/usr/bin/puppet"),
            **exclusions("blockWebShellCreation", "/srv/shop/cache"),
            roots: ("/srv/shop",),
        }
    )

    left_out = "-a never,exit -F dir=/etc/cron.d -F perm=wa -F exe=/usr/bin/puppet"
    assert found.index(left_out) < found.index("-a always,exit -F dir=/etc/cron.d -F perm=wa")
    assert found.index("-a never,exit -F dir=/srv/shop/cache") < found.index("-a always,exit -F dir=/srv/shop -F")
    assert "exe=/usr/sbin/logrotate" in found


def test_what_an_audit_rule_cannot_name_is_refused() -> None:
    wanted = {**AUDITED, EXCLUSIONS: ("/srv/a b", "/srv/*/x", "/usr/bin/backup")}
    rendered = PROVIDER.render({AUDITD: b""}, wanted, {})

    assert [item.item for item in rendered.rejected[EXCLUSIONS]] == ["/srv/a b", "/srv/*/x"]
    assert is_usable("/usr/bin/backup")
    assert not is_usable("relative")


def test_a_rule_is_written_for_both_tables_of_system_calls() -> None:
    content = rules_file([Calls(key="k", names=("bpf",), conditions=("uid>=1000",))]).decode()

    assert content.splitlines()[-2:] == [
        "-a always,exit -F arch=b64 -S bpf -F uid>=1000 -F key=k",
        "-a always,exit -F arch=b32 -S bpf -F uid>=1000 -F key=k",
    ]


def test_keys_are_found_in_both_notations() -> None:
    assert keys_in("-w /etc/passwd -p wa -k theirs\n-a always,exit -S bpf -F key=ours\n") == {"theirs", "ours"}


@pytest.mark.parametrize(
    ("status", "listing", "effective", "code"),
    [
        (b"enabled 1\n", b"-w /x -p r -k ours\n", True, ""),
        (b"enabled 2\n", b"-w /x -p r -k ours\n", True, ""),
        (b"enabled 0\n", b"-w /x -p r -k ours\n", False, "auditOff"),
        (b"enabled 1\n", b"No rules\n", False, "auditRuleMissing"),
        (b"enabled 2\n", b"No rules\n", False, "auditLocked"),
        (b"enabled 1\n", b"", None, "programFailed"),
    ],
)
def test_whether_it_is_in_force_is_asked_of_the_kernel(
    status: bytes, listing: bytes, effective: bool | None, code: str
) -> None:
    calls: list[str] = []

    def auditctl(words: list[str], _stdin: bytes) -> Completed:
        calls.append(words[0])
        held = b"No rules\n" if "-D" in calls else listing
        return Completed(returncode=0, stdout={"-s": status, "-l": held}.get(words[0], b""), stderr=b"")

    host = MemoryHost({PurePosixPath("/f"): b""}, programs={"auditctl": auditctl})  # type: ignore[dict-item]

    seen = observe(host, PurePosixPath("/f"), "ours")
    with contextlib.nullcontext() if listing else pytest.raises(ProgramError, match="before the kernel had answered"):
        load(host, PurePosixPath("/f"), ["ours"])

    assert (seen.effective, seen.code) == (effective, code)
    assert ("-R" in calls) == (status != b"enabled 2\n" and listing != b"")


@pytest.fixture
def kernel() -> Iterator[None]:
    """Leave the kernel's audit rules as they were: ours, by their keys, are taken out whatever happens."""
    before = listing()
    yield
    for provider in PROVIDERS:
        for rule in provider.rules:
            subprocess.run(["auditctl", "-D", "-k", provider.key(rule)], check=False, capture_output=True)
    assert listing() == before


def listing() -> str:
    return subprocess.run(["auditctl", "-l"], check=True, capture_output=True, text=True).stdout


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_the_real_kernel_takes_every_rule_and_lets_go_of_it(provider: AuditingProvider, tmp_path: Path) -> None:
    audited = [
        rule
        for rule in provider.rules
        if f"{setting(rule)}_audit" in {option.item_id for option in catalog().definition(setting(rule)).options}
    ]
    host = LocalHost(tmp_path, program_directories=[Path("/usr/sbin")])
    files = {AUDITD: b"", MODULES.path: b"0\n"}
    rendered = provider.render(files, modes(**dict.fromkeys(audited, "audit")), {})
    keys = [provider.key(rule) for rule in audited]
    host.write_file(provider.audit_file, rendered.files[provider.audit_file])
    expected = keys_in((rendered.files[provider.audit_file] or b"").decode())
    assert expected

    load(host, provider.audit_file, keys)
    assert keys_in(listing()) >= expected
    load(host, provider.audit_file, keys)

    host.write_file(provider.audit_file, None)
    load(host, provider.audit_file, keys)
    assert not keys_in(listing()) & expected


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_a_rule_about_what_is_missing_keeps_no_later_one_out(tmp_path: Path) -> None:
    host = LocalHost(tmp_path, program_directories=[Path("/usr/sbin")])
    path = PurePosixPath("/etc/audit/rules.d/test.rules")
    key = PROVIDER.key("blockLogTampering")
    missing = Watch(key=PROVIDER.key("blockWebShellCreation"), path="/nowhere/at/all/", access="wa")
    there = Watch(key=key, path="/var/log/", access="wa", unless=("/usr/sbin/logrotate",))
    host.write_file(path, rules_file([missing, Unwatched(key=key, path="/var/log/apt/", access="wa"), there]))

    load(host, path, [key, missing.key])

    assert keys_in(listing()) >= {key}
    assert missing.key not in keys_in(listing())


@pytest.mark.root
@pytest.mark.audit
@pytest.mark.usefixtures("kernel")
def test_a_directory_that_goes_and_comes_back_is_missed_until_it_is_watched_again(tmp_path: Path) -> None:
    """As a package does that is removed and put back; the kernel's other rules of the same key hide nothing."""
    host = LocalHost(Path("/"), program_directories=[Path("/usr/sbin")])
    path, key = PurePosixPath(f"{tmp_path}/test.rules"), PROVIDER.key("blockWebShellCreation")
    stays, goes = tmp_path / "stays", tmp_path / "goes"
    for place in (stays, goes):
        place.mkdir()
    watches = [Watch(key=key, path=f"{place}/", access="wa", unless=("/usr/bin/dpkg",)) for place in (stays, goes)]
    host.write_file(path, rules_file([Unwatched(key=key, path=f"{goes}/cache/", access="wa"), *watches]))
    load(host, path, [key])
    assert observe(host, path, key).code in {"", "auditOff"}

    shutil.rmtree(goes)
    assert str(goes) not in listing(), "the kernel drops a rule with its directory"
    assert observe(host, path, key).code in {"", "auditOff"}
    goes.mkdir()

    seen = observe(host, path, key)
    assert (seen.effective, seen.code) == (False, "auditRuleMissing")
    assert str(goes) in seen.reason
    load(host, path, [key])
    assert str(goes) in listing()
    assert observe(host, path, key).code in {"", "auditOff"}


def test_rules_that_stay_are_named() -> None:
    def auditctl(words: Sequence[str], _stdin: bytes) -> Completed:
        said = {"-s": b"enabled 1\n", "-l": b"-w /x -p r -k ours\n"}.get(words[0], b"")
        return Completed(returncode=0, stdout=said, stderr=b"")

    host = MemoryHost({}, programs={"auditctl": auditctl})

    with pytest.raises(AuditRefusedError, match="rules of ours"):
        load(host, PurePosixPath("/f"), ["ours"])


def test_the_wish_to_audit_reaches_the_kernel_through_the_provider() -> None:
    loaded: list[tuple[str, ...]] = []

    def auditctl(words: list[str], _stdin: bytes) -> Completed:
        loaded.append(tuple(words))
        said = {"-s": b"enabled 1\n", "-l": b"No rules\n"}.get(words[0], b"")
        return Completed(returncode=0, stdout=said, stderr=b"")

    host = MemoryHost({AUDITD: b""}, programs={"auditctl": auditctl})  # type: ignore[dict-item]
    rendered = apply(host, PROVIDER, AUDITED)
    assert any(words[0] == "-R" for words in loaded)

    apply(host, PROVIDER, {}, rendered.kept)
    assert host.files == {AUDITD: b""}
