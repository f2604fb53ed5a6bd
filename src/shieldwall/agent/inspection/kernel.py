"""The kernel: its audit system, the limits that watching runs into, what the firmware says of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.facts import read_text
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import Audit, Hardware, Limit, short
from shieldwall.agent.providers.audit_rules import keys_in

_RULES: Final = PurePosixPath("/etc/audit/rules.d")
_OURS: Final = "shieldwall"
_LIMITS: Final = (
    PurePosixPath("/proc/sys/fs/inotify/max_user_watches"),
    PurePosixPath("/proc/sys/fs/inotify/max_user_instances"),
    PurePosixPath("/proc/sys/fs/inotify/max_queued_events"),
    PurePosixPath("/proc/sys/fs/fanotify/max_user_marks"),
    PurePosixPath("/proc/sys/fs/fanotify/max_user_groups"),
    PurePosixPath("/proc/sys/fs/fanotify/max_queued_events"),
)
_DMI: Final = PurePosixPath("/sys/class/dmi/id")
_FIELDS: Final = ("sys_vendor", "board_vendor", "product_name", "product_uuid")
_SECONDS: Final = 10.0


def audit(host: Host) -> Audit:
    """Ask the kernel's audit system. Raises: HostError."""
    at_boot = "audit=1" in read_text(host, PurePosixPath("/proc/cmdline")).split()
    wanted = _has_rules(host)
    auditctl = host.find_program("auditctl")
    if auditctl is None:
        return Audit(at_boot=at_boot, wanted=wanted)
    done = host.run([auditctl, "-s"], timeout_seconds=_SECONDS)
    said = dict(_numbers(done.stdout.decode(errors="replace")))
    if done.returncode != 0 or "enabled" not in said:
        why = short(done.stderr.decode(errors="replace")) or f"auditctl ended with {done.returncode}"
        return Audit(installed=True, at_boot=at_boot, wanted=wanted, refused=why)
    listing = host.run([auditctl, "-l"], timeout_seconds=_SECONDS).stdout.decode(errors="replace")
    rules = [line for line in listing.splitlines() if line.startswith("-")]
    return Audit(
        installed=True,
        enabled=said["enabled"],
        daemon=said.get("pid", 0),
        lost=said.get("lost", 0),
        backlog=said.get("backlog", 0),
        backlog_limit=said.get("backlog_limit", 0),
        rules=len(rules),
        ours=sum(any(_OURS in key for key in keys_in(rule)) for rule in rules),
        wanted=wanted,
        at_boot=at_boot,
    )


def limits(host: Host) -> tuple[Limit, ...]:
    """Read the limits of watching, and how much of them root's processes use."""
    used = _used_by_root(host)
    found = []
    for path in _LIMITS:
        content = read_text(host, path).strip()
        if content.isdecimal():
            name = f"{path.parent.name}.{path.name}"
            found.append(Limit(name=name, value=int(content), used=used.get(name)))
    return tuple(found)


def hardware(host: Host) -> Hardware:
    """Try to read what the firmware says. A field that is not there is named like one that cannot be read."""
    if not host.locate(_DMI).is_dir():
        return Hardware()
    unreadable = []
    for name in _FIELDS:
        try:
            content = host.read_file(_DMI / name)
        except HostError as error:
            unreadable.append(short(f"{name}: {error.cause}"))
            continue
        if content is None:
            unreadable.append(f"{name}: not there")
    return Hardware(present=True, unreadable=tuple(unreadable))


def _has_rules(host: Host) -> bool:
    try:
        return any(_OURS in path.name for path in host.locate(_RULES).iterdir())
    except OSError:
        return False


def _numbers(said: str) -> Iterator[tuple[str, int]]:
    for line in said.splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdecimal():
            yield name, int(value)


def _used_by_root(host: Host) -> dict[str, int]:
    """Count what processes of root use: each user has an allowance of its own, and the applier is root."""
    if host.root != Path("/"):
        return {}
    instances = watches = groups = marks = 0
    for process in _processes():
        try:
            if process.stat().st_uid != 0:
                continue
            descriptors = list((process / "fd").iterdir())
        except OSError:
            continue  # it ended
        for descriptor in descriptors:
            try:
                kind = str(descriptor.readlink())
                if kind not in {"anon_inode:inotify", "anon_inode:[fanotify]"}:
                    continue
                told = (process / "fdinfo" / descriptor.name).read_text()
            except OSError:
                continue
            if "inotify" in kind and "fanotify" not in kind:
                instances, watches = instances + 1, watches + told.count("inotify wd:")
            else:
                groups, marks = groups + 1, marks + told.count("fanotify ino:") + told.count("fanotify mnt_id:")
    return {
        "inotify.max_user_instances": instances,
        "inotify.max_user_watches": watches,
        "fanotify.max_user_groups": groups,
        "fanotify.max_user_marks": marks,
    }


def _processes() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())
