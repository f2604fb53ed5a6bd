"""``shieldwall server run``: starts the three processes of a server and watches over them.

It loads little, for it does nothing but that; what the processes are made of stands in ``server.main``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing

from shieldwall.server.settings import ServerSettings
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database
from shieldwall.server.supervise import ProcessPlan, is_listening, module_command, sole_server, supervise


async def run(settings: ServerSettings, on_ready: Callable[[], None]) -> None:
    """Run a server until SIGINT or SIGTERM.

    Raises:
        AlreadyRunningError, PortTakenError: It cannot start here.
        StorageUnavailableError, UnknownSchemaError: Not with this database.
        ProcessEndedError, NotReadyError: One of its processes failed, so all were ended.
    """
    with sole_server(settings), SignerClient(settings.data) as signer:
        with closing(Database(settings.database)) as database:
            migrate.upgrade(database)  # a newer program starts with the schema it knows
        keys = ProcessPlan(
            name="signer",
            command=module_command("shieldwall.server.signer", settings.data),
            is_ready=lambda: _signer_answers(signer.for_tenant(settings.tenant_id)),
        )
        front_doors = (
            ProcessPlan(
                name="gateway",
                command=module_command("shieldwall.server.gateway_process", settings.data),
                is_ready=lambda: is_listening(settings.listen, settings.gateway_port),
            ),
            ProcessPlan(
                name="admin",
                command=module_command("shieldwall.server.admin_process", settings.data),
                is_ready=lambda: is_listening(settings.listen, settings.public_port),
            ),
        )
        await supervise(((keys,), front_doors), on_ready)


async def _signer_answers(signer: Signer) -> bool:
    try:
        await asyncio.to_thread(signer.trust_root)
    except SignerUnavailableError:
        return False
    return True
