"""The look at files as they are opened, and the definitions that it goes by."""

from __future__ import annotations

import pwd
from pathlib import PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.broker import settings as broker
from shieldwall.agent.broker import standing
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import MOST, Definitions, OnAccess, short
from shieldwall.agent.inspection.redaction import text
from shieldwall.agent.providers.clamav import access, backend, configuration, daemon, onaccess
from shieldwall.agent.providers.freshclam import updating
from shieldwall.agent.providers.marked_block import arguments

_ROOT: Final = "root"
_VENDOR: Final = "database.clamav.net"


def on_access(host: Host) -> OnAccess | None:
    """Look at the gate, or clamonacc; ``None`` where there is neither a scanner nor anything of ours."""
    content = host.read_file(daemon.CONFIGURATION)
    wanted = onaccess.running({path: host.read_file(path) for path in onaccess.FILES})
    if content is None and wanted is None:
        return None
    user = configuration.first(content or b"", "User") or _ROOT
    impossible = short(access.why_impossible(host) or "")
    if wanted is None:
        return OnAccess(engine_user=short(user), engine_spared=True, impossible=impossible)
    if wanted == "clamonacc":
        spared = user in arguments(host.read_file(onaccess.CLAMONACC) or b"", "OnAccessExcludeUname")
        alive = backend.is_running(host, "clamonacc")
        return OnAccess(
            wanted=wanted, alive=alive, engine_user=short(user), engine_spared=spared, impossible=impossible
        )
    state = standing.read(host.root)
    return OnAccess(
        wanted=wanted,
        alive=backend.is_running(host, "broker"),
        current=state is not None and backend.takes_settings(host),
        engine_answers=state is None or state.engine_answers,
        mode="" if state is None else short(state.mode),
        watching=0 if state is None else len(state.watching),
        unwatchable=() if state is None else tuple(short(text(each)) for each in state.unwatchable[:MOST]),
        engine_user=short(user),
        engine_spared=_gate_spares(host, user),
        impossible=impossible,
    )


def definitions(host: Host) -> Definitions | None:
    """Look at the definitions; ``None`` where no updater is on the device."""
    content = host.read_file(updating.CONFIGURATION)
    if content is None:
        return None
    found, run = updating.databases(host, content), updating.last(host)
    mirrors = (*arguments(content, "PrivateMirror"), *arguments(content, "DatabaseMirror"))
    return Definitions(
        newest=None if found.newest is None else found.newest.isoformat(timespec="seconds"),
        version=short(found.version),
        source=short(text(mirrors[0])) if mirrors and mirrors[0] != _VENDOR else "",
        outcome="" if run is None else short(run.outcome.value),
        said="" if run is None else short(text(run.said)),
        only_own="daily" in arguments(content, "ExcludeDatabase"),
    )


def _gate_spares(host: Host, user: str) -> bool:
    """Say whether the gate lets the scanner's own opens pass: it knows it by the user that it was told."""
    content = host.read_file(PurePosixPath(broker.CONFIGURATION))
    try:
        told = broker.read(content or b"{}").engine_user or _ROOT
    except (msgspec.DecodeError, ValueError):
        return False
    return _uid(told) == _uid(user)


def _uid(user: str) -> int | str:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return user
