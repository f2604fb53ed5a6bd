"""Which programs pretend to be a tool of the system: by their name, and by where they lie. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

SYSTEM_TOOLS: Final = frozenset(
    {
        *("init", "systemd", "systemd-journald", "systemd-logind", "systemd-udevd", "systemd-resolved", "systemctl"),
        *("systemd-networkd", "systemd-timesyncd", "journalctl", "dbus-daemon", "polkitd", "NetworkManager", "udevd"),
        *("sshd", "ssh", "scp", "login", "agetty", "getty", "sudo", "su", "passwd", "chage", "useradd", "usermod"),
        *("cron", "crond", "crontab", "atd", "anacron", "rsyslogd", "syslogd", "syslog-ng", "auditd", "chronyd"),
        *("sh", "bash", "dash", "ps", "top", "kill", "pkill", "pgrep", "ls", "netstat", "ss", "lsof", "ip", "ifconfig"),
        *("mount", "umount", "modprobe", "insmod", "lsmod", "kmod", "ldconfig", "iptables", "nft", "chattr", "lsattr"),
        *("w", "who", "last", "id", "whoami", "hostname", "uname", "dmesg", "find", "grep", "cat", "curl", "wget"),
        *("apt", "apt-get", "dpkg", "rpm", "yum", "dnf", "zypper", "snapd", "clamd", "freshclam", "fapolicyd"),
        # Threads of the kernel, which no program is: their names are borrowed to pass unnoticed in a list.
        *(
            "kthreadd",
            "kworker",
            "ksoftirqd",
            "kswapd0",
            "khugepaged",
            "kauditd",
            "kdevtmpfs",
            "rcu_sched",
            "watchdogd",
        ),
    }
)
"""Names that somebody who reads a list of processes trusts."""
SYSTEM_DIRECTORIES: Final = (
    *("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libx32/", "/usr/libexec/"),
    *("/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/snap/", "/nix/store/", "/gnu/store/", "/usr/share/"),
)
_DELETED: Final = " (deleted)"


def pretends(path: str, excluded: Collection[str]) -> bool:
    """Say whether a program, by the path of its file, has the name of a system tool and lies elsewhere.

    ``excluded`` holds paths of programs, and directories in which all of them pass.
    """
    place = path.removesuffix(_DELETED)
    name = place.rpartition("/")[2]
    if name not in SYSTEM_TOOLS or place.startswith(SYSTEM_DIRECTORIES):
        return False
    return not any(place == entry or place.startswith(f"{entry.rstrip('/')}/") for entry in excluded)
