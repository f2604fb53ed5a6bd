"""``/api/machineactions``: orders to machines, how far each is, and taking one back."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.graph.defender.describing import ACTION, DEFENDER
from shieldwall.server.graph.defender.machines import READ
from shieldwall.server.graph.defender.shapes import ACTION_FIELDS, action_resource
from shieldwall.server.graph.describing import does, lists
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, page_answer, query_of
from shieldwall.server.inventory.machine_orders import cancel_order
from shieldwall.server.storage.devices import machine_actions
from shieldwall.server.storage.errors import NotFoundError

_PATH: Final = "/machineactions"
_ONE: Final = _PATH + "/{action_id:str}"
_CANCEL: Final = allow("Machine.Offboard", "Machine.ReadWrite.All")


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="pascal"):
    """Why an order is taken back."""

    comment: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]


@get(_PATH, opt=READ | needs(ResourceAction.READ_DEVICES) | lists(ACTION, door=DEFENDER), sync_to_thread=True)
def list_machine_actions(services: Services, request: GraphRequest) -> Response[bytes]:
    """List orders to machines, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = machine_actions.list_actions(connection, services.tenant.id, query.page_of(ACTION_FIELDS))
    return page_answer(services, request, query, [(each.id, action_resource(each)) for each in found], ACTION_FIELDS)


@get(_ONE, opt=READ | needs(ResourceAction.READ_DEVICES) | does(ACTION, door=DEFENDER), sync_to_thread=True)
def get_machine_action(services: Services, action_id: FromPath[str]) -> Response[bytes]:
    """Return one order, with how far it is."""
    with services.database.read() as connection:
        found = machine_actions.find(connection, services.tenant.id, action_id)
    if found is None:
        raise NotFoundError(f"There is no machine action {action_id[:64]!r}.")
    context = f"{services.settings.public_url}/api/$metadata#MachineActions/$entity"
    return answer({"@odata.context": context, **action_resource(found)})


@post(
    _ONE + "/cancel",
    opt=_CANCEL
    | needs(ResourceAction.OFFBOARD_DEVICES)
    | does(ACTION, takes=CancelRequest, fails=[409], door=DEFENDER),
    sync_to_thread=True,
    status_code=200,
)
def cancel_machine_action(
    services: Services, request: GraphRequest, action_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Take an order back that the machine has not heard of."""
    asked = body_of(request, body, CancelRequest)
    with services.database.write() as connection:
        action = cancel_order(connection, acting_for(services, request), action_id, asked.comment)
    return answer(action_resource(action))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_machine_actions,
    get_machine_action,
    cancel_machine_action,
)
