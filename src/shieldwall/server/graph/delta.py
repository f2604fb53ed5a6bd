"""``/groups/delta`` and ``/devices/delta``: everything there is, and from then on what changed (decision 0031)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace
from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import following
from shieldwall.server.directory.following import State
from shieldwall.server.directory.following_pages import (
    FollowedDevice,
    FollowedGroup,
    FollowedPage,
    devices_page,
    groups_page,
)
from shieldwall.server.graph import directory_devices, groups
from shieldwall.server.graph.directory_shapes import device_resource, registration_resource
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.requests import GraphRequest, Services, answer
from shieldwall.server.graph.resources import Json, group_resource
from shieldwall.server.graph.schemas.delta import follows
from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.groups import GROUP
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.groups.changes import Feed, FeedState

T = TypeVar("T")
Reader = Callable[[Connection, TenantId, State, FeedState], FollowedPage[T]]

DEFAULT_PAGE: Final = 100
LARGEST_PAGE: Final = 1_000
LATEST: Final = "latest"
MEMBERS: Final = "members"
_TOKENS: Final = ("$deltatoken", "$skiptoken")
_OPTIONS: Final = frozenset({"$select", "$expand", *_TOKENS})
_PAGE_SIZE: Final = re.compile(r"(?:^|[,;])\s*odata\.maxpagesize\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)
_DELETED: Final[Json] = {"@removed": {"reason": "deleted"}}
_MEMBER: Final[Json] = {"@odata.type": "#microsoft.graph.device"}


@get("/groups/delta", opt=groups.READ | needs(ResourceAction.READ_GROUPS) | follows(GROUP), sync_to_thread=True)
def follow_groups(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return groups, then what changed of them; with `$select=members` also who joined and left."""
    return _followed(services, request, Feed.GROUPS, groups_page, _group)


@get(
    "/devices/delta",
    opt=directory_devices.READ | needs(ResourceAction.READ_DIRECTORY) | follows(DEVICE),
    sync_to_thread=True,
)
def follow_devices(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return the devices of the directory, then what changed of them."""
    return _followed(services, request, Feed.DEVICES, devices_page, _device)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (follow_groups, follow_devices)


def _followed(
    services: AdminServices,
    request: GraphRequest,
    feed: Feed,
    page_of: Reader[T],
    shaped: Callable[[Connection, State, T], Json],
) -> Response[bytes]:
    options, now, tenant_id = _options(request), services.clock.now(), services.tenant.id
    token, latest = options.get("$deltatoken") or options.get("$skiptoken"), options.get("$deltatoken") == LATEST
    reached = following.brought_up(services.database, tenant_id, feed, now)
    if token and not latest:
        if len(options) > 1:
            raise InvalidQueryError("What was asked for at first stands in the token; nothing else goes with it.")
        state = following.opened(token, feed, reached, now)
    else:
        state = _beginning(options, feed, reached, latest=latest)
    if size := _page_size(request):
        state = replace(state, size=size)
    with services.database.read() as connection:
        page = page_of(connection, tenant_id, state, reached)
        entries = [shaped(connection, state, entry) for entry in page.entries]
    kind, option = ("delta", "$deltatoken") if page.is_last else ("next", "$skiptoken")
    public_url, path = services.settings.public_url, quote(request.url.path)
    version, name = path.split("/")[1:3]
    token = following.sealed(page.state, reached.key, now)
    answered = answer(
        {
            "@odata.context": f"{public_url}/{version}/$metadata#{name}",
            "value": entries,
            f"@odata.{kind}Link": f"{public_url}{path}?{option}={token}",
        }
    )
    if size:
        answered.headers["Preference-Applied"] = f"odata.maxpagesize={size}"
    return answered


def _beginning(options: dict[str, str], feed: Feed, reached: FeedState, *, latest: bool) -> State:
    selected = [name.strip() for name in options.get("$select", "").split(",") if name.strip()]
    expanded = {name.strip() for name in options.get("$expand", "").split(",") if name.strip()}
    wanted = {name.lower() for name in selected} | {name.lower() for name in expanded}
    if expanded - ({MEMBERS} if feed is Feed.GROUPS else set()):
        raise InvalidQueryError(f"$expand={min(expanded)[:64]} is not supported here.")
    if len(options.get("$select", "")) > 1_024:
        raise InvalidQueryError("$select names too much.")
    return State(
        feed=feed.value,
        selected=tuple(sorted({name.lower() for name in selected})),
        with_members=feed is Feed.GROUPS and MEMBERS in wanted,
        size=DEFAULT_PAGE,
        listing=not latest,
        version=reached.version,
    )


def _group(_connection: Connection, state: State, entry: FollowedGroup) -> Json:
    if entry.now is None:
        return {"id": entry.id, **_DELETED}
    resource = _selected(group_resource(entry.now), state)
    moved = [{**_MEMBER, "id": each} for each in entry.joined]
    moved += [{**_MEMBER, "id": each, **_DELETED} for each in entry.left]
    return resource | ({"members@delta": moved} if moved else {})


def _device(connection: Connection, state: State, entry: FollowedDevice) -> Json:
    match entry.now:
        case None:
            return {"id": entry.object_id, **_DELETED}
        case Device() as device:
            return _selected(device_resource(device, check_ins.find(connection, device.id)), state)
        case registration:
            return _selected(registration_resource(registration), state)


def _selected(resource: Json, state: State) -> Json:
    wanted = {*state.selected} - {MEMBERS}
    if not state.selected:
        return resource
    return {name: value for name, value in resource.items() if name == "id" or name.lower() in wanted}


def _options(request: GraphRequest) -> dict[str, str]:
    """Read the query options. An empty token is none: so a client begins anew. Raises: InvalidQueryError."""
    found: dict[str, str] = {}
    for name, value in request.query_params.items():
        option = name.lower()
        if option not in _OPTIONS:
            raise InvalidQueryError(f"The query option {name[:64]!r} is not supported here.")
        if option in found:
            raise InvalidQueryError(f"The query option {name[:64]} stands more than once.")
        found[option] = value
    if all(found.get(token) for token in _TOKENS):
        raise InvalidQueryError("Of $deltatoken and $skiptoken only one can be followed.")
    return {option: value for option, value in found.items() if value}


def _page_size(request: GraphRequest) -> int:
    """Read the size of a page that a client would like; a wish that cannot be followed is none."""
    wishes: list[str] = request.headers.getall("prefer", [])
    found = _PAGE_SIZE.search(",".join(wishes))
    return min(int(found[1]), LARGEST_PAGE) if found else 0
