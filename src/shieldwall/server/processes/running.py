"""``shieldwall server run``: starts the processes of a server, all or those of some roles, and watches over them.

It loads little, for it does nothing but that; what the processes are made of stands in ``server.main``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration import served_certificate
from shieldwall.server.configuration.roles import DEFAULT, Role
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.configuration.settings_file import SignerDoor
from shieldwall.server.configuration.signers import open_signers
from shieldwall.server.observing import replacements
from shieldwall.server.plain_logging import structlog
from shieldwall.server.processes import needed_files
from shieldwall.server.processes.sole_server import sole_server
from shieldwall.server.processes.supervise import ProcessPlan, is_listening, module_command, supervise
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.signer.sockets import connect
from shieldwall.server.storage.engine import failed_syncs, first_look
from shieldwall.server.system import SystemClock
from shieldwall.trust import moments

_log: Final = structlog.get_logger("shieldwall.server")
_PROBE_SECONDS: Final = 1.0
_SERVING: Final = frozenset({Role.GATEWAY, Role.ADMIN})


class LogNotSettledError(ShieldwallError):
    """The disk does not take what a database was told, so nobody can build upon it."""

    code = "logNotSettled"
    remedy = (
        "Look at the kernel's log and replace the disk, or make room on it. Nothing that was acknowledged is lost yet."
    )


async def run(settings: ServerSettings, on_ready: Callable[[], None], roles: Collection[Role] = DEFAULT) -> None:
    """Run a server, or the part of it that ``roles`` name, until SIGINT or SIGTERM.

    Raises:
        AlreadyRunningError, PortTakenError, NeededFileError: It cannot start here.
        StorageUnavailableError, UnknownSchemaError, LogNotSettledError: Not with this database.
        ProcessEndedError, NotReadyError: One of its processes failed, so all were ended.
    """
    needed_files.check(settings, roles)
    with (
        sole_server(settings, roles),
        open_signers(settings) as signer,
        failed_syncs.held_open(settings.database),
    ):
        if not _SERVING.isdisjoint(roles):
            _renew_certificate(settings)
        _settle(settings.database)
        _bring_to_newest(settings.database)  # a newer program starts with the schema it knows
        await supervise(_stages(settings, roles, signer.for_tenant(settings.tenant_id)), on_ready)


def _renew_certificate(settings: ServerSettings) -> None:
    """Have the processes show a certificate that does not end soon, where the local authority can issue one."""
    try:
        renewed = served_certificate.renew_if_due(settings, SystemClock().now())
    except ShieldwallError as error:  # there are months left
        _log.warning("certificate_not_renewed", code=error.code, cause=error.cause, remedy=error.advice)
    else:
        if renewed is not None:
            _log.warning("certificate_renewed", ends=moments.write(renewed.ends))


def _settle(url: str) -> None:
    """Have on disk what the next process will read. Raises: LogNotSettledError."""
    try:
        failed_syncs.write_log_again(url)
    except (OSError, sqlite3.Error) as error:
        raise LogNotSettledError(f"The log of the database cannot be written: {error}.") from error


def _bring_to_newest(url: str) -> None:
    """Bring the schema to the newest, and load what does that where a first look does not show that it is there."""
    if first_look.is_surely_newest(url):
        return
    from shieldwall.server.storage.engine import migrate  # noqa: PLC0415 - see above
    from shieldwall.server.storage.engine.database import Database  # noqa: PLC0415 - see above

    with closing(Database(url)) as database:
        migrate.upgrade(database)


def _stages(settings: ServerSettings, roles: Collection[Role], signer: Signer) -> tuple[tuple[ProcessPlan, ...], ...]:
    """Say what is started, in order: who signs and who talks to devices, then all others.

    A gateway comes to ask the signer long after that is there, for it has the more to load; and devices wait for
    nobody else. An admin process has most to load.
    """

    def replaceable(role: Role, module: str, is_ready: Callable[[], Awaitable[bool]], *more: str) -> ProcessPlan:
        return ProcessPlan(
            name=role,
            command=module_command(f"shieldwall.server.processes.{module}", settings.data, *more),
            is_ready=is_ready,
            is_replaceable=True,
            doubts=failed_syncs.STATUS,
            settle=lambda: _settle(settings.database),
            count=partial(replacements.count_one, settings.run),
        )

    def plan(role: Role) -> ProcessPlan:
        match role:
            case Role.SIGNER:
                return ProcessPlan(
                    name=role,
                    command=module_command("shieldwall.server.signer", settings.data),
                    is_ready=lambda: _signer_answers(signer),
                )
            case Role.GATEWAY:
                port = settings.gateway_port
                return replaceable(role, "gateway_process", lambda: is_listening(settings.listen, port), str(port))
            case Role.ADMIN:
                return replaceable(role, "admin_process", lambda: is_listening(settings.listen, settings.public_port))
            case Role.TARGETING:
                return replaceable(
                    role, "targeting_process", lambda: asyncio.to_thread(_accepts, settings.targeting_socket)
                )

    door = tuple(_door(settings, each) for each in [settings.signer_door] if each and Role.SIGNER in roles)
    order = ((Role.SIGNER, Role.GATEWAY), (Role.ADMIN, Role.TARGETING))
    wanted = (tuple(plan(role) for role in stage if role in roles) for stage in order)
    return tuple(stage for stage in (*wanted, door) if stage)


def _door(settings: ServerSettings, door: SignerDoor) -> ProcessPlan:
    """Say how other machines reach the signer of this one."""
    return ProcessPlan(
        name="signer-door",
        command=module_command("shieldwall.server.signer.door", settings.data, door.listen, str(door.port)),
        is_ready=lambda: is_listening(door.listen, door.port),
        is_replaceable=True,
        count=partial(replacements.count_one, settings.run),
    )


async def _signer_answers(signer: Signer) -> bool:
    try:
        await asyncio.to_thread(signer.trust_root)
    except SignerUnavailableError:
        return False
    return True


def _accepts(path: Path) -> bool:
    """Say whether somebody accepts connections on a socket in the file system."""
    try:
        connect(path, _PROBE_SECONDS).close()
    except OSError:
        return False
    return True
