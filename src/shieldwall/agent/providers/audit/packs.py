"""The packs of audit rules: for each, what the kernel is asked to write down. Data, and pure.

*Who signed in* is ``auid``: it stays what it was when somebody becomes root. ``auid!=unset`` leaves services out. A
system call that one of the tables lacks stands in a rule of its own, for auditctl passes over the whole rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.providers.audit_rules import AuditRule, Calls, Watch

PEOPLE: Final = ("auid>=1000", "auid!=unset")
SIGNED_IN: Final = ("auid!=unset",)
_ATTACHING: Final = ("0x4", "0x5", "0x6", "0xd", "0xf", "0x10", "0x4206")
"""Requests of ptrace(2) that write into a process, or take hold of it."""
_IPV4, _IPV6 = "a2=0x10", "a2=0x1c"
"""Lengths of the addresses of internet sockets; what is local has others."""


class Machine(Struct, frozen=True, kw_only=True):
    """What packs have to know of the machine."""

    homes: Sequence[str] = ()
    """Home directories of people, as far as they have keys of SSH."""
    web_users: Sequence[int] = ()
    """Users of web servers, by number."""


Make = Callable[[str, Machine], Iterable[AuditRule]]


def key_of(pack: str) -> str:
    """Name the rules of a pack in the audit log; ``pack`` as in its landing place."""
    return f"{KEY}{pack.lower()}"


def rules_of(pack: str, machine: Machine, *, execution: str = "users") -> list[AuditRule]:
    """Return the rules of a pack; ``execution`` says whose programs are written down."""
    if pack == "execution":
        return list(_execution(key_of(pack), machine, execution))
    return list(PACKS[pack](key_of(pack), machine))


def _written(key: str, *paths: str, access: str = "wa") -> Iterable[AuditRule]:
    return (Watch(key=key, path=path, access=access) for path in paths)


def _calls(key: str, *names: str, conditions: Sequence[str] = (), compared: Sequence[str] = ()) -> Calls:
    return Calls(key=key, names=names, conditions=tuple(conditions), compared=tuple(compared))


def _identity(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield from _written(key, "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/security/opasswd")
    yield from _written(key, "/etc/sudoers", "/etc/sudoers.d/")


def _authentication(key: str, machine: Machine) -> Iterable[AuditRule]:
    yield from _written(key, "/etc/pam.d/", "/etc/security/", "/etc/login.defs", "/etc/ssh/")
    yield from _written(key, "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/run/utmp")
    yield from _written(key, *(f"{home}/.ssh/" for home in dict.fromkeys(("/root", *machine.homes))))


def _privilege_escalation(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "execve", "execveat", conditions=("euid=0", *PEOPLE), compared=("uid!=euid",))
    yield _calls(key, "setuid", "setreuid", "setresuid", "setfsuid", conditions=("a0=0", *PEOPLE))
    yield _calls(key, "setgid", "setregid", "setresgid", "setfsgid", conditions=("a0=0", *PEOPLE))
    yield from (
        Watch(key=key, path=f"/usr/bin/{name}", access="x")
        for name in ("sudo", "su", "pkexec", "doas", "newgrp", "sg", "chsh", "chfn", "passwd", "gpasswd")
    )


def _module_loading(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "init_module", "finit_module", "delete_module")
    yield from _written(key, "/etc/modprobe.d/", "/etc/modules", "/etc/modules-load.d/")


def _time_change(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "settimeofday", "clock_settime")
    yield _calls(key, "adjtimex", "clock_adjtime", conditions=SIGNED_IN)
    yield from _written(
        key, "/etc/localtime", "/etc/timezone", "/etc/adjtime", "/etc/chrony/", "/etc/systemd/timesyncd.conf"
    )


def _mounts(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "mount", "umount2", conditions=PEOPLE)
    yield _calls(key, "move_mount", "fsmount", conditions=PEOPLE)
    yield from _written(key, "/etc/fstab")


def _network_configuration(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "sethostname", "setdomainname")
    yield from _written(
        key,
        *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf"),
        *("/etc/network/", "/etc/netplan/", "/etc/NetworkManager/", "/etc/systemd/network/", "/etc/hosts.allow"),
    )


def _persistence(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield from _written(
        key,
        *("/etc/crontab", "/etc/cron.d/", "/etc/cron.hourly/", "/etc/cron.daily/", "/etc/cron.weekly/"),
        *("/etc/cron.monthly/", "/var/spool/cron/", "/var/spool/at/", "/etc/systemd/", "/usr/lib/systemd/system/"),
        *("/usr/local/lib/systemd/", "/etc/init.d/", "/etc/rc.local", "/etc/profile", "/etc/profile.d/"),
        *("/etc/bash.bashrc", "/etc/environment", "/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d/"),
        *("/etc/udev/rules.d/", "/etc/xdg/autostart/", "/root/.bashrc", "/root/.profile", "/root/.bash_profile"),
    )


def _process_injection(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield from (_calls(key, "ptrace", conditions=(f"a0={request}",)) for request in _ATTACHING)
    yield _calls(key, "process_vm_writev")


def _log_deletion(key: str, _machine: Machine) -> Iterable[AuditRule]:
    below = "dir=/var/log"
    yield _calls(key, "unlinkat", "renameat", "renameat2", "truncate", "ftruncate", conditions=(below, *PEOPLE))
    yield _calls(key, "unlink", "rename", conditions=(below, *PEOPLE))


def _security_tools(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield from _written(
        key,
        *("/etc/audit/", "/etc/clamav/", "/etc/fapolicyd/", "/etc/shieldwall/", "/etc/nftables.conf"),
        *("/etc/apparmor.d/", "/etc/selinux/", "/etc/rsyslog.conf", "/etc/rsyslog.d/", "/etc/systemd/journald.conf"),
    )
    yield from (
        Watch(key=key, path=f"/usr/sbin/{name}", access="x")
        for name in ("auditctl", "aa-disable", "aa-teardown", "setenforce", "nft", "iptables", "service")
    )
    yield Watch(key=key, path="/usr/bin/systemctl", access="x")
    yield from (_calls(key, "kill", conditions=(f"a1={signal}", *SIGNED_IN)) for signal in ("9", "15"))


def _access_denied(key: str, _machine: Machine) -> Iterable[AuditRule]:
    for error in ("EACCES", "EPERM"):
        yield _calls(key, "openat", "truncate", "ftruncate", conditions=(f"exit=-{error}", *PEOPLE))
        yield _calls(key, "open", "creat", conditions=(f"exit=-{error}", *PEOPLE))


def _permission_changes(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "fchmod", "fchmodat", "fchown", "fchownat", conditions=PEOPLE)
    yield _calls(key, "chmod", "chown", "lchown", conditions=PEOPLE)
    yield _calls(
        key,
        *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
        conditions=PEOPLE,
    )


def _file_deletion(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield _calls(key, "unlinkat", "renameat", "renameat2", conditions=PEOPLE)
    yield _calls(key, "unlink", "rename", "rmdir", conditions=PEOPLE)


def _connections(key: str, _machine: Machine) -> Iterable[AuditRule]:
    yield from (_calls(key, "connect", conditions=(length,)) for length in (_IPV4, _IPV6))


def _execution(key: str, machine: Machine, whose: str) -> Iterable[AuditRule]:
    match whose:
        case "all":
            yield _calls(key, "execve", "execveat")
        case "users":
            yield _calls(key, "execve", "execveat", conditions=SIGNED_IN)
            # A web server that runs a shell is nobody who signed in, and what most intrusions begin with.
            yield from (_calls(key, "execve", "execveat", conditions=(f"uid={uid}",)) for uid in machine.web_users)
        case _:
            return


PACKS: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "identity": _identity,
        "authentication": _authentication,
        "privilegeEscalation": _privilege_escalation,
        "moduleLoading": _module_loading,
        "timeChange": _time_change,
        "mounts": _mounts,
        "networkConfiguration": _network_configuration,
        "persistence": _persistence,
        "processInjection": _process_injection,
        "logDeletion": _log_deletion,
        "securityTools": _security_tools,
        "accessDenied": _access_denied,
        "permissionChanges": _permission_changes,
        "fileDeletion": _file_deletion,
        "connections": _connections,
    }
)
"""By name in the landing place. The loud ones stand last: the first rule that matches decides."""
BEHAVIOR_PACKS: Final = (
    *("identity", "authentication", "privilegeEscalation", "moduleLoading", "persistence", "processInjection"),
    *("securityTools", "execution"),
)
"""What is written down for the antivirus profile's behavior monitoring."""
