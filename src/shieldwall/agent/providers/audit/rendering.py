"""From a profile to files: rules for the kernel, the lock, the unit of what reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.providers.audit import profile as at
from shieldwall.agent.providers.audit.packs import BEHAVIOR_PACKS, PACKS, Machine, key_of, rules_of
from shieldwall.agent.providers.audit.profile import Profile
from shieldwall.agent.providers.audit_rules import AuditRule, Unseen, Watch, rules_file
from shieldwall.agent.providers.systemd import HEAD, UNITS, wanted_by

RULES: Final = PurePosixPath("/etc/audit/rules.d/75-shieldwall-edr.rules")
"""After the rules of others that stand lower, so that what we leave out is left out of ours alone."""
LOCK: Final = PurePosixPath("/etc/audit/rules.d/99-shieldwall-lock.rules")
MEMORY: Final = PurePosixPath("/etc/shieldwall/audit.json")
READER: Final = "shieldwall-edr.service"
READER_UNIT: Final = UNITS / READER
READER_WANTED: Final = UNITS / "multi-user.target.d" / "shieldwall-edr.conf"
EXCLUDED: Final = f"{KEY}excluded"
WATCHED: Final = f"{KEY}watch"
_BACKLOG: Final = 8_192
_ACCESS: Final = {"read": "r", "write": "w", "execute": "x", "attributes": "a"}

_UNIT: Final = """\
{head}[Unit]
Description=Shieldwall: reads the kernel's audit
After=local-fs.target

[Service]
ExecStart={python} -I -m shieldwall.agent.edr
Restart=always
RestartSec=5
RestartPreventExitStatus=69
Nice=5
CPUQuota=20%
MemoryMax=128M
StateDirectory=shieldwall-applier/events
StateDirectoryMode=0750
UMask=0027
Environment=MALLOC_ARENA_MAX=1
CapabilityBoundingSet=CAP_AUDIT_READ CAP_NET_ADMIN
RestrictAddressFamilies=AF_NETLINK AF_UNIX
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


def contents(
    profile: Profile, machine: Machine, users: Mapping[str, int], python: str
) -> dict[PurePosixPath, bytes | None]:
    """Write every file but the memory. ``users`` are those known by name."""
    if not profile.audits:
        return dict.fromkeys((RULES, LOCK, READER_UNIT, READER_WANTED))
    control = "".join(f"{line}\n" for line in _control(profile)).encode()
    is_locked = profile.is_on and profile.value(at.IMMUTABLE) is True
    return {
        RULES: rules_file(_rules(profile, machine, users)) + control,
        LOCK: b"## Written by shieldwall-agent; a change made here is put back.\n-e 2\n" if is_locked else None,
        READER_UNIT: _UNIT.format(head=HEAD, python=python).encode(),
        READER_WANTED: wanted_by("multi-user.target", "shieldwall-edr", [READER])[1],
    }


def packs(profile: Profile) -> Mapping[str, str]:
    """Return the packs that are loaded, in order, each with whose programs are written down."""
    wanted: dict[str, str] = {}
    if profile.is_on:
        wanted = {pack: "" for pack in PACKS if profile.value(f"{at.PACK}{pack}") is True}
        whose = str(profile.value(at.EXECUTION) or "off")
        wanted |= {} if whose == "off" else {"execution": whose}
    if profile.watches_behavior:
        wanted = {**dict.fromkeys(BEHAVIOR_PACKS, ""), **wanted}
        wanted["execution"] = wanted["execution"] or "users"
    return {pack: wanted[pack] for pack in (*PACKS, "execution") if pack in wanted}


def watched(items: tuple[Any, ...]) -> Iterator[tuple[dict[str, Any], Watch]]:
    """Pair each watch of a policy with its rule."""
    for item in items:
        access = "".join(_ACCESS[use] for use in item["permissions"])
        key = WATCHED if item.get("key") is None else f"{WATCHED}_{item['key']}"
        yield item, Watch(key=key, path=item["path"], access=access)


def _rules(profile: Profile, machine: Machine, users: Mapping[str, int]) -> Iterator[AuditRule]:
    if profile.is_on:
        for user in profile.items(at.USERS):
            number = user if user.isdigit() else users.get(user)
            yield Unseen(key=EXCLUDED, condition=f"uid={user if number is None else number}")
        yield from (Unseen(key=EXCLUDED, condition=each) for each in left_out(profile, at.PROGRAMS))
    yield from (Unseen(key=EXCLUDED, condition=each) for each in left_out(profile, at.GLOBAL_EXCLUSIONS))
    if profile.is_on:
        # Before the packs: of two rules about one access the first decides, and whoever asks for a path wants its key.
        for _, rule in watched(profile.items(at.WATCHES)):
            yield rule
    for pack, whose in packs(profile).items():
        yield from rules_of(pack, machine, execution=whose or "users")


def left_out(profile: Profile, place: str) -> list[str]:
    """Return the conditions by which a list leaves out; users that are named by name are not among them."""
    match place:
        case at.USERS:
            return [f"uid={user}" for user in profile.items(place) if user.isdigit()]
        case at.PROGRAMS:
            return [f"exe={program}" for program in profile.items(place)]
        case _:
            return [_condition(item) for item in profile.items(at.GLOBAL_EXCLUSIONS)]


def _condition(item: Mapping[str, Any]) -> str:
    path = item.get("path")
    if path is None:
        return f"exe={item['name']}"
    is_directory = item.get("isDirectory") is True or path.endswith("/")
    return f"{'dir' if is_directory else 'path'}={path.rstrip('/') or '/'}"


def _control(profile: Profile) -> Iterator[str]:
    """Write what the kernel keeps beside rules: limits, and what cannot be taken back before a restart."""
    asked = profile.asked if profile.is_on else {}
    yield f"-b {asked.get(at.BACKLOG, _BACKLOG)}"
    if at.WAIT_TIME in asked:
        yield f"--backlog_wait_time {asked[at.WAIT_TIME]}"
    if at.RATE in asked:
        yield f"-r {asked[at.RATE]}"
    if at.FAILURE in asked:
        yield f"-f {asked[at.FAILURE]}"
    if asked.get(at.LOGIN_UID) is True:
        yield "--loginuid-immutable"


def pack_keys(profile: Profile) -> Mapping[str, str]:
    """Return the key of each pack that is loaded."""
    return {pack: key_of(pack) for pack in packs(profile)}
