"""Our own services: do they run, confined as the package asks, and is there one of each?"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.applier.own_services import INSTALLED, PACKAGED, PROTECTION, SERVICES
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import MOST, Program, Sandbox, short
from shieldwall.agent.providers import systemd

DIRECTIVES: Final = (
    *("NoNewPrivileges", "LockPersonality", "MemoryDenyWriteExecute", "PrivateMounts", "PrivateTmp", "PrivateUsers"),
    *("ProtectProc", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs"),
    *("ProtectKernelModules", "ProtectKernelTunables", "ProtectSystem", "RemoveIPC", "RestrictNamespaces"),
    *("RestrictRealtime", "RestrictSUIDSGID", "DevicePolicy", "User"),
)
"""Directives that ``systemctl show`` writes as a unit does, so that both can be compared."""
AGENT: Final = "shieldwall.agent.main"
APPLIER: Final = "shieldwall.agent.applier_main"
_EXPOSURE: Final = re.compile(r"(?m)^.*exposure level.*?:\s*(\d+(?:\.\d+)?)\b")
_SECONDS: Final = 20.0


def services(host: Host) -> tuple[Sandbox, ...]:
    """Look at each service under systemd; none where systemd does not run the machine. Raises: HostError."""
    if not systemd.runs(host):
        return ()
    return tuple(_service(host, name) for name in SERVICES)


def programs(host: Host) -> tuple[Program, ...]:
    """Find every running agent and applier of the machine."""
    if host.root != Path("/"):
        return ()
    found: list[Program] = []
    here = Path("/proc/self/ns/pid").readlink()
    for process in sorted((each for each in Path("/proc").iterdir() if each.name.isdigit()), key=lambda p: int(p.name)):
        with contextlib.suppress(OSError):
            if (process / "ns/pid").readlink() != here:
                continue  # of a container, which is a machine of its own
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            found += _program(int(process.name), words)
    return tuple(found[:MOST])


def _program(pid: int, words: Sequence[str]) -> Iterator[Program]:
    for module in (AGENT, APPLIER):
        if module in words:
            rest = [word for word in words[words.index(module) + 1 :] if word]
            yield Program(pid=pid, module=module, state=short(_state(module, rest)))


def _state(module: str, rest: Sequence[str]) -> str:
    if module == AGENT:
        return rest[1] if len(rest) > 1 else ""
    return rest[rest.index("--state") + 1] if "--state" in rest[:-1] else ""


def _service(host: Host, name: str) -> Sandbox:
    words = ("LoadState", "ActiveState", "UnitFileState", "DropInPaths", "FragmentPath", "NeedDaemonReload")
    shown = systemd.show(host, name, *words, *DIRECTIVES)
    if shown.get("LoadState") == "not-found":
        return Sandbox(unit=name, active="not-found")
    wanted = _directives((host.read_file(PACKAGED / name) or host.read_file(INSTALLED / name) or b"").decode())
    overlays = [path for path in shown.get("DropInPaths", "").split() if PurePosixPath(path).name != PROTECTION]
    if not shown.get("FragmentPath", "").endswith((str(INSTALLED / name), f"/lib/systemd/system/{name}")):
        overlays.append(shown.get("FragmentPath") or "(no file)")
    missing = [f"{each}={value}" for each, value in sorted(wanted.items()) if not _same(shown.get(each, ""), value)]
    if shown.get("NeedDaemonReload") == "yes":
        missing.append("(the unit was changed and systemd has not read it again)")
    return Sandbox(
        unit=name,
        active=short(shown.get("ActiveState", "")),
        enabled=short(shown.get("UnitFileState", "")),
        missing=tuple(map(short, missing[:MOST])),
        overlays=tuple(map(short, overlays[:MOST])),
        exposure=_exposure(host, name),
    )


def _directives(unit: str) -> dict[str, str]:
    found = {}
    for line in unit.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and name in DIRECTIVES:
            found[name] = value.strip()
    return found


def _same(shown: str, wanted: str) -> bool:
    return {"true": "yes", "on": "yes", "1": "yes"}.get(wanted, wanted) == shown


def _exposure(host: Host, name: str) -> float | None:
    program = host.find_program("systemd-analyze")
    if program is None:
        return None
    try:
        done = host.run([program, "security", "--no-pager", name], timeout_seconds=_SECONDS)
    except HostError:
        return None  # a score is good to have, and the directives say more
    found = _EXPOSURE.search(done.stdout.decode(errors="replace"))
    return float(found[1]) if found else None
