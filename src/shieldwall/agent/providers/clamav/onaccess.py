"""The files by which opens are looked at: settings of the gate or of clamonacc, and the unit that runs it. Pure.

The gate (``shieldwall.agent.broker``) is what is used. Where somebody chose clamonacc on the device it is used as long
as it can do what policies ask: it knows no processes, extensions and wildcards, cannot audit, looks only below
folders that it is given, and needs a clamd that runs as a user of its own, whose opens it must not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, Literal

import msgspec

from shieldwall.agent.broker import settings as broker
from shieldwall.agent.providers.base import Files, ProviderError
from shieldwall.agent.providers.clamav import canary, configuration, landings, levels
from shieldwall.agent.providers.systemd import UNITS
from shieldwall.contract.kinds import learned

LOCAL: Final = PurePosixPath("/etc/shieldwall/clamav/local.json")
"""What the device's own administrator chose; read, and never written."""
CLAMONACC: Final = PurePosixPath("/etc/shieldwall/clamav/clamonacc.conf")
WATCH_LIST: Final = PurePosixPath("/run/shieldwall/clamonacc.watch")
BROKER_UNIT: Final = "shieldwall-broker.service"
CLAMONACC_UNIT: Final = "shieldwall-clamonacc.service"
PROBE_DIRECTORY: Final = broker.PROBE_DIRECTORY
CLAMONACC_FOLDERS: Final = (
    *("/home", "/root", "/srv", "/opt", "/var/tmp", "/var/www", "/usr/local", "/media", "/mnt"),  # noqa: S108 - watched, not used
    str(PROBE_DIRECTORY),
)
"""Where clamonacc looks; it cannot block on a whole file system, and refuses to look where clamd has its own files."""

_BROKER_UNIT_FILE: Final = UNITS / BROKER_UNIT
_BROKER_WANTED: Final = UNITS / "multi-user.target.d/shieldwall-broker.conf"
_CLAMONACC_UNIT_FILE: Final = UNITS / CLAMONACC_UNIT
_CLAMONACC_WANTED: Final = UNITS / "multi-user.target.d/shieldwall-clamonacc.conf"
FILES: Final = (
    *(broker.CONFIGURATION, _BROKER_UNIT_FILE, _BROKER_WANTED),
    *(CLAMONACC, _CLAMONACC_UNIT_FILE, _CLAMONACC_WANTED),
)
"""Every file that is ever written here."""

_HEAD: Final = "# Written by Shieldwall; a change made here is put back.\n"
_UNITS_OF_SIZE: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE: Final = re.compile(r"(\d{1,12})([kKmMgG]?)\Z")
_UNLIMITED_BYTES: Final = (1 << 31) - 1
"""clamd takes no larger file, whatever is configured."""
_CLAMD_THREADS: Final = 10
_MOST_QUESTIONS: Final = 8


class Local(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Choices of the device's administrator."""

    backend: Literal["broker", "clamonacc"] = "broker"
    when_engine_is_down: Literal["allow", "deny"] = "allow"


def local(content: bytes | None) -> Local:
    """Read the local choices. Raises: ProviderError when they make no sense."""
    if content is None:
        return Local()
    try:
        return msgspec.json.decode(content, type=learned(Local))
    except msgspec.DecodeError as error:
        raise ProviderError(
            f"{LOCAL} cannot be read: {error}.", remedy="Correct the file on the device, or remove it."
        ) from error


def backend(values: Mapping[str, Any], chosen: Local, content: bytes) -> Literal["broker", "clamonacc"] | None:
    """Say what looks at opens; ``None`` when nothing shall."""
    level = levels.level_of(values)
    if level is None or not level.watches or configuration.first_path(content, "LocalSocket") is None:
        return None
    wants_clamonacc = chosen.backend == "clamonacc" and configuration.first(content, "User") not in (None, "root")
    return "clamonacc" if wants_clamonacc and not _needs_broker(values) else "broker"


def files(
    values: Mapping[str, Any], chosen: Local, content: bytes, python: Sequence[str]
) -> Mapping[PurePosixPath, bytes | None]:
    """Return every file; ``content`` is the managed ``clamd.conf``, ``python`` the words before a module's name."""
    wanted: dict[PurePosixPath, bytes | None] = dict.fromkeys(FILES)
    match backend(values, chosen, content):
        case "broker":
            wanted[broker.CONFIGURATION] = broker.write(_settings(values, chosen, content))
            wanted[_BROKER_UNIT_FILE] = _broker_unit(python)
            wanted[_BROKER_WANTED] = f"{_HEAD}[Unit]\nWants={BROKER_UNIT}\n".encode()
        case "clamonacc":
            wanted[CLAMONACC] = _clamonacc(values, chosen, content)
            wanted[_CLAMONACC_UNIT_FILE] = _clamonacc_unit()
            wanted[_CLAMONACC_WANTED] = f"{_HEAD}[Unit]\nWants={CLAMONACC_UNIT}\n".encode()
        case None:
            pass
    return wanted


def running(found: Files) -> Literal["broker", "clamonacc"] | None:
    """Say which of the two the files at hand ask for."""
    if found.get(broker.CONFIGURATION) is not None:
        return "broker"
    return "clamonacc" if found.get(CLAMONACC) is not None else None


def left_out(items: Iterable[Mapping[str, Any]]) -> broker.Left:
    """Sort exclusions, already found good, by what they name."""
    paths, folders, extensions, processes = [], [], [], []
    for item in items:
        match item:
            case {"$type": "excludedPath", "path": str(path)} if path.endswith("*"):
                paths.append(path)
            case {"$type": "excludedPath", "path": str(path)} if path.endswith("/"):
                paths.append(f"{path}*")  # what lies below, and no file of that name
            case {"$type": "excludedPath", "path": str(path)} if item.get("isDirectory") is True:
                folders.append(path)
            case {"$type": "excludedPath", "path": str(path)}:
                paths.append(path)
            case {"$type": "excludedFileExtension", "extension": str(extension)}:
                extensions.append(extension.removeprefix("."))
            case {"$type": "excludedFileName", "name": str(name)}:
                processes.append(name)
            case _:
                pass
    return broker.Left(
        files=tuple(paths), folders=tuple(folders), extensions=tuple(extensions), processes=tuple(processes)
    )


def _items(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*values.get(landings.EXCLUSIONS, ()), *values.get(landings.GLOBAL_EXCLUSIONS, ())]


def _needs_broker(values: Mapping[str, Any]) -> bool:
    left = left_out(_items(values))
    only_folders = not left.files and not left.extensions and not left.processes
    return (
        levels.level_of(values) is levels.Level.AUDIT
        or not only_folders
        or any("*" in folder or "?" in folder for folder in left.folders)
        or any(item.get("value") != "block" for item in values.get(landings.THREAT_TYPES, ()))
        or values.get(landings.HASHES) is True
        or landings.UNMONITORED in values
        or landings.NONEXEC in values
    )


def _settings(values: Mapping[str, Any], chosen: Local, content: bytes) -> broker.Settings:
    actions = {str(item.get("key")): item.get("value") for item in values.get(landings.THREAT_TYPES, ())}
    told: dict[str, Any] = {}
    if landings.UNMONITORED in values:
        told["unmonitored_filesystems"] = tuple(values[landings.UNMONITORED])
    return broker.Settings(
        mode="block" if levels.level_of(values) is levels.Level.REAL_TIME else "audit",
        when_engine_is_down=chosen.when_engine_is_down,
        engine_socket=str(configuration.first_path(content, "LocalSocket")),
        engine_databases=configuration.first(content, "DatabaseDirectory") or str(canary.DATABASE),
        engine_user=configuration.first(content, "User"),
        unwanted_applications=actions.get(landings.PUA, "audit"),
        archive_bombs=actions.get(landings.ARCHIVE_BOMB, "audit"),
        hashes=values.get(landings.HASHES) is True,
        left_out=left_out(_items(values)),
        mute_noexec_mounts=values.get(landings.NONEXEC) == "mute",
        maximum_file_bytes=_maximum_file_bytes(content),
        concurrency=_concurrency(content),
        **told,
    )


def _maximum_file_bytes(content: bytes) -> int:
    """Return the size above which clamd looks at nothing of a file; asking it would only cost time."""
    found = _SIZE.match(configuration.first(content, "MaxFileSize") or "100M")
    size = int(found[1]) * _UNITS_OF_SIZE[found[2].lower()] if found else 100 << 20
    return min(size, _UNLIMITED_BYTES) or _UNLIMITED_BYTES


def _concurrency(content: bytes) -> int:
    """Leave one of clamd's threads to scans on demand."""
    text = configuration.first(content, "MaxThreads") or ""
    threads = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _CLAMD_THREADS
    return max(1, min(_MOST_QUESTIONS, threads - 1))


def _clamonacc(values: Mapping[str, Any], chosen: Local, content: bytes) -> bytes:
    lines = [
        f"LocalSocket {configuration.first_path(content, 'LocalSocket')}",
        # Without this clamd waits for clamonacc, which waits for clamd, and nothing ends it.
        f"OnAccessExcludeUname {configuration.first(content, 'User')}",
        "OnAccessPrevention yes",
        f"OnAccessMaxThreads {_concurrency(content)}",
        f"OnAccessMaxFileSize {_maximum_file_bytes(content)}",
        f"OnAccessDenyOnError {'yes' if chosen.when_engine_is_down == 'deny' else 'no'}",
        "OnAccessRetryAttempts 2",
        *(f"OnAccessExcludePath {folder.rstrip('/')}" for folder in left_out(_items(values)).folders),
    ]
    return (_HEAD + "\n".join(lines) + "\n").encode()


def _broker_unit(python: Sequence[str]) -> bytes:
    return f"""{_HEAD}[Unit]
Description=Shieldwall gate: files are opened once ClamAV has found them clean
Documentation=man:fanotify(7)
After=local-fs.target clamav-daemon.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={" ".join(python)} shieldwall.agent.broker.main
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
TimeoutStopSec=15
WatchdogSec=60
Nice=-5
OOMScoreAdjust=-900
LimitNOFILE=65536
LimitCORE=0
UMask=0077
Environment=MALLOC_ARENA_MAX=1
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_LEASE CAP_SYS_NICE
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
""".encode()


def _clamonacc_unit() -> bytes:
    folders = " ".join(CLAMONACC_FOLDERS)
    listed = f'mkdir -p {PROBE_DIRECTORY}; for d in {folders}; do if [ -d "$$d" ]; then echo "$$d"; fi; done'
    return f"""{_HEAD}[Unit]
Description=ClamAV's look at files that are opened, as Shieldwall's policies say
Documentation=man:clamonacc(8)
After=local-fs.target clamav-daemon.service
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStartPre=/bin/sh -c '{listed} > {WATCH_LIST}'
ExecStart=/usr/sbin/clamonacc --foreground --fdpass --wait --config-file={CLAMONACC} --watch-list={WATCH_LIST}
Restart=always
RestartSec=1
KillSignal=SIGKILL
SuccessExitStatus=SIGKILL
OOMScoreAdjust=-900
LimitCORE=0
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
LockPersonality=yes
SystemCallArchitectures=native
""".encode()
