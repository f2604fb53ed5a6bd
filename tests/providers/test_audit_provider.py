"""The kernel's audit: laws, the rules that come of settings, what is said where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.audit_scene import (
    BEHAVIOR,
    EXCLUSIONS,
    ON,
    PROVIDER,
    WORDS,
    Kernel,
    a_host,
    choices,
    excluded_path,
    excluded_program,
    name,
    rules,
    watch,
)
from tests.support.hardening import apply, catalog
from tests.support.memory_host import MemoryHost
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit import AuditProvider
from shieldwall.agent.providers.audit import profile as at
from shieldwall.agent.providers.audit.kernel import BEFORE
from shieldwall.agent.providers.audit.packs import BEHAVIOR_PACKS, PACKS
from shieldwall.agent.providers.audit.rendering import EXCLUDED, LOCK, MEMORY, READER, READER_UNIT, READER_WANTED, RULES
from shieldwall.agent.providers.audit_loading import AuditRefusedError
from shieldwall.agent.providers.base import Desired, Surroundings
from shieldwall.contract.ids import SettingId

ANYTHING: Final = st.none() | st.binary(max_size=20)


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries(dict.fromkeys(PROVIDER.files(), ANYTHING))
    desired = desired_settings(catalog(), WORDS.places)


# Rules


def test_every_pack_that_holds_by_default_is_there_and_no_other() -> None:
    loaded = {pack for pack in (*PACKS, "execution") if any(f"key={KEY}{pack.lower()}" in line for line in rules(ON))}

    off = {"accessDenied", "permissionChanges", "fileDeletion", "connections"}
    assert loaded == {*PACKS, "execution"} - off


@pytest.mark.parametrize("pack", PACKS)
def test_each_pack_is_switched_by_its_setting_alone(pack: str) -> None:
    on, off = (rules({**ON, **choices(**{f"packs_{pack}": word})}) for word in ("true", "false"))

    assert {line for line in on if line not in off} == {
        line for line in on if line.endswith(f"key={KEY}{pack.lower()}")
    }
    assert len(on) > len(off)


def test_execution_is_written_down_of_nobody_of_people_or_of_all() -> None:
    def execution(word: str, kept: Mapping[str, Any]) -> list[str]:
        lines = rules({**ON, **choices(packs_execution=word)}, kept)
        return [line for line in lines if line.endswith(f"key={KEY}execution") and "b64" in line]

    seen = {"machine": {"homes": [], "webUsers": [33], "users": {}}}
    assert execution("off", seen) == []
    assert ["-F auid!=unset" in line for line in execution("users", seen)] == [True, False]
    assert "-F uid=33" in execution("users", seen)[1]
    (every,) = execution("all", seen)
    assert "auid" not in every


def test_watches_of_a_policy_have_a_key_of_ours_and_stand_before_the_packs() -> None:
    lines = rules(
        {**ON, name("watches"): (watch("/srv/shop/", "write", "attributes", key="shop"), watch("/x", "read"))}
    )

    shop = f"-a always,exit -F dir=/srv/shop -F perm=wa -F key={KEY}watch_shop"
    assert lines.index(shop) < lines.index(f"-a always,exit -F path=/etc/passwd -F perm=wa -F key={KEY}identity")
    assert f"-a always,exit -F path=/x -F perm=r -F key={KEY}watch" in lines


def test_what_is_left_out_stands_before_everything_else() -> None:
    wanted: Desired = {
        **ON,
        name("excludedusers"): ("34", "backup"),
        name("excludedprograms"): ("/usr/bin/rsync",),
        EXCLUSIONS: (excluded_path("/srv/db", directory=True), excluded_program("/usr/sbin/mysqld")),
    }
    lines = rules(wanted, {"machine": {"users": {"backup": 34}, "homes": [], "webUsers": []}})

    never = [line for line in lines if line.startswith("-a never")]
    assert [line.split(" -F ")[1] for line in never] == [
        "uid=34",
        "uid=34",
        "exe=/usr/bin/rsync",
        "dir=/srv/db",
        "exe=/usr/sbin/mysqld",
    ]
    assert lines.index(never[-1]) < next(n for n, line in enumerate(lines) if line.startswith("-a always"))


def test_global_exclusions_hold_for_behavior_monitoring_and_alone_do_nothing() -> None:
    alone: Desired = {EXCLUSIONS: (excluded_path("/srv/db", directory=True),)}
    both = {**alone, BEHAVIOR: f"{BEHAVIOR}_1"}

    assert rules(alone) == []
    assert any("never" in line for line in rules(both))


def test_behavior_monitoring_loads_its_packs_without_the_audit_profile() -> None:
    lines = rules({BEHAVIOR: f"{BEHAVIOR}_1"})
    keys = {line.rpartition("key=")[2] for line in lines if "key=" in line}

    assert keys == {f"{KEY}{pack.lower()}" for pack in BEHAVIOR_PACKS}
    assert rules({BEHAVIOR: f"{BEHAVIOR}_0"}) == []
    assert rules({**choices(enabled="false"), **choices(packs_connections="true")}) == []


def test_limits_and_what_lasts_are_written_as_auditctl_takes_them() -> None:
    wanted = {
        **ON,
        **choices(failuremode="silent", loginuidimmutable="true", immutable="true"),
        name("limits_backloglimit"): 16_384,
        name("limits_backlogwaittime"): 0,
        name("limits_ratelimit"): 500,
    }
    files = PROVIDER.render({}, wanted, {}).files

    assert rules(wanted)[-5:] == ["-b 16384", "--backlog_wait_time 0", "-r 500", "-f 0", "--loginuid-immutable"]
    assert (files[LOCK] or b"").endswith(b"-e 2\n")
    assert PROVIDER.render({}, ON, {}).files[LOCK] is None
    assert rules(ON)[-1] == "-b 8192"


def test_keys_of_people_are_watched_where_they_have_some() -> None:
    host = a_host(
        Kernel(), files={PurePosixPath("/etc/passwd"): b"ada:x:1000:1000::/home/ada:/bin/sh\nwww-data:x:33:33::/:/\n"}
    )
    seen = PROVIDER.survey(host, ON, Surroundings())
    assert seen == {"machine": {"homes": [], "users": {}, "webUsers": [33]}}, "a home without keys is none"

    lines = rules(ON, {"machine": {"homes": ["/home/ada"], "users": {}, "webUsers": []}})
    assert f"-a always,exit -F dir=/home/ada/.ssh -F perm=wa -F key={KEY}authentication" in lines


def test_what_no_rule_can_name_is_refused_item_by_item() -> None:
    wanted = {
        **ON,
        name("watches"): (watch("/srv/a b", "write"), watch("/srv/c", "write")),
        name("excludedusers"): ("backup", "nobodyknows"),
        name("excludedprograms"): ("/usr/bin/rsync", "/usr/bin/bash", "/opt/x y"),
        EXCLUSIONS: (excluded_program("mysqld"), excluded_path("/srv/é è", directory=False)),
    }
    rejected = PROVIDER.render({}, wanted, {"machine": {"users": {"backup": 34}}}).rejected

    assert {setting: [(item.item, item.code) for item in items] for setting, items in rejected.items()} == {
        name("watches"): [("/srv/a b", "pattern")],
        name("excludedusers"): [("nobodyknows", "noSuchUser")],
        name("excludedprograms"): [("/usr/bin/bash", "interpreter"), ("/opt/x y", "pattern")],
        EXCLUSIONS: [("mysqld", "notAPath"), ("/srv/é è", "pattern")],
    }


@given(desired=desired_settings(catalog(), WORDS.places))
def test_no_rule_breaks_out_of_its_line(desired: Desired) -> None:
    for line in rules(desired):
        assert line.startswith(("-a always,exit ", "-a never,exit ", "-c", "-b ", "-f ", "-r ", "--"))
        assert not set(line) & set("\"'\\\0\t")
        assert not line.startswith("-a") or f" -F key={KEY}" in line


# What is said where it cannot be


def test_it_says_that_the_engine_is_unavailable_where_audit_cannot_be_used() -> None:
    """In a container the kernel says: Operation not permitted."""
    host = a_host(Kernel(refuses="Operation not permitted"))
    for setting in WORDS.places:
        support = PROVIDER.support(host, setting)
        assert support is not None
        assert not support.applicable
        assert support.reason.startswith("Engine unavailable")
        assert "Operation not permitted" in support.reason
    assert PROVIDER.product_version(host) == "unavailable"


def test_without_auditd_or_in_a_root_of_its_own_it_says_so() -> None:
    for host, word in ((SystemdHost(), "auditd"), (MemoryHost(programs={"auditctl": Kernel()}), "root of its own")):
        support = PROVIDER.support(host, name("enabled"))
        assert support is not None
        assert not support.applicable
        assert word in support.reason
    assert PROVIDER.product_version(SystemdHost()) is None
    assert PROVIDER.support(SystemdHost(), SettingId("linux_shieldwall_firewall_global_enabled")) is None


def test_without_auditctl_nothing_is_claimed_to_be_loaded() -> None:
    host = SystemdHost()
    with pytest.raises(AuditRefusedError, match="auditctl"):
        apply(host, PROVIDER, ON)


# The kernel


def seen(host: MemoryHost, provider: AuditProvider, desired: Desired) -> dict[str, tuple[bool | None, str]]:
    found = provider.observe(host, desired)
    return {WORDS.places[setting]: (each.effective, each.code) for setting, each in found.items()}


def test_rules_come_and_go_and_everything_else_is_as_it_was() -> None:
    foreign = ["-w /etc/theirs -p wa -k theirs", "-a always,exit -S bpf -F key=shieldwall_blockBpf"]
    kernel = Kernel(foreign=foreign)
    kernel.values["backlog_limit"] = "320"
    host, provider = a_host(kernel), AuditProvider(catalog())
    wanted = {**ON, **choices(failuremode="silent")}
    before = dict(kernel.values)

    rendered = apply(host, provider, wanted)
    assert kernel.values["enabled"] == "1"
    assert (kernel.values["backlog_limit"], kernel.values["failure"]) == ("8192", "0")
    assert kernel.rules[:2] == foreign
    assert len(kernel.rules) > 100
    assert host.files.get(BEFORE) is not None
    loaded = list(kernel.rules)
    provider.activate(host)
    assert kernel.rules == loaded, "once more changes nothing"

    apply(host, provider, {}, dict(rendered.kept))
    assert kernel.rules == foreign
    assert kernel.values == before
    assert host.files.get(BEFORE) is None


@pytest.mark.parametrize("times", [1, 2])
def test_rules_that_auditctl_overlooks_are_taken_out_all_the_same(times: int) -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    before = dict(kernel.values)
    rendered = apply(host, provider, ON)
    kernel.overhears[f"{KEY}networkconfiguration"] = times

    apply(host, provider, {}, dict(rendered.kept))

    assert kernel.rules == []
    assert kernel.values == before


def test_rules_that_stay_are_named_and_taken_out_the_next_time() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    before = dict(kernel.values)
    rendered = apply(host, provider, ON)
    kernel.overhears[f"{KEY}networkconfiguration"] = 3

    with pytest.raises(AuditRefusedError, match=f"{KEY}networkconfiguration"):
        apply(host, provider, {}, dict(rendered.kept))
    provider.activate(host)

    assert kernel.rules == []
    assert kernel.values == before


def test_rules_that_stay_keep_others_from_being_loaded_beside_them() -> None:
    """What is left out no more would go on being left out."""
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    rendered = apply(host, provider, {**ON, name("excludedprograms"): ("/usr/bin/rsync",)})
    kernel.overhears[EXCLUDED] = 3

    with pytest.raises(AuditRefusedError, match=EXCLUDED):
        apply(host, provider, ON, dict(rendered.kept))


def test_a_list_of_rules_that_did_not_come_is_no_empty_one() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    rendered = apply(host, provider, ON)
    silent = True

    def auditctl(words: Sequence[str], stdin: bytes) -> Completed:
        return Completed(returncode=0, stdout=b"", stderr=b"") if silent and words == ["-l"] else kernel(words, stdin)

    host.programs["auditctl"] = auditctl
    with pytest.raises(HostError, match="before the kernel had answered"):
        apply(host, provider, {}, dict(rendered.kept))
    assert kernel.rules
    assert {each.effective for each in provider.observe(host, ON).values()} == {None}

    silent = False
    provider.activate(host)
    assert kernel.rules == []


def test_a_directory_that_comes_later_is_watched_soon(tmp_path: Path) -> None:
    kernel, wanted = Kernel(), {**ON, **choices(packs_identity="true", packs_authentication="true")}
    host, provider = a_host(kernel), AuditProvider(catalog())
    host.locate = lambda path: tmp_path.joinpath(*path.parts[1:])  # type: ignore[method-assign]  # a real disk below
    host.locate(PurePosixPath("/run/systemd/system")).mkdir(parents=True)
    kernel.takes = lambda rule: "sudoers.d" not in rule or (tmp_path / "etc/sudoers.d").is_dir()
    apply(host, provider, wanted)
    assert not [rule for rule in kernel.rules if "sudoers.d" in rule]
    assert provider.supervise(host, wanted) == []

    (tmp_path / "etc/sudoers.d").mkdir(parents=True)

    assert seen(host, provider, wanted)["audit.packs.identity"] == (False, "auditRuleMissing")
    assert seen(host, provider, wanted)["audit.packs.authentication"] == (True, "")
    assert provider.supervise(host, wanted) == ["Audit rules were gone from the kernel, and are loaded again."]
    assert seen(host, provider, wanted)["audit.packs.identity"] == (True, "")
    assert provider.supervise(host, wanted) == []


def test_what_holds_is_asked_of_the_kernel() -> None:
    kernel = Kernel()
    host, provider = (
        a_host(kernel, files={PurePosixPath("/proc/cmdline"): b"quiet audit=1\n"}),
        AuditProvider(catalog()),
    )
    wanted = {
        **ON,
        **choices(packs_identity="true", packs_connections="false", failuremode="log", immutable="false"),
        name("watches"): (watch("/srv/c", "write"),),
        name("limits_backloglimit"): 4_096,
        name("excludedprograms"): ("/usr/bin/rsync",),
        BEHAVIOR: f"{BEHAVIOR}_1",
    }
    apply(host, provider, wanted)

    fine = seen(host, provider, wanted)
    assert fine.pop(at.BEHAVIOR) == (True, "detectOnly")
    assert fine.pop("audit.packs.connections") == (None, "off")
    assert set(fine.values()) == {(True, "")}

    kernel.rules = [
        rule for rule in kernel.rules if "identity" not in rule and "/srv/c" not in rule and "rsync" not in rule
    ]
    kernel.values |= {"backlog_limit": "64", "lost": "7"}
    found = seen(host, provider, wanted)
    assert found["audit.packs.identity"] == (False, "auditRuleMissing")
    assert found[at.WATCHES] == (False, "watchMissing")
    assert found[at.PROGRAMS] == (False, "auditRuleMissing")
    assert found[at.BACKLOG] == (False, "auditValueDiffers")
    assert found[at.ENABLED] == (True, "eventsLost")
    assert found[at.BEHAVIOR] == (False, "auditRuleMissing")

    kernel.values["enabled"] = "0"
    assert seen(host, provider, ON)[at.ENABLED] == (False, "auditOff")
    kernel.values["enabled"] = "1"
    host.active.clear()  # type: ignore[attr-defined]
    assert seen(host, provider, ON)[at.ENABLED] == (False, "readerDown")


def test_a_rule_of_others_about_the_same_place_is_not_the_policys() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    wanted = {**ON, name("watches"): (watch("/srv/c", "write"), watch("/srv/d/", "read", key="mine"))}
    apply(host, provider, wanted)
    assert seen(host, provider, wanted)[at.WATCHES] == (True, "")

    kernel.rules = [
        "-w /srv/c -p x -k theirs",
        f"-a never,exit -S all -F dir=/srv/d -F key={EXCLUDED}",
        *(rule for rule in kernel.rules if "/srv/" not in rule),
    ]

    observation = provider.observe(host, wanted)[name("watches")]
    assert (observation.effective, observation.code) == (False, "watchMissing")
    assert "/srv/c, /srv/d/" in observation.reason


def test_programs_that_ran_before_are_not_seen_and_that_is_said() -> None:
    host = a_host(Kernel(), files={PurePosixPath("/proc/cmdline"): b"quiet\n"})
    provider = AuditProvider(catalog())
    apply(host, provider, ON)

    observation = provider.observe(host, ON)[name("enabled")]
    assert (observation.effective, observation.code) == (True, "notFromStart")
    assert "audit=1" in observation.reason


def test_rules_that_are_locked_wait_for_the_restart_and_it_is_said() -> None:
    kernel = Kernel(enabled="2", foreign=["-w /etc/theirs -p wa -k theirs"])
    host, provider = a_host(kernel), AuditProvider(catalog())
    rendered = apply(host, provider, {**ON, **choices(packs_identity="true")})

    assert kernel.rules == ["-w /etc/theirs -p wa -k theirs"]
    assert host.files[RULES], "they are loaded at the next start"
    observation = provider.observe(host, choices(packs_identity="true"))[name("packs_identity")]
    assert (observation.effective, observation.code) == (False, "auditLocked")
    assert not provider.supervise(host, ON)
    apply(host, provider, {}, dict(rendered.kept))
    assert host.files.get(RULES) is None


def test_locking_comes_last_and_cannot_be_taken_back() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    wanted = {**ON, **choices(immutable="true", loginuidimmutable="true")}
    rendered = apply(host, provider, wanted)

    assert kernel.values["enabled"] == "2"
    assert seen(host, provider, wanted)[at.IMMUTABLE] == (True, "")
    assert seen(host, provider, wanted)[at.LOGIN_UID] == (True, "")
    loaded = list(kernel.rules)
    off = {**ON, **choices(immutable="false", loginuidimmutable="false")}
    apply(host, provider, off, dict(rendered.kept))
    assert kernel.rules == loaded
    assert seen(host, provider, off)[at.IMMUTABLE] == (False, "untilRestart")
    assert host.files.get(LOCK) is None, "after the restart it is not locked again"


def test_what_somebody_took_out_or_ended_is_brought_back_and_told() -> None:
    kernel = Kernel(foreign=["-w /etc/theirs -p wa -k theirs"])
    host, provider = a_host(kernel), AuditProvider(catalog())
    apply(host, provider, ON)
    assert provider.supervise(host, ON) == []
    whole = sorted(kernel.rules)

    kernel.rules, kernel.values["enabled"] = kernel.rules[:40], "0"
    host.active.clear()  # type: ignore[attr-defined]
    told = provider.supervise(host, ON)

    assert len(told) == 3
    assert sorted(kernel.rules) == whole
    assert kernel.values["enabled"] == "1"
    assert READER in host.active  # type: ignore[attr-defined]
    assert provider.supervise(host, ON) == []
    assert provider.supervise(host, {}) == ()


def test_nobody_is_fought_who_takes_rules_out_again_and_again() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    apply(host, provider, ON)
    loads, told = 0, set[str]()
    for _ in range(60):
        kernel.rules = []
        said = provider.supervise(host, ON)
        assert said
        told.update(said)
        loads += bool(kernel.rules)

    assert 3 < loads <= 10
    assert any("again and again" in each for each in told)
    for _ in range(70):
        provider.supervise(host, ON)
    kernel.rules = []
    assert provider.supervise(host, ON) == ["Audit rules were gone from the kernel, and are loaded again."]


def test_a_pack_that_this_machine_takes_nothing_of_is_not_loaded_again_and_again() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog())
    take = kernel.take
    kernel.take = lambda words: None if words[-1:] == [f"key={KEY}mounts"] else take(words)  # type: ignore[method-assign]
    apply(host, provider, ON)
    assert provider.observe(host, choices(packs_mounts="true"))[name("packs_mounts")].effective is False

    provider.supervise(host, ON)
    before = len(host.operations)
    assert provider.supervise(host, ON) == []
    assert not any(" -R " in operation for operation in host.operations[before:])


def test_the_program_that_reads_runs_while_something_is_audited() -> None:
    kernel = Kernel()
    host, provider = a_host(kernel), AuditProvider(catalog(), python="/opt/python")
    assert isinstance(host, SystemdHost)
    rendered = apply(host, provider, ON)

    assert READER in host.active
    assert b"ExecStart=/opt/python -I -m shieldwall.agent.edr\n" in host.files[READER_UNIT]
    assert READER.encode() in host.files[READER_WANTED]
    apply(host, provider, {}, dict(rendered.kept))
    assert READER not in host.active
    assert READER_UNIT not in host.files
    assert READER_WANTED not in host.files


def test_without_systemd_nothing_reads_and_that_is_said() -> None:
    host, provider = a_host(Kernel(), systemd=False), AuditProvider(catalog())
    apply(host, provider, ON)

    assert seen(host, provider, ON)[at.ENABLED] == (True, "notRead")


def test_a_memory_that_is_not_ours_says_nothing() -> None:
    files = dict(PROVIDER.render({}, ON, {}).files)
    assert PROVIDER.read(files) == ON
    assert PROVIDER.read({**files, RULES: b"-D\n"}) == {}
    memory = json.loads(files[MEMORY] or b"{}")
    for broken in (b"{}", b"[]", b'{"settings":{},"holds":[]}', json.dumps(memory).encode()):
        assert PROVIDER.read({**files, MEMORY: broken}) == {}
